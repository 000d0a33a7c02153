"""Tables as people have them: each is read whole, or refused by one error that says what to do."""

import gzip
import re

import numpy as np
import pandas as pd
import pytest

from autorec_d2l.custom import read_ratings

PLAIN = "userId,movieId,rating,timestamp\n1,10,0.5,9\n2,20,5,8\n1,20,3.5,7\n300,30,4,6\n"


def read(tmp_path, text, name="ratings.csv", **words):
    raw = text if isinstance(text, bytes) else text.encode()
    (tmp_path / name).write_bytes(raw)
    return read_ratings(tmp_path / name, verbose=False, **words)


def rows(ratings):
    """Return all rows in the reader's own ids, in order."""
    data = ratings.data
    users = ratings.users.values[data["user_id"] - 1]
    items = ratings.items.values[data["item_id"] - 1]
    return list(zip(users, items, data["rating"], strict=True))


NUMBERS = [(1, 10, 0.5), (2, 20, 5.0), (1, 20, 3.5), (300, 30, 4.0)]
FORMS = {
    "movielens": PLAIN,
    "windows and a mark": "\ufeff" + PLAIN.replace("\n", "\r\n"),
    "utf-16, as Excel saves": PLAIN.replace(",", "\t").encode("utf-16"),
    "tabs, no header": "1\t10\t.5\t9\n2\t20\t5\t8\n1\t20\t3.5\t7\n300\t30\t4\t6\n",
    "colons": "1::10::0.5::9\n2::20::5::8\n1::20::3.5::7\n300::30::4::6\n",
    "compressed": gzip.compress(PLAIN.encode()),
    "semicolons, quotes": '"User-ID";"ISBN";"Book-Rating"\n"1";"10";"0,5"\n"2";"20";"5"\n'
    '"1";"20";"3,5"\n"300";"30";"4"\n',
    "recbole": "user_id:token\titem_id:token\trating:float\n1\t10\t0.5\n2\t20\t5\n1\t20\t3.5\n"
    "300\t30\t4\n",
    "blanks": "user, item, rating\n1, 10, 0.5\n2, 20, 5\n\n1, 20, 3.5\n300, 30, 4\n",
    "floats as ids": "user_id,item_id,rating\n1.0,10.0,0.5\n2.0,20.0,5\n1.0,20.0,3.5\n300.0,30,4\n",
    "other columns": ",title,rating,userId,genres,movieId\n0,A,0.5,1,x|y,10\n1,,5,2,,20\n"
    '2,"B, the",3.5,1,,20\n3,C,4,300,,30\n',
    "dates": PLAIN.replace(",9\n", ",2020-01-02 03:04:05\n").replace(",8\n", ",Jan 3 2020\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_table_gives_all_its_rows(tmp_path, form):
    ratings = read(tmp_path, FORMS[form])
    assert rows(ratings) == NUMBERS
    assert ratings.data["user_id"].tolist() == [1, 2, 1, 3]  # in the order in which they come
    assert (ratings.scale.low, ratings.scale.high) == (0.5, 5)


def test_columns_can_be_named_or_numbered(tmp_path):
    text = "who;what;how much;when\nann;tea;-10;2\nbob;tea;0;1\n"
    named = {"user": "who", "item": "what", "rating": "how much"}
    expected = [("ann", "tea", -10.0), ("bob", "tea", 0.0)]
    assert rows(read(tmp_path, text, **named)) == expected
    places = {"user": 0, "item": 1, "rating": 2}
    assert rows(read(tmp_path, text, **places, header=True)) == expected
    assert rows(read(tmp_path, text.partition("\n")[2], **places)) == expected


@pytest.mark.parametrize(
    "ids",
    [
        ["007", "7x", "NA"],
        ["9007199254740993", "9007199254740992", "-5"],
        ["18446744073709551615", "0", "1"],
        ["123e4567-e89b-12d3-a456-426614174000", "None", "nan"],
        ["Zoë", "日本", "null"],
    ],
)
def test_ids_of_any_kind_are_given_back(tmp_path, ids):
    text = "user,item,rating\n" + "".join(f"{one},x{one},{i}\n" for i, one in enumerate(ids))
    found = read(tmp_path, text)
    assert found.users.values.astype(str).tolist() == ids
    assert found.users.places(ids).tolist() == [0, 1, 2]
    assert found.items.values.tolist() == [f"x{one}" for one in ids]
    if "Zoë" in ids:
        assert read(tmp_path, text.replace("日本", "a").encode("latin-1")).users.values[0] == "Zoë"


@pytest.mark.parametrize(
    "kind", [lambda ids: "u" + ids.astype(str), lambda ids: ids.astype(str),
             lambda ids: ids.astype("category"), lambda ids: ids.astype("float32"),
             lambda ids: ids.astype("Int64"), lambda ids: ids.map(lambda i: ("u", i))],
)  # fmt: skip
def test_a_frame_with_ids_of_any_kind(ratings, kind):
    data = ratings[0].assign(user_id=lambda data: kind(data["user_id"]))
    found = read_ratings(data, verbose=False)
    assert len(found.data) == len(data)
    assert (found.data["user_id"].to_numpy() - 1 == pd.factorize(data["user_id"])[0]).all()
    assert found.users.places(data["user_id"]).tolist() == pd.factorize(data["user_id"])[0].tolist()


def test_ratings_of_0_and_below_are_all_there_and_the_scale_is_said(tmp_path, capsys):
    text = "user,item,rating\na,x,0\na,y,-9.5\nb,x,10\nb,y,0\n"
    (tmp_path / "jester.csv").write_text(text, encoding="utf-8")
    ratings = read_ratings(tmp_path / "jester.csv")
    assert ratings.data["rating"].tolist() == [0, -9.5, 10, 0]
    assert "4 ratings by 2 users of 2 items on a scale from -9.5 to 10" in capsys.readouterr().out
    assert read(tmp_path, text, scale=(-10, 10)).scale.low == -10


def test_one_of_two_ratings_of_a_pair_is_kept_when_asked(tmp_path):
    text = "user,item,rating,time\na,x,1,20\nb,x,5,1\na,x,3,10\n"
    with pytest.raises(ValueError, match=r"row 1: user a rates item x a second time \(1 in all"):
        read(tmp_path, text)
    assert rows(read(tmp_path, text, keep="last"))[0] == ("a", "x", 1)  # the last by time
    kept = rows(read(tmp_path, text, keep="last", timestamp=False))
    assert kept == [("b", "x", 5), ("a", "x", 3)]
    assert rows(read(tmp_path, text, keep="first"))[1] == ("a", "x", 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user,item,rating\nAnn,x,1\nann,y,2\n", "'Ann' and 'ann' differ only in case"),
        ("user,item,rating\nb ob,x,1\nbob,y,2\n", "'b ob' and 'bob' differ only in case, blanks"),
        ("user,item,rating\n007,x,1\n7,y,2\n", "'007' and '7' differ only in"),
        ("user,item,rating\nann ,x,1\nann,y,2\n", "'ann ' and 'ann' are taken for one"),
    ],
)
def test_ids_that_look_alike_are_told(tmp_path, text, said):
    with pytest.warns(UserWarning, match=re.escape(said)):
        ratings = read(tmp_path, text)
    assert len(ratings.users) == (1 if "taken for one" in said else 2)


HEAD = "user,item,rating\n"
BAD = {
    "a missing column": ("userId,stars\n1,2\n", "no column that is the item: it has 'userId', "),
    "two ratings": ("user,item,rating,score\n1,2,3,4\n", "could be the rating: 'rating' and 'sco"),
    "two users": ("user,item,rating,uid\n1,2,3,4\n", "2 columns could be the user"),
    "text": (HEAD + "1,2,3\n1,3,good\n", "row 2: a rating has to be a finite number, got 'good'"),
    "infinity": (HEAD + "1,2,3\n1,3,-inf\n", "row 2: a rating has to be a finite number"),
    "no rating": (HEAD + "1,2,3\n1,3,\n", "row 2: a rating has to be a finite number, it is miss"),
    "NaN": (HEAD + "1,2,3\n1,3,NaN\n", "row 2: a rating has to be"),
    "no user": (HEAD + ",2,3\n1,3,2\n", "row 1: every row needs its user, it is missing"),
    "empty": ("", "is empty"),
    "blank lines": ("\n\n", "is empty"),
    "header only": (HEAD, "has no rows below its header"),
    "no header, wide": ("1,2,3,4,5,6\n", "has no header and 6 columns"),
    "pair twice": (HEAD + "1,2,3\n2,2,1\n1,2,4\n", "row 3: user 1 rates item 2 a second time"),
    "constant": (HEAD + "1,2,3\n2,2,3\n", "every rating is 3, so there is nothing to learn"),
    "ragged": (HEAD + "1,2,3\n2,3,4,5\n", "cannot be read as a table: .*line 3"),
    "decimal comma": (HEAD + "1,2,3,5\n", "cannot be read as a table"),
    "open quotation mark": (HEAD + '"1,2,3\n2,2,4\n', "cannot be read as a table|does not close"),
    "a word of two lines": (HEAD + '"a\nb",2,3\n1,3,4\n', "opens a quotation mark that does not"),
    "cut off": (gzip.compress(PLAIN.encode() * 99)[:60], "damaged or cut off"),
    "archive": (b"PK\x03\x04rest", "zip archive or a workbook"),
    "no date": ("user,item,rating,time\n1,2,3,soon\n2,2,4,9\n", "'soon' is no time; timestamp=F"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_table_is_one_error_that_names_the_file(tmp_path, fault):
    text, said = BAD[fault]
    with pytest.raises(ValueError, match=rf"ratings\.csv.*({said})") as stop:
        read(tmp_path, text)
    assert "\n" not in str(stop.value)


def test_a_rating_off_a_given_scale_and_a_scale_that_is_none(tmp_path):
    with pytest.raises(ValueError, match=r"from 1 to 5, got 0\.5 at .*ratings\.csv, row 1;"):
        read(tmp_path, PLAIN, scale=(1, 5))
    for scale in ((5, 1), 5, (1, 2, 3), "ab", (0, np.nan)):
        with pytest.raises(ValueError, match="scale"):
            read(tmp_path, PLAIN, scale=scale)


def test_a_wrong_encoding_and_a_wrong_way_to_keep(tmp_path):
    with pytest.raises(ValueError, match=r"ratings\.csv is not in ascii: name its encoding"):
        read(tmp_path, (HEAD + "Zoë,2,3\n1,3,2\n").encode("latin-1"), encoding="ascii")
    with pytest.raises(ValueError, match="keep must be None, 'first' or 'last', got 'best'"):
        read(tmp_path, PLAIN, keep="best")


def test_a_folder_and_no_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder: name the file in it"):
        read_ratings(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        read_ratings(tmp_path / "none.csv")


def test_parquet_is_read_by_pandas_or_says_what_to_install(tmp_path, monkeypatch):
    frame = pd.DataFrame(NUMBERS, columns=["user", "item", "rating"])
    monkeypatch.setattr(pd, "read_parquet", lambda path: frame)
    assert rows(read(tmp_path, b"PAR1....")) == NUMBERS

    def missing(path):
        raise ImportError("no engine")

    monkeypatch.setattr(pd, "read_parquet", missing)
    with pytest.raises(ImportError, match=r"ratings\.csv is parquet: pip install pyarrow"):
        read(tmp_path, b"PAR1....")
