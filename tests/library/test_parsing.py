"""The parsers behind the hash: good rows in both forms, and every fault a row can have."""

import codecs
import unicodedata

import pandas as pd
import pytest

from autorec_d2l.data.parsing import GENRES, parse_items, parse_ratings

GOOD = "1\t2\t3\t881250949\n2\t1\t5\t891717742\n"


def test_good_rows_become_whole_numbers_in_their_order():
    data = parse_ratings(GOOD.encode(), "u.data", 2, 2)
    expected = pd.DataFrame(
        {
            "user_id": [1, 2],
            "item_id": [2, 1],
            "rating": [3, 5],
            "timestamp": [881250949, 891717742],
        }
    )
    pd.testing.assert_frame_equal(data, expected)


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n  \n \n"])
@pytest.mark.parametrize("line", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig", "utf-16"])
def test_line_ends_and_encodings_do_not_matter(end, line, encoding):
    raw = (GOOD.strip() + end).replace("\n", line).encode(encoding)
    expected = parse_ratings(GOOD.encode(), "u.data", 2, 2)
    pd.testing.assert_frame_equal(parse_ratings(raw, "u.data", 2, 2), expected)


def test_spaces_for_tabs_are_a_fault_that_is_shown():
    message = r"row 1: expected 4 fields, found 1. The row reads '1 2 3 881250949'"
    with pytest.raises(ValueError, match=message):
        parse_ratings(GOOD.replace("\t", " ").encode(), "u.data", 2, 2)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1\t1\t3", "expected 4 fields, found 3"),
        ("1\t1\t3\t4\t5", "expected 4 fields, found 5"),
        ("1\t1\t3\t4\t5\t6\t7", "expected 4 fields, found 7"),
        ("<!doctype html>", "expected 4 fields, found 1"),
        ("", "expected 4 fields, found 1"),
        ("1\t1\t0\t4", "rating is outside 1 ... 5"),
        ("1\t1\t6\t4", "rating is outside 1 ... 5"),
        ("1\t1\t-3\t4", "rating is outside 1 ... 5"),
        ("1\t1\tnan\t4", "rating is not a whole number"),
        ("1\t1\t3.5\t4", "rating is not a whole number"),
        ("1\t1\tinf\t4", "rating is not a whole number"),
        ("1\t1\tgood\t4", "rating is not a whole number"),
        ("1\t\t3\t4", "item_id is not a whole number"),
        ('"1\t1\t3\t4', "user_id is not a whole number"),
        ("é\t1\t3\t4", "user_id is not a whole number"),
        ("0\t1\t3\t4", "user_id is outside 1 ... 2"),
        ("3\t1\t3\t4", "user_id is outside 1 ... 2"),
        ("1\t0\t3\t4", "item_id is outside 1 ... 2"),
        ("1\t3\t3\t4", "item_id is outside 1 ... 2"),
        ("1\t1\t3\t-4", "timestamp is not seconds since 1970"),
        ("1\t1\t3\t1e300", "timestamp is not seconds since 1970"),
        ("1\t2\t4\t4", "this user has rated this item before"),
    ],
)
@pytest.mark.parametrize("separator", ["\t", "::"])
def test_a_faulty_row_is_named_and_shown(row, reason, separator):
    raw = f"{GOOD}{row}\n2\t2\t1\t4\n".replace("\t", separator).encode()
    with pytest.raises(ValueError, match="row 3") as error:
        parse_ratings(raw, "ml-100k/u.data", 2, 2, separator)
    assert str(error.value) == (
        f"ml-100k/u.data, row 3: {reason}. The row reads {row.replace(chr(9), separator)!r}. "
        "Mend the row, or delete the file to download the original."
    )


def test_the_first_row_is_checked_like_any_other():
    with pytest.raises(ValueError, match=r"u.data, row 1: expected 4 fields, found 6"):
        parse_ratings(b"1\t2\t3\t4\t5\t6\n" + GOOD.encode(), "u.data", 2, 2)


def test_bytes_that_are_no_text_are_a_fault_of_their_row():
    with pytest.raises(ValueError, match=r"u.data, row 3: user_id is not a whole number"):
        parse_ratings(GOOD.encode() + b"\xff\xfe\t1\t3\t4\n", "u.data", 2, 2)


def test_a_long_row_is_shown_in_part():
    with pytest.raises(ValueError, match="expected 4 fields") as error:
        parse_ratings(b"x" * 10_000, "u.data", 2, 2)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize("raw", [b"", b"\n", b" \r\n"])
def test_an_empty_table_is_refused(raw):
    with pytest.raises(ValueError, match=r"u.data is empty. Delete the file to download"):
        parse_ratings(raw, "u.data", 2, 2)
    with pytest.raises(ValueError, match=r"u.item is empty. Delete the file to download"):
        parse_items(raw, "u.item", 3)


def grouplens(item_id, title, released, genres):
    flags = "|".join(str(int(genre in genres)) for genre in GENRES)
    return f"{item_id}|{title}|{released}||http://example.org|{flags}\n"


FILMS = pd.DataFrame(
    {
        "item_id": [1, 2, 3, 4, 5],
        "title": ["Misérables, Les", "Amélie (Poulain) 2", "Dracula: Dead", "unknown", "1984"],
        "year": pd.array([1995, 1994, 1996, None, 1984], dtype="Int64"),
        "genres": ["Drama|Musical", "Animation|Children's|Comedy", "Film-Noir", "unknown", ""],
    }
)
UITEM = (
    grouplens(1, "Misérables, Les (1995)", "01-Jan-1995", ["Musical", "Drama"])
    # The year of a film is the one in its title, not its release date.
    + grouplens(2, "Amélie (Poulain) 2 (1994)", "01-Jan-1996", FILMS["genres"][1])
    + grouplens(3, "Dracula: Dead (1996) (V)", "01-Jan-1996", ["Film-Noir"])
    + grouplens(4, "unknown", "", ["unknown"])
    + grouplens(5, "1984 (1984)", "", [])
)


@pytest.mark.parametrize(
    "encoding", ["latin-1", "cp1252", "utf-8", "utf-8-sig", "utf-16", "utf-16-le"]
)
@pytest.mark.parametrize("line", ["\n", "\r\n"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_films_in_the_form_of_grouplens_in_any_encoding(encoding, line, form):
    text = UITEM.replace("\n", line)
    if encoding.startswith("utf"):
        text = unicodedata.normalize(form, text)
    raw = codecs.BOM_UTF16_LE * (encoding == "utf-16-le") + text.encode(encoding)
    pd.testing.assert_frame_equal(parse_items(raw, "u.item", 5), FILMS)


@pytest.mark.parametrize(
    ("read", "saved"),
    [
        ("utf-8", "ascii"),  # an accent becomes a question mark
        ("utf-8", "mac_roman"),
        ("utf-8", "cp437"),
        ("utf-8", "cp850"),
        ("utf-8", "cp932"),
        ("latin-1", "utf-8"),  # twice encoded
        ("cp1252", "utf-8"),
        ("mac_roman", "utf-8"),
        ("cp437", "utf-8"),
    ],
)
def test_garbled_titles_are_refused(read, saved):
    """The table in UTF-8, read as something else and saved again."""
    raw = UITEM.encode().decode(read).encode(saved, errors="replace")
    with pytest.raises(ValueError, match=r"u.item, row 1: the title is garbled, by another encodi"):
        parse_items(raw, "u.item", 5)


@pytest.mark.parametrize("read", ["mac_roman", "cp437", "cp932", "cp949", "cp1251", "gbk", "utf-8"])
def test_garbled_titles_of_the_original_are_refused(read):
    """The table in Latin-1, read as something else and saved in UTF-8."""
    raw = UITEM.encode("latin-1").decode(read, errors="replace").encode()
    with pytest.raises(ValueError, match=r"u.item, row 1: "):
        parse_items(raw, "u.item", 5)


def test_films_in_the_form_of_recbole_are_mended_and_equal():
    recbole = [f"{i}\tFilm {i}\t1990\tDrama War\n" for i in range(1, 1413)]
    uitem = [grouplens(i, f"Film {i} (1990)", "", ["War", "Drama"]) for i in range(1, 1413)]
    # A title is text, whatever pandas takes for a missing value.
    recbole[9] = "10\tNone\t1990\tDrama War\n"
    uitem[9] = grouplens(10, "None (1990)", "", ["War", "Drama"])
    # The two rows that recbole 1.2.1 gives differently, as they stand there.
    recbole[266] = "267\tunkonwn\tunkonwn\tunknown\n"
    uitem[266] = grouplens(267, "unknown", "", ["unknown"])
    title = "Land Before Time III: The Time of the Great Giving (1995)"
    recbole[1411] = f"1412\t{title}\tV\tAnimation Children's\n"
    uitem[1411] = grouplens(1412, f"{title} (V)", "", ["Animation", "Children's"])
    header = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    pd.testing.assert_frame_equal(
        parse_items((header + "".join(recbole)).encode(), "ml-100k.item", 1412),
        parse_items("".join(uitem).encode("latin-1"), "u.item", 1412),
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1|Toy Story (1995)|", "u.item, row 6: expected 24 fields, found 3"),
        (grouplens(6, "Toy|Story (1995)", "", []), "u.item, row 6: expected 24 fields, found 25"),
        ("<html>Not found</html>", "u.item, row 6: expected 24 fields, found 1"),
        (grouplens(7, "Toy Story (1995)", "", []), "u.item: item_id must run from 1 to 6"),
        (grouplens(5, "Toy Story (1995)", "", []), "u.item: item_id must run from 1 to 6"),
        (grouplens("x", "Toy Story (1995)", "", []), "u.item: item_id must run from 1 to 6"),
        ("", "u.item: item_id must run from 1 to 6"),
        (grouplens(6, "(1995)", "", []), "u.item, row 6: the title is empty"),
        (grouplens(6, "Toy", "", []).replace("|0\n", "|2\n"), "u.item, row 6: the flag of a genre"),
    ],
)
def test_a_faulty_table_of_films_is_refused(row, message):
    with pytest.raises(ValueError, match="delete the file to download the original") as error:
        parse_items((UITEM + row).encode("latin-1"), "u.item", 6)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1\tToy", "expected 4 fields, found 2"),
        ("1\t\t1995\tDrama", "the title is empty"),
        ("1\tToy\t199x\tDrama", "the year is not four digits"),
        ("1\tToy\t99999999999999999999\tDrama", "the year is not four digits"),
        ("1\tToy\t1995\tDramb", "a genre is unknown"),
        ("1\tToy\t1995\t", "there is no genre, as where a table is cut off"),
        ("1\tT\u00c3\u00b4y\t1995\tDrama", "the title is garbled, by another encoding"),
    ],
)
def test_a_faulty_row_of_recbole_is_refused(row, reason):
    raw = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n" + row
    with pytest.raises(ValueError, match=f"ml-100k.item, row 1: {reason}") as error:
        parse_items(raw.encode(), "ml-100k.item", 1)
    assert repr(row) in str(error.value)


@pytest.mark.parametrize("row", ["1::2::3::881250949", "1:1::2::3::881250949"])
def test_a_lone_colon_is_no_separator(row):
    """Split at it, the first row had five fields, and all columns moved by one."""
    with pytest.raises(ValueError, match="row 1: user_id is not a whole number"):
        parse_ratings(f"1:1::1::5::881250949\n{row}\n".encode(), "ratings.dat", 2, 2, "::")


def test_a_title_of_many_blanks_takes_no_time():
    title = "Toy" + 20_000 * " " + "Story"
    items = parse_items(grouplens(1, f"{title} (1995)", "", []).encode(), "u.item", 1)
    assert items.loc[0, ["title", "year"]].tolist() == [title, 1995]
