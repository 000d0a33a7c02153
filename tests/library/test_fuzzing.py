"""Hard knocks: thousands of mutants of tables and archives.

    KNOCKS=all pytest -s tests/test_knocks.py      all mutants; without the variable a tenth

A mutant is read as what it says, or refused in our own words. What a table says is judged by
another, plain reader.
"""

import os
import random
from collections import Counter

import pytest
from test_download import ARCHIVE, PACKAGE, WHEEL, ZIP, home, names, start_fetch, web  # noqa: F401  (fixtures)

import autorec_d2l as d2l
from autorec_d2l import movielens
from autorec_d2l.data.parsing import GENRES, parse_items, parse_ratings

MUTANTS = 2000 if os.environ.get("KNOCKS") == "all" else 200  # of each kind of bytes
NUM_USERS, NUM_ITEMS = 40, 30
OURS = ("Mend the ", "Delete the file", "delete the file")


# Mutants


def rating_rows(separator):
    pairs = random.Random(1).sample(range(NUM_USERS * NUM_ITEMS), 60)
    rows = ((p % NUM_USERS + 1, p // NUM_USERS + 1, p % 5 + 1, 874_724_710 + p) for p in pairs)
    return "".join(separator.join(map(str, row)) + "\n" for row in rows).encode()


def film_rows():
    draw = random.Random(2)
    for i in range(1, NUM_ITEMS + 1):
        title = draw.choice(["Amélie", "Toy Story", "Misérables, Les", "1984"])
        yield i, f"{title} {i}", 1922 + i, draw.sample(GENRES, draw.randint(1, 3))


def films_grouplens():
    rows = (
        f"{i}|{title} ({year})|01-Jan-1995||http://a.org|"
        + "|".join(str(int(genre in own)) for genre in GENRES)
        for i, title, year, own in film_rows()
    )
    return "\n".join(rows).encode("latin-1")


def films_recbole():
    rows = (f"{i}\t{title}\t{year}\t{' '.join(own)}" for i, title, year, own in film_rows())
    header = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"
    return "\n".join([header, *rows]).encode()


TOKENS = [
    *(b"\t", b"|", b"::", b":", b"\n", b"\r", b"\r\n", b"\0", b'"', b"'", b"\\", b"#", b",", b" "),
    *(b"-", b"+", b".", b"e9", b"0x1", b"1_0", b"nan", b"inf", b"NA", b"None", b"True", b"9" * 30),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3", b"\xe9", "٣".encode(), "３".encode(), b" " * 3000),
    *(b"(1995)", b"(V)", b"\x1a", b"\x0b", b"\xc2\x85", "\u2028".encode(), b"%s", b"<html>"),
]


def mutant(raw, draw):
    """Return the bytes after one to three random changes."""
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        at = draw.randrange(len(raw) + 1)
        end = min(len(raw), at + draw.choice([1, 1, 2, 8, 100]))
        token = draw.choice([*TOKENS, bytes([draw.randrange(256)])])
        raw = draw.choice(
            [
                raw[:at],  # cut off
                raw[:at] + raw[end:],  # a piece is lost
                raw[:at] + raw[at:end] + raw[at:],  # or there twice
                raw[:at] + token + raw[at:],
                raw[:at] + token + raw[end:],
                raw[:at] + bytes(b ^ 1 << draw.randrange(8) for b in raw[at:end]) + raw[end:],
            ]
        )
    return raw


def verdicts(raw, read, judge):
    """Read mutants; count those with a table that the judge finds right and those refused."""
    counts = Counter()
    for seed in range(MUTANTS):
        broken = mutant(raw, random.Random(seed))
        try:
            verdict = "right" if judge(broken, read(broken)) else f"wrong, seed {seed}"
        except ValueError as error:
            is_ours = type(error) is ValueError and any(words in str(error) for words in OURS)
            verdict = "refused" if is_ours else f"{error!r}, seed {seed}"
        counts[verdict] += 1
    print(dict(counts), end=" ")
    assert set(counts) <= {"right", "refused"}
    return counts


def plain_rows(raw, separator):
    """Split a table as its bytes say, in the most likely encoding, without pandas."""
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    lines = text.rstrip(" \r\n").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [line.split(separator) for line in lines]


@pytest.mark.parametrize("separator", ["\t", "::"])
def test_mutants_of_ratings(separator):
    def read(raw):
        return parse_ratings(raw, "u.data", NUM_USERS, NUM_ITEMS, separator)

    def is_right(raw, table):
        text = raw.replace(separator.encode(), b"\t")
        return table.values.tolist() == [[*map(float, row)] for row in plain_rows(text, "\t")]

    counts = verdicts(rating_rows(separator), read, is_right)
    assert min(counts["right"], counts["refused"]) >= MUTANTS / 20


@pytest.mark.parametrize("films", [films_grouplens, films_recbole])
def test_mutants_of_films(films):
    is_grouplens = films is films_grouplens

    def is_right(raw, table):
        rows = plain_rows(raw, "|" if is_grouplens else "\t")[not is_grouplens :]
        for found, row in zip(table.fillna(0).itertuples(index=False), rows, strict=True):
            if is_grouplens:
                own = {genre for genre, flag in zip(GENRES, row[5:], strict=True) if flag == "1"}
                year = f"({found.year})" if found.year else ""
                same = row[1].startswith(found.title) and year in row[1]
            else:
                own = set(row[3].split(" "))
                same = [found.title, str(found.year or "")] == row[1:3]
            if not (same and found.item_id == float(row[0]) and {*found.genres.split("|")} - {""}):
                return False
            if {*found.genres.split("|")} - {""} != own - {""}:
                return False
        return True

    def read(raw):
        return parse_items(raw, "u.item", NUM_ITEMS)

    counts = verdicts(films(), read, is_right)
    assert min(counts["right"], counts["refused"]) >= MUTANTS / 20


@pytest.mark.parametrize(("file", "raw"), [(ZIP, ARCHIVE), (WHEEL, PACKAGE)], ids=["zip", "wheel"])
def test_mutants_of_archives(web, home, file, raw, monkeypatch):  # noqa: F811
    monkeypatch.setattr(movielens, "_NUM_RATINGS", {"ml-100k": 2})
    home.mkdir(parents=True)

    def read(broken):
        (home / file).write_bytes(broken)
        return d2l.read_data_ml100k()[0]

    verdicts(raw, read, lambda broken, table: broken == raw)
    assert web.asked == []
