"""The parsers against small tables in both forms, and the faults that a table can have."""

import pandas as pd
import pytest

from autorec_d2l.data.parsing import GENRES, parse_items, parse_ratings

GOOD = "1\t2\t3\t881250949\n2\t1\t5\t891717742\n"
RECBOLE = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"


@pytest.mark.parametrize(("separator", "line"), [("\t", "\n"), ("::", "\r\n")])
def test_ratings_become_integers_in_their_order(separator, line):
    raw = GOOD.replace("\t", separator).replace("\n", line).encode()
    data = parse_ratings(raw, "u.data", 2, 2, separator)
    assert list(data.columns) == ["user_id", "item_id", "rating", "timestamp"]
    assert data.to_numpy().tolist() == [[1, 2, 3, 881250949], [2, 1, 5, 891717742]]
    assert (data.dtypes == "int64").all()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1\t1\t3\t4\t5", "Expected 4 fields in line 3, saw 5"),
        ("1\t1\t3", r"timestamp must be an integer, 0 to 4294967296, got nan in data.iloc\[2\]"),
        ('"1\t1\t3\t4', r"user_id must be an integer, 1 to 2, got nan in data.iloc\[2\]"),
        ("\xff\t1\t3\t4", r"user_id must be an integer, 1 to 2, got nan in data.iloc\[2\]"),
        ("1\t3\t3\t4", r"item_id must be an integer, 1 to 2, got 3 in data.iloc\[2\]"),
        ("1\t1\t6\t4", r"rating must be .* 1 to 5, got 6 at user 1, item 1, data.iloc\[2\]"),
        ("1\t1\t\t4", r"rating must be .* 1 to 5, got nan at user 1, item 1, data.iloc\[2\]"),
        ("1\t1\t3\t-4", "timestamp must be an integer, 0 to 4294967296, got -4"),
        ("1\t2\t4\t4", r"user 1 rates item 2 a second time in data.iloc\[2\]"),
    ],
)
def test_a_faulty_row_is_named(row, reason):
    with pytest.raises(ValueError, match=f"^ml-100k/u.data: .*{reason}"):
        parse_ratings(f"{GOOD}{row}\n2\t2\t1\t4\n".encode("latin-1"), "ml-100k/u.data", 2, 2)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "No columns to parse"),
        (GOOD.replace("\t", " ").encode(), "expected 4 columns, found 1"),
        (GOOD.replace("\t", "\t0\t", 1).replace("\t1", "\t1\t0").encode(), "found 5"),
        # Split at a single colon, the row would have its columns moved by one.
        (b"1:1::1::5::881250949\n", "user_id must be an integer, 1 to 2, got nan"),
    ],
)
def test_another_table_is_refused(raw, reason):
    separator = "::" if b"::" in raw else "\t"
    with pytest.raises(ValueError, match=f"^u.data: .*{reason}"):
        parse_ratings(raw, "u.data", 2, 2, separator)


def grouplens(item_id, title, released, genres):
    flags = "|".join(str(int(genre in genres)) for genre in GENRES)
    return f"{item_id}|{title}|{released}||http://example.org|{flags}\n"


FILMS = pd.DataFrame(
    {
        "item_id": [1, 2, 3, 4, 5],
        "title": ["Misérables, Les", 'Amélie "(Poulain) 2', "Dracula: Dead", "unknown", "1984"],
        "year": pd.array([1995, 1994, 1996, None, 1984], dtype="Int64"),
        "genres": ["Drama|Musical", "Animation|Children's|Comedy", "Film-Noir", "unknown", ""],
    }
)
UITEM = (
    grouplens(1, "Misérables, Les (1995)", "01-Jan-1995", ["Musical", "Drama"])
    # The year of a film is the one in its title, not its release date.
    + grouplens(2, 'Amélie "(Poulain) 2 (1994)', "01-Jan-1996", FILMS["genres"][1])
    + grouplens(3, "Dracula: Dead (1996) (V)", "01-Jan-1996", ["Film-Noir"])
    + grouplens(4, "unknown", "", ["unknown"])
    + grouplens(5, "1984 (1984) ", "", [])
)


def test_films_of_grouplens():
    pd.testing.assert_frame_equal(parse_items(UITEM.encode("latin-1"), "u.item", 5), FILMS)


def test_films_of_recbole_are_corrected_and_equal_to_those_of_grouplens():
    recbole = [f"{i}\tFilm {i}\t1990\tDrama War\n" for i in range(1, 1413)]
    uitem = [grouplens(i, f"Film {i} (1990)", "", ["War", "Drama"]) for i in range(1, 1413)]
    # A title is text, whatever pandas takes for a missing value.
    recbole[9] = "10\tNone\t1990\tDrama War\n"
    uitem[9] = grouplens(10, "None (1990)", "", ["War", "Drama"])
    recbole[10] = "11\tMisérables, Les\t1990\tDrama War\n"
    uitem[10] = grouplens(11, "Misérables, Les (1990)", "", ["War", "Drama"])
    # The two rows that recbole 1.2.1 gives differently.
    recbole[266] = "267\tunkonwn\tunkonwn\tunknown\n"
    uitem[266] = grouplens(267, "unknown", "", ["unknown"])
    title = "Land Before Time III: The Time of the Great Giving (1995)"
    recbole[1411] = f"1412\t{title}\tV\tAnimation Children's\n"
    uitem[1411] = grouplens(1412, f"{title} (V)", "", ["Animation", "Children's"])
    pd.testing.assert_frame_equal(
        parse_items((RECBOLE + "".join(recbole)).encode(), "ml-100k.item", 1412),
        parse_items("".join(uitem).encode("latin-1"), "u.item", 1412),
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (grouplens(6, "Toy|Story (1995)", "", []), "Expected 24 fields in line 6, saw 25"),
        (grouplens(7, "Toy Story (1995)", "", []), "item_id must run from 1 to 6"),
        ("", "item_id must run from 1 to 6"),
    ],
)
def test_a_faulty_table_of_films_is_refused(row, reason):
    with pytest.raises(ValueError, match=f"^u.item: .*{reason}"):
        parse_items((UITEM + row).encode("latin-1"), "u.item", 6)
