"""Tables, splits and matrices against plain numpy and pandas, and known facts."""

import hashlib
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

import autorec_d2l as d2l
from autorec_d2l.data import download, movielens

UDATA = "1\t2\t3\t881250949\n2\t2\t3\t881250950\n3\t2\t3\t881250951\n"
ML1M = "1::1193::5::978300760\n7::10::1::956704000\n1::10::3::978302109\n6040::3952::4::956704746\n"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data folder for small unpacked tables."""
    monkeypatch.setenv("AUTOREC_D2L_DATA", str(tmp_path))
    monkeypatch.setattr(movielens, "_NUM_RATINGS", {"ml-100k": 3, "ml-1m": 4})
    (tmp_path / "ml-100k").mkdir()
    (tmp_path / "ml-1m").mkdir()
    return tmp_path


@pytest.fixture
def ratings():
    """Three films and four users, seven ratings; user 2 ties at the last timestamp."""
    return pd.DataFrame(
        {
            "user_id": [1, 1, 2, 2, 3, 4, 4],
            "item_id": [1, 2, 1, 3, 2, 3, 1],
            "rating": [5, 3, 4, 1, 2, 4, 2],
            "timestamp": [10, 20, 30, 30, 5, 9, 8],
        }
    )


# MovieLens-100K


def test_movielens_100k_written_back_is_grouplens_udata_byte_for_byte(ml100k):
    data, num_users, num_items = ml100k
    assert (num_users, num_items) == (943, 1682)
    assert list(data.columns) == ["user_id", "item_id", "rating", "timestamp"]
    assert (data.dtypes == "int64").all()
    text = data.to_csv(sep="\t", header=False, index=False, lineterminator="\n")
    found = hashlib.sha256(text.encode()).hexdigest()
    assert found == "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"


def test_the_films_of_movielens_100k(ml100k):
    items = d2l.read_items_ml100k()
    assert list(items.columns) == ["item_id", "title", "year", "genres"]
    assert items["item_id"].tolist() == list(range(1, 1683))
    assert items.duplicated(["title", "year"]).sum() == 18
    assert items.loc[0].tolist() == [1, "Toy Story", 1995, "Animation|Children's|Comedy"]
    assert items.loc[items["year"].isna(), "title"].tolist() == ["unknown"]
    assert (items["year"].min(), items["year"].max()) == (1922, 1998)


def test_both_real_sources_give_the_same_tables(monkeypatch, tmp_path):
    home = download.data_home()
    files = {source.file for source in download.SOURCES["ml-100k"]}
    missing = [file for file in sorted(files) if not (home / file).is_file()]
    if missing:
        pytest.skip(f"needs both archives, but {home} has no {' and no '.join(missing)}")
    tables = []
    for file in files:
        (tmp_path / file).mkdir()
        shutil.copy(home / file, tmp_path / file)
        monkeypatch.setenv("AUTOREC_D2L_DATA", str(tmp_path / file))
        tables.append((d2l.read_data_ml100k()[0], d2l.read_items_ml100k()))
    pd.testing.assert_frame_equal(tables[0][0], tables[1][0])
    pd.testing.assert_frame_equal(tables[0][1], tables[1][1])


# Unpacked tables


def test_an_unpacked_table_is_read_and_an_edited_one_is_noted(home, monkeypatch, caplog):
    for file, text in (("u.data", UDATA), ("ml-100k.inter", "header\n" + UDATA)):
        (home / "ml-100k" / file).write_text(text, encoding="utf-8")
        caplog.clear()
        assert d2l.read_data_ml100k()[0]["user_id"].tolist() == [1, 2, 3]
        assert "has another u.data than the published one" in caplog.text
    caplog.clear()
    monkeypatch.setattr(movielens, "_SHA256", hashlib.sha256(UDATA.encode()).hexdigest())
    d2l.read_data_ml100k()
    assert caplog.messages == []


def test_an_unpacked_folder_without_its_table_is_refused(home):
    with pytest.raises(FileNotFoundError, match=r"ml-100k/u.data"):
        d2l.read_data_ml100k()
    with pytest.raises(FileNotFoundError, match=r"ml-100k/u.item"):
        d2l.read_items_ml100k()


@pytest.mark.parametrize("length", [0, 32, 38])
def test_a_table_that_is_cut_off_is_refused(home, length):
    """In a row or between two; where only a timestamp is shorter, the hash is another."""
    (home / "ml-1m" / "ratings.dat").write_text(ML1M[: ML1M.index("6040")], encoding="utf-8")
    with pytest.raises(ValueError, match="ml-1m has 4 ratings, this table has 3 and is cut off"):
        d2l.read_data_ml1m()
    file = home / "ml-100k" / "u.data"
    file.write_text(UDATA[:-1], encoding="utf-8")
    assert len(d2l.read_data_ml100k()[0]) == 3, "only the last line end is missing"
    file.write_text(UDATA[:length], encoding="utf-8")
    with pytest.raises(ValueError, match=r"is cut off|u.data: "):
        d2l.read_data_ml100k()


def test_movielens_1m_gets_ids_without_gaps_and_keeps_the_original_ones(home):
    (home / "ml-1m" / "ratings.dat").write_text(ML1M, encoding="utf-8")
    data, num_users, num_items = d2l.read_data_ml1m()
    assert (num_users, num_items) == (3, 3)
    assert data.to_dict("list") == {
        "user_id": [1, 1, 2, 3],
        "item_id": [1, 2, 1, 3],
        "rating": [3, 5, 1, 4],
        "timestamp": [978302109, 978300760, 956704000, 956704746],
        "original_user_id": [1, 1, 7, 6040],
        "original_item_id": [10, 1193, 10, 3952],
    }
    assert (data.dtypes == "int64").all()


def test_the_order_of_the_file_of_movielens_1m_does_not_change_a_split(home):
    splits = []
    for rows in (ML1M.splitlines(), ML1M.splitlines()[::-1]):
        (home / "ml-1m" / "ratings.dat").write_text("\n".join(rows), encoding="utf-8")
        splits.append(d2l.split_data_ml100k(*d2l.read_data_ml1m(), "random", 0.5))
    for part, other in zip(*splits, strict=True):
        pd.testing.assert_frame_equal(part, other)


# Splits


def test_the_folds_are_blocks_of_rows_and_the_rest_is_for_training(ml100k):
    for k in range(5):
        train_data, test_data = d2l.split_data_ml100k(*ml100k, f"u{k + 1}")
        assert test_data.index.tolist() == list(range(20_000 * k, 20_000 * (k + 1)))
        assert train_data.index.is_monotonic_increasing
        pd.testing.assert_frame_equal(pd.concat([train_data, test_data]).sort_index(), ml100k[0])


def test_a_seed_gives_one_random_split_whatever_numpys_global_state(ml100k):
    np.random.seed(1)
    zero, one = (d2l.split_data_ml100k(*ml100k, seed=seed)[1].index for seed in (0, 1))
    assert len(zero.intersection(one)) < 1200  # 1000 by chance
    # numpy has frozen this stream, so that a seed gives the same split in every version.
    assert zero.tolist() == sorted(np.random.RandomState(0).permutation(100_000)[:10_000])
    assert len(d2l.split_data_ml100k(*ml100k, test_ratio=0.25)[1]) == 25_000


def test_seq_aware_takes_what_a_plain_loop_over_the_rows_takes(ml100k):
    last = {}
    for row in ml100k[0].itertuples():
        if row.user_id not in last or row.timestamp > last[row.user_id].timestamp:
            last[row.user_id] = row
    test_data = d2l.split_data_ml100k(*ml100k, "seq-aware")[1]
    assert sorted(row.Index for row in last.values()) == test_data.index.tolist()


def test_seq_aware_by_hand_takes_the_first_of_several_last_ratings(ratings):
    before = ratings.copy()
    train_data, test_data = d2l.split_data_ml100k(ratings, 4, 3, "seq-aware", test_ratio=0)
    assert test_data.index.tolist() == [1, 2, 4, 5]
    assert train_data.index.tolist() == [0, 3, 6]
    times = ratings["timestamp"] + 2**60  # of which float64 knows only some
    unlabelled = ratings.assign(timestamp=times).set_index(pd.Index([0] * len(ratings)))
    test_data = d2l.split_data_ml100k(unlabelled, 4, 3, "seq-aware")[1]
    assert test_data["item_id"].tolist() == [2, 1, 2, 3]
    pd.testing.assert_frame_equal(ratings, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_ratio": float("nan")}, "test_ratio must lie between 0 and 1, got nan"),
        ({"split_mode": "u6"}, "split_mode must be one of random, seq-aware, u1, .*, got 'u6'"),
        ({"split_mode": "u2"}, "'u2' is a fold of the 100,000 rows.*got 7 rows; use"),
        ({"test_ratio": 0.01}, "the test part of 7 ratings is empty"),
        ({"test_ratio": 0.99}, "the train part of 7 ratings is empty"),
        ({"seed": -1}, "seed must be an integer, at least 0, got -1"),
    ],
)
def test_other_splits_are_refused(ratings, options, message):
    with pytest.raises(ValueError, match=message):
        d2l.split_data_ml100k(ratings, 4, 3, **options)


# Tensors


def test_loading_by_hand(ratings):
    for table in (ratings, ratings[::-1]):
        users, items, scores, inter = d2l.load_data_ml100k(table, 4, 3)
        assert inter.tolist() == [[5, 4, 0, 2], [3, 0, 2, 0], [0, 1, 0, 4]]
        assert users.tolist() == (table["user_id"] - 1).tolist()
        assert items.tolist() == (table["item_id"] - 1).tolist()
        assert scores.tolist() == table["rating"].tolist()
        assert users.dtype == items.dtype == torch.int64
        assert scores.dtype == inter.dtype == torch.float32


def test_implicit_feedback_is_one_where_there_is_a_rating(ratings):
    scores, inter = d2l.load_data_ml100k(ratings, 4, 3, feedback="implicit")[2:]
    assert scores.tolist() == [1] * 7
    assert inter.tolist() == [[1, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1]]
    with pytest.raises(ValueError, match="feedback must be 'explicit' or 'implicit', got 'other'"):
        d2l.load_data_ml100k(ratings, 4, 3, "other")


def test_matrices_too_large_are_refused_before_memory_is_taken(ratings):
    with pytest.raises(ValueError, match=r"90,000 items takes 288 GB: use .*sparse"):
        d2l.load_data_ml100k(ratings, 800_000, 90_000)
    with pytest.raises(ValueError, match=r"item_id goes up to 987,654,321, for 7 ratings: renum"):
        d2l.load_data_ml100k(ratings, 4, 987_654_321)


@pytest.mark.parametrize("given", [(), ("random", "implicit", 0.2, 5000, 3)])
def test_split_and_load_is_the_three_steps_in_one(ml100k, given):
    """Its defaults are those of d2l."""
    mode, feedback, ratio, batch_size, seed = given or ("seq-aware", "explicit", 0.1, 256, 0)
    num_users, num_items, *loaded = d2l.split_and_load_ml100k(*given)
    assert (num_users, num_items) == (943, 1682)
    parts = d2l.split_data_ml100k(*ml100k, mode, ratio, seed=seed)
    train, test = (d2l.load_data_ml100k(part, 943, 1682, feedback)[:3] for part in parts)
    expected = (
        d2l.load_array(train, batch_size, seed=seed, last_batch="rollover"),
        d2l.load_array(test, batch_size, is_train=False),
    )
    for batches, others in zip(loaded, expected, strict=True):
        for batch, other in zip(batches, others, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(batch, other, strict=True))
