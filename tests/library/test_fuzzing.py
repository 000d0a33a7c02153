"""Random changes of a table are read as what the bytes say, or refused; never misread."""

import random

import pytest

from autorec_d2l.data.parsing import parse_ratings

NUM_USERS, NUM_ITEMS = 40, 30
TOKENS = [
    *(b"\t", b"::", b":", b"\n", b"\r\n", b'"', b"'", b"\\", b"#", b",", b" ", b"-", b".", b"e9"),
    *(b"0x1", b"1_0", b"nan", b"inf", b"NA", b"True", b"9" * 30, b"\xff\xfe", b"\xef\xbb\xbf"),
    *("٣".encode(), "３".encode(), b"\xc2\x85", b"<html>"),
]


def rows(separator):
    pairs = random.Random(1).sample(range(NUM_USERS * NUM_ITEMS), 60)
    table = ((p % NUM_USERS + 1, p // NUM_USERS + 1, p % 5 + 1, 874_724_710 + p) for p in pairs)
    return "".join(separator.join(map(str, row)) + "\n" for row in table).encode()


def mutant(raw, draw):
    """Cut off, lose, repeat, insert or replace a piece."""
    at = draw.randrange(len(raw) + 1)
    end = min(len(raw), at + draw.choice([1, 2, 8, 100]))
    token = draw.choice(TOKENS)
    changes = [raw[:at], raw[:at] + raw[end:], raw[:at] + raw[at:end] + raw[at:]]
    changes += [raw[:at] + token + raw[at:], raw[:at] + token + raw[end:]]
    return draw.choice(changes)


def plain(raw, separator):
    """Split the bytes without pandas."""
    lines = raw.decode("latin-1").replace("\r\n", "\n").split("\n")
    return [[float(field) for field in line.split(separator)] for line in lines if line.strip()]


@pytest.mark.parametrize("separator", ["\t", "::"])
def test_a_changed_table_is_read_as_it_stands_or_refused(separator):
    raw, num_read = rows(separator), 0
    for seed in range(60):
        changed = mutant(raw, random.Random(seed))
        try:
            found = parse_ratings(changed, "u.data", NUM_USERS, NUM_ITEMS, separator)
        except ValueError:
            continue
        assert found.to_numpy().tolist() == plain(changed, separator), seed
        num_read += 1
    assert 0 < num_read < 60
