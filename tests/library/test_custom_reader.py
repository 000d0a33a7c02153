"""Each table that people have is read whole, or refused with one error that says what to do."""

import gzip

import numpy as np
import pandas as pd
import pytest

from autorec_d2l.custom import read_ratings, reader

PLAIN = "userId,movieId,rating,timestamp\n1,10,0.5,9\n2,20,5,8\n1,20,3.5,7\n300,30,4,6\n"
NUMBERS = [(1, 10, 0.5), (2, 20, 5.0), (1, 20, 3.5), (300, 30, 4.0)]
HEAD = "user,item,rating\n"


def read(tmp_path, text, name="ratings.csv", **options):
    raw = text if isinstance(text, bytes) else text.encode()
    (tmp_path / name).write_bytes(raw)
    return read_ratings(tmp_path / name, verbose=False, **options)


def rows(ratings):
    """Return all rows, with the ids of the table, in order."""
    data = ratings.data
    users = ratings.users.values[data["user_id"] - 1]
    items = ratings.items.values[data["item_id"] - 1]
    return list(zip(users, items, data["rating"], strict=True))


FORMS = {
    "movielens": PLAIN,
    "windows line ends and a byte order mark": "\ufeff" + PLAIN.replace("\n", "\r\n"),
    "utf-16, as Excel saves": PLAIN.replace(",", "\t").encode("utf-16"),
    "colons": "1::10::0.5::9\n2::20::5::8\n1::20::3.5::7\n300::30::4::6\n",
    "semicolons, quotes": '"User-ID";"ISBN";"Book-Rating"\n"1";"10";"0,5"\n"2";"20";"5"\n'
    '"1";"20";"3,5"\n"300";"30";"4"\n',
    "recbole": "user_id:token\titem_id:token\trating:float\n1\t10\t0.5\n2\t20\t5\n1\t20\t3.5\n"
    "300\t30\t4\n",
    "blanks": "\nuser, item, rating\n1, 10, 0.5\n2, 20, 5\n\n1, 20, 3.5\n300, 30, 4\n",
    "blanks only": "user item rating\n1 10 0.5\n2  20 5\n1 20 3.5\n300 30 4\n",
    "floats as ids": "user_id,item_id,rating\n1.0,10.0,0.5\n2.0,20.0,5\n1.0,20.0,3.5\n300.0,30,4\n",
    "other columns": ",title,rating,userId,genres,movieId\n0,A,0.5,1,x|y,10\n1,,5,2,,20\n"
    '2,"B, the",3.5,1,,20\n3,C,4,300,,30\n',
    "quoted text of several lines": 'user,review,item,rating\n1,"Good,\nin 2, 3, 4 ways\n",10,0.5\n'
    '2,"""Never"" again",20,5\n1,"a\n\nb",20,3.5\n300,6" tall,30,4\n',
    "dates": PLAIN.replace(",9\n", ",2020-01-02 03:04:05\n").replace(",8\n", ",Jan 3 2020\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_table_gives_all_its_rows(tmp_path, form, monkeypatch):
    monkeypatch.setattr(reader, "CHUNK", 3)
    ratings = read(tmp_path, FORMS[form])
    assert rows(ratings) == NUMBERS
    assert (ratings.scale.low, ratings.scale.high) == (0.5, 5)


def test_columns_can_be_given_by_name_or_position(tmp_path):
    text = "who;what;how much;when\nann;tea;-10;2\nbob;tea;0;1\n"
    named = {"user": "who", "item": "what", "rating": "how much"}
    expected = [("ann", "tea", -10.0), ("bob", "tea", 0.0)]
    assert rows(read(tmp_path, text, **named)) == expected
    positions = {"user": 0, "item": 1, "rating": 2}
    assert rows(read(tmp_path, text, **positions)) == expected
    assert rows(read(tmp_path, text.partition("\n")[2], **positions)) == expected


@pytest.mark.parametrize(
    "ids",
    [
        ["007", "7x", "NA"],
        ["9007199254740993", "9007199254740992", "-5"],
        ["None", "nan", "null"],
        ["Zoë", "日本", "1e19"],
    ],
)
def test_ids_of_any_kind_are_kept(tmp_path, ids):
    text = HEAD + "".join(f"{one},x{one},{i}\n" for i, one in enumerate(ids))
    found = read(tmp_path, text)
    assert [str(user) for user, *_ in rows(found)] == ids
    assert found.users.values[found.users.indices(ids)].astype(str).tolist() == ids
    assert found.users.indices(["other"]).tolist() == [-1]
    latin = read(tmp_path, text.replace("日本", "a").encode("latin-1"))
    assert str(rows(latin)[0][0]) == ids[0]


@pytest.mark.parametrize("kind", ["str", "category", "float32", "Int64"])
def test_a_frame_with_ids_of_any_kind(ratings, kind):
    data = ratings[0].astype({"user_id": kind})[:50]
    found = read_ratings(data, verbose=False)
    codes = found.data["user_id"].to_numpy() - 1
    assert (pd.factorize(codes)[0] == pd.factorize(data["user_id"])[0]).all()
    assert len(found.users) == data["user_id"].nunique()
    assert found.users.indices(data["user_id"]).tolist() == codes.tolist()


@pytest.mark.parametrize(
    "ids", [[2.0**53, 1], np.float32([2**24, 1]), [np.inf, 1], pd.array([1e19, 1.0])]
)
def test_floats_that_cannot_tell_ids_apart_are_refused(ids):
    table = pd.DataFrame({"user": ids, "item": [1, 1], "rating": [1, 2]})
    with pytest.raises(ValueError, match="does not hold every integer"):
        read_ratings(table)


def test_ratings_of_0_and_below_are_kept_and_the_scale_is_printed(tmp_path, capsys):
    text = "user,item,rating\na,x,0\na,y,-9.5\nb,x,10\nb,y,0\n"
    (tmp_path / "jester.csv").write_text(text, encoding="utf-8")
    ratings = read_ratings(tmp_path / "jester.csv")
    assert ratings.data["rating"].tolist() == [0, -9.5, 10, 0]
    assert "4 ratings by 2 users of 2 items on a scale from -9.5 to 10" in capsys.readouterr().out
    assert read(tmp_path, text, scale=(-10, 10)).scale.low == -10


def test_one_of_two_ratings_of_a_pair_is_kept_if_asked(tmp_path):
    text = "user,item,rating,time\na,x,1,20\nb,x,5,1\na,x,3,10\n"
    with pytest.raises(ValueError, match=r"row 3: user a rates item x a second time \(1 in all"):
        read(tmp_path, text)
    assert rows(read(tmp_path, text, keep="last"))[0] == ("a", "x", 1)  # the last by time
    kept = rows(read(tmp_path, text, keep="last", timestamp=False))
    assert kept == [("b", "x", 5), ("a", "x", 3)]
    assert rows(read(tmp_path, text, keep="first"))[1] == ("a", "x", 3)
    with pytest.raises(ValueError, match="keep must be None, 'first' or 'last', got 'best'"):
        read(tmp_path, text, keep="best")


@pytest.mark.parametrize("keep", ["first", "last"])
def test_of_a_pair_without_a_time_none_is_the_last(tmp_path, keep):
    text = "user,item,rating,time\nb,x,5,\na,x,1,20\na,x,3,\n"
    with pytest.raises(ValueError, match=rf"row 3: the pair occurs twice, and keep='{keep}' needs"):
        read(tmp_path, text, keep=keep)
    assert len(read(tmp_path, text, keep=keep, timestamp=False).data) == 2
    assert len(read(tmp_path, text.replace("3,\n", "3,9\n"), keep=keep).data) == 2


def test_ids_that_differ_only_in_blanks_are_one(tmp_path):
    assert len(read(tmp_path, HEAD + "ann ,x,1\nann,y,2\n").users) == 1
    assert len(read(tmp_path, HEAD + "Ann,x,1\nann,y,2\n").users) == 2


BAD = {
    "a missing column": ("userId,stars\n1,2\n", "no known item column among "),
    "two ratings": (
        "user,item,rating,score\n1,2,3,4\n",
        "'rating' and 'score' could be the rating",
    ),
    "text": (HEAD + "1,2,3\n1,3,good\n", "row 2: a rating has to be a finite number, got 'good'"),
    "infinity": (HEAD + "1,2,3\n1,3,-inf\n", "row 2: a rating has to be a finite number"),
    "no user": (HEAD + ",2,3\n1,3,2\n", "row 1: every row needs its user, it is missing"),
    "empty": ("", "is empty"),
    "header only": (HEAD, "has no rows below its header"),
    "no header, wide": ("1,2,3,4,5,6\n", "has no header and 6 columns"),
    "pair twice": (HEAD + "1,2,3\n2,2,1\n1,2,4\n", "row 3: user 1 rates item 2 a second time"),
    "constant": (HEAD + "1,2,3\n2,2,3\n", "every rating is 3"),
    "ragged, colons": ("1::2::3\n2::3::4::5\n", "cannot be read as a table: .*line 2"),
    "decimal comma": (HEAD + "1,2,3,5\n", "cannot be read as a table"),
    "cut off": (gzip.compress(bytes(range(256)) * 99)[:60], "is an archive or the like"),
    "archive": (b"PK\x03\x04rest", "is an archive or the like"),
    "JSON": ('{"user": 1, "item": 2, "rati', "cannot be read"),
    "a matrix": ("user,Alien,Heat,Psycho\n1,5,3,1\n2,,4,2\n", "becomes a table by pandas.melt"),
    "an id of two lines": (HEAD + 'c,2,3\n"a\nb",2,3\n', "row 2: a quotation mark before 'a"),
    "no date": ("user,item,rating,time\n1,2,3,soon\n2,2,4,9\n", "soon.*timestamp=False ignores"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_table_is_one_error_that_names_the_file(tmp_path, fault):
    text, message = BAD[fault]
    with pytest.raises(ValueError, match=rf"ratings\.csv.*({message})") as stop:
        read(tmp_path, text)
    assert "\n" not in str(stop.value)


def test_a_compressed_table_and_one_that_is_cut_off(tmp_path):
    assert rows(read(tmp_path, gzip.compress(PLAIN.encode()), "ratings.csv.gz")) == NUMBERS
    text = HEAD + "".join(f"{i},{i * 7919 % 1009},{i % 5}\n" for i in range(9000))
    with pytest.raises(ValueError, match=r"gz cannot be read as a table: Compressed file ended"):
        read(tmp_path, gzip.compress(text.encode())[:-2000], "ratings.csv.gz")


REVIEW, TITLE = ("user", "item", "rating", "review"), ("user", "title", "item", "rating")


@pytest.mark.parametrize(
    ("separator", "columns", "line", "text", "opening"),
    [
        ("\t", REVIEW, 110, 'a so-called "comedy"', '"Never'),
        (",", REVIEW, 51, '19"', '"Never, again'),
        (";", REVIEW, 110, "no other mark", '"Never'),
        ("|", TITLE, 51, '19"', '"Never'),
        (",", TITLE, 110, '1,9"', '"Never, again'),
        (",", TITLE[1:] + TITLE[:1], 51, '19"', '"Never'),
        (" ", REVIEW, 52, '19"', '"Never'),
    ],
)
def test_no_row_is_lost_after_an_open_quotation_mark(
    tmp_path, separator, columns, line, text, opening
):
    lines = [separator.join(columns)]
    for i in range(200):
        row = {"user": f"u{i % 20}", "item": f"i{i // 20}", "rating": str(1 + i % 5)}
        own = {50: opening, line: text.replace(" ", "_" if separator == " " else " ")}
        lines.append(separator.join(row.get(column, own.get(i, "good")) for column in columns))
    with pytest.raises(ValueError, match="row 51"):
        read(tmp_path, "\n".join(lines) + "\n")


def test_a_rating_off_a_given_scale_and_a_scale_that_is_none(tmp_path):
    with pytest.raises(ValueError, match=r"from 1 to 5, got 0\.5 at .*ratings\.csv, row 1;"):
        read(tmp_path, PLAIN, scale=(1, 5))
    for scale in ((5, 1), (0, np.nan)):
        with pytest.raises(ValueError, match="scale"):
            read(tmp_path, PLAIN, scale=scale)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        read_ratings(tmp_path / "none.csv")


def test_json_workbooks_and_parquet_are_read_by_pandas(tmp_path, monkeypatch):
    table = pd.DataFrame({"user": ["007", "8"], "item": ["a", "b"], "rating": [4.5, 2.0]})
    for name, form in (("lines.json", {"lines": True}), ("array.json", {})):
        table.to_json(tmp_path / name, orient="records", **form)
        ratings = read_ratings(tmp_path / name, verbose=False)
        assert ratings.users.values.tolist() == ["007", "8"]
        assert ratings.data["rating"].tolist() == [4.5, 2.0]
    for kind, name, raw in (("excel", "book.xlsx", b"PK"), ("parquet", "ratings.csv", b"PAR1...")):
        monkeypatch.setattr(pd, f"read_{kind}", lambda path: table)
        assert len(read(tmp_path, raw, name).data) == 2


def test_counts_are_noted():
    table = pd.DataFrame({"user": range(9), "item": range(9), "rating": [1] * 8 + [100]})
    with pytest.warns(UserWarning, match="the highest rating is more than 20 times the median"):
        read_ratings(table, verbose=False)
