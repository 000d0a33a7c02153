"""Tables, splits, matrices and batches against plain numpy and pandas, and known facts."""

import hashlib
import io
import shutil
import zipfile
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import autorec_d2l as d2l
from autorec_d2l import download, movielens

UDATA = "1\t2\t3\t881250949\n"
FOLDS = ["u1", "u2", "u3", "u4", "u5"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data folder for tables of our own, of any length."""
    monkeypatch.setenv("AUTOREC_D2L_DATA", str(tmp_path))
    monkeypatch.setattr(movielens, "_NUM_RATINGS", {"ml-100k": 1, "ml-1m": 4})
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


def test_movielens_100k_is_what_its_readme_says(ml100k):
    data, num_users, num_items = ml100k
    assert (len(data), num_users, num_items) == (100_000, 943, 1682)
    assert list(data.columns) == ["user_id", "item_id", "rating", "timestamp"]
    assert (data.dtypes == "int64").all()
    assert set(data["user_id"]) == set(range(1, 944))
    assert set(data["item_id"]) == set(range(1, 1683))
    assert set(data["rating"]) == {1, 2, 3, 4, 5}
    assert data["user_id"].value_counts().min() == 20
    assert data["timestamp"].between(pd.Timestamp("1997-09-19").timestamp(), 893_300_000).all()


def test_movielens_100k_written_back_is_grouplens_udata_byte_for_byte(ml100k):
    text = ml100k[0].to_csv(sep="\t", header=False, index=False, lineterminator="\n")
    found = hashlib.sha256(text.encode()).hexdigest()
    assert found == "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"


def test_the_films_of_movielens_100k(ml100k):
    items = d2l.read_items_ml100k()
    assert list(items.columns) == ["item_id", "title", "year", "genres"]
    assert items["item_id"].tolist() == list(range(1, 1683))
    assert items.duplicated(["title", "year"]).sum() == 18
    assert items.loc[0].tolist() == [1, "Toy Story", 1995, "Animation|Children's|Comedy"]
    assert items.loc[1411, ["title", "year"]].tolist() == [
        "Land Before Time III: The Time of the Great Giving",
        1995,
    ]
    assert items.loc[items["year"].isna(), "title"].tolist() == ["unknown"]
    assert items["year"].min() == 1922
    assert items["year"].max() == 1998
    assert not items["title"].str.contains(r"\(\d{4}\)").any()


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


# Tables that the user placed


@pytest.mark.parametrize(
    ("original", "how"), [(True, "verified by SHA-256"), (False, "checked row by row, not by hash")]
)
@pytest.mark.parametrize("file", ["u.data", "u.item"])
def test_of_an_unpacked_table_the_log_says_how_it_was_checked(
    home, monkeypatch, caplog, file, original, how
):
    caplog.set_level("INFO", logger="autorec_d2l")
    genres = "|0" * 19
    films = "".join(f"{i}|Film {i} (1990)|||{genres}\n" for i in range(1, 1683))
    raw = {"u.data": UDATA.encode(), "u.item": films.encode()}[file]
    (home / "ml-100k").mkdir()
    (home / "ml-100k" / "u.data").write_text(UDATA, encoding="utf-8")
    (home / "ml-100k" / file).write_bytes(raw)
    if original:
        monkeypatch.setitem(movielens._SHA256, file, hashlib.sha256(raw).hexdigest())
    if file == "u.data":
        assert d2l.read_data_ml100k()[0].values.tolist() == [[1, 2, 3, 881250949]]
    else:
        assert len(d2l.read_items_ml100k()) == 1682
    assert caplog.messages == [
        f"ml-100k: read from the unpacked folder {home / 'ml-100k'}",
        f"{file}: {how}",
    ]


def test_recboles_table_in_an_unpacked_folder_is_said_to_be_checked_too(home, caplog):
    caplog.set_level("INFO", logger="autorec_d2l")
    (home / "ml-100k").mkdir()
    (home / "ml-100k" / "ml-100k.inter").write_text("header\n" + UDATA, encoding="utf-8")
    assert d2l.read_data_ml100k()[0].values.tolist() == [[1, 2, 3, 881250949]]
    assert "ml-100k.inter: checked row by row, not by hash" in caplog.messages


def test_an_unpacked_folder_without_its_table_is_refused(home):
    (home / "ml-100k").mkdir()
    with pytest.raises(FileNotFoundError, match=r"has no u.data: unpack the whole archive there"):
        d2l.read_data_ml100k()
    (home / "ml-100k" / "u.data").write_text(UDATA, encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"has no u.item: unpack the whole archive there"):
        d2l.read_items_ml100k()


@pytest.mark.parametrize("length", [0, 16, 20, 32, 39, 46])
def test_a_table_that_is_cut_off_is_refused(home, monkeypatch, length):
    """Wherever it is cut: in the last row, at its end, or so that only a timestamp is shorter."""
    monkeypatch.setattr(movielens, "_NUM_RATINGS", {"ml-100k": 3})
    rows = UDATA + "2\t2\t3\t881250950\n" + "3\t2\t3\t881250951\n"
    (home / "ml-100k").mkdir()
    file = home / "ml-100k" / "u.data"
    file.write_text(rows, encoding="utf-8")
    assert len(d2l.read_data_ml100k()[0]) == 3
    file.write_text(rows[:-1], encoding="utf-8")
    assert len(d2l.read_data_ml100k()[0]) == 3, "without a line end it is whole all the same"
    file.write_text(rows[:length], encoding="utf-8")
    with pytest.raises(ValueError, match=r"Delete the file to download the original|u.data, row"):
        d2l.read_data_ml100k()


def test_a_fault_in_the_users_table_is_named(home):
    (home / "ml-100k").mkdir()
    (home / "ml-100k" / "u.data").write_text("1\t2\t3\t4\n1\t3\t6\t4\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"ml-100k/u.data, row 2: rating is outside 1 ... 5"):
        d2l.read_data_ml100k()


ML1M = "1::1193::5::978300760\n1::10::3::978302109\n6040::3952::4::956704746\n7::10::1::956704000\n"


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_movielens_1m_gets_ids_without_gaps_and_keeps_the_original_ones(home, monkeypatch, form):
    if form == "folder":
        (home / "ml-1m").mkdir()
        (home / "ml-1m" / "ratings.dat").write_text(ML1M, encoding="utf-8")
    else:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("ml-1m/ratings.dat", ML1M)
        (home / "ml-1m.zip").write_bytes(buffer.getvalue())
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        sources = [replace(source, sha256=digest) for source in download.SOURCES["ml-1m"]]
        monkeypatch.setitem(download.SOURCES, "ml-1m", sources)
    data, num_users, num_items = d2l.read_data_ml1m()
    assert (num_users, num_items) == (3, 3)
    assert data["user_id"].tolist() == [1, 1, 3, 2]
    assert data["item_id"].tolist() == [2, 1, 3, 1]
    assert data["rating"].tolist() == [5, 3, 4, 1]
    assert data["original_user_id"].tolist() == [1, 1, 6040, 7]
    assert data["original_item_id"].tolist() == [1193, 10, 3952, 10]
    assert data["timestamp"].tolist() == [978300760, 978302109, 956704746, 956704000]
    assert (data.dtypes == "int64").all()


def test_a_fault_in_movielens_1m_is_named(home):
    (home / "ml-1m").mkdir()
    (home / "ml-1m" / "ratings.dat").write_text(ML1M[:-25], encoding="utf-8")
    with pytest.raises(ValueError, match="ml-1m has 4 ratings, this table has 3 and is cut off"):
        d2l.read_data_ml1m()
    (home / "ml-1m" / "ratings.dat").write_text(ML1M + "1::10::3::978302109\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"ml-1m/ratings.dat, row 5: this user has rated this it"):
        d2l.read_data_ml1m()


# Splits


@pytest.mark.parametrize("split_mode", ["random", "seq-aware", *FOLDS])
def test_the_parts_are_disjoint_complete_and_in_order(ml100k, split_mode):
    train_data, test_data = d2l.split_data_ml100k(*ml100k, split_mode)
    assert train_data.index.is_monotonic_increasing
    assert test_data.index.is_monotonic_increasing
    pd.testing.assert_frame_equal(pd.concat([train_data, test_data]).sort_index(), ml100k[0])
    sizes = {"random": 10_000, "seq-aware": 943}
    assert len(test_data) == sizes.get(split_mode, 20_000)


@pytest.mark.parametrize("split_mode", ["random", "seq-aware", "u3"])
def test_the_same_seed_gives_the_same_split(ml100k, split_mode):
    first, again = (d2l.split_data_ml100k(*ml100k, split_mode, 0.1, seed=5)[1] for _ in range(2))
    pd.testing.assert_frame_equal(first, again)


def test_another_seed_gives_another_random_split_whatever_numpys_global_state(ml100k):
    np.random.seed(1)
    zero = d2l.split_data_ml100k(*ml100k, seed=0)[1]
    one = d2l.split_data_ml100k(*ml100k, seed=1)[1]
    assert len(zero.index.intersection(one.index)) < 1200  # 1000 by chance
    # A seed names the same split for ever: numpy has frozen this stream.
    frozen = np.random.RandomState(0).permutation(100_000)[:10_000]
    assert zero.index.tolist() == sorted(frozen)


@pytest.mark.parametrize("test_ratio", [0.1, 0.25, 0.5])
def test_the_ratio_is_that_of_the_test_part(ml100k, test_ratio):
    assert len(d2l.split_data_ml100k(*ml100k, test_ratio=test_ratio)[1]) == 100_000 * test_ratio


@pytest.mark.parametrize("k", range(5))
def test_the_folds_are_blocks_of_rows(ml100k, k):
    test_data = d2l.split_data_ml100k(*ml100k, FOLDS[k])[1]
    pd.testing.assert_frame_equal(test_data, ml100k[0].iloc[20_000 * k : 20_000 * (k + 1)])


def test_seq_aware_takes_what_a_plain_loop_over_the_rows_takes(ml100k):
    last = {}
    for row in ml100k[0].itertuples():
        if row.user_id not in last or row.timestamp > last[row.user_id].timestamp:
            last[row.user_id] = row
    test_data = d2l.split_data_ml100k(*ml100k, "seq-aware")[1]
    assert sorted(row.Index for row in last.values()) == test_data.index.tolist()


def test_415_users_tie_at_their_last_timestamp(ml100k):
    data = ml100k[0]
    latest = data.groupby("user_id")["timestamp"].transform("max")
    ties = Counter(data.loc[data["timestamp"] == latest, "user_id"])
    assert sum(count > 1 for count in ties.values()) == 415


def test_seq_aware_by_hand_takes_the_first_of_several_last_ratings(ratings):
    train_data, test_data = d2l.split_data_ml100k(ratings, 4, 3, "seq-aware", test_ratio=0)
    assert test_data.index.tolist() == [1, 2, 4, 5]
    assert train_data.index.tolist() == [0, 3, 6]


def test_seq_aware_counts_rows_not_index_labels(ratings):
    unlabelled = ratings.set_index(pd.Index([0] * len(ratings)))
    test_data = d2l.split_data_ml100k(unlabelled, 4, 3, "seq-aware")[1]
    assert test_data.values.tolist() == ratings.iloc[[1, 2, 4, 5]].values.tolist()


def test_splitting_leaves_the_table_as_it_was(ratings):
    before = ratings.copy()
    for split_mode in ("random", "seq-aware"):
        d2l.split_data_ml100k(ratings, 4, 3, split_mode, 0.5)
    pd.testing.assert_frame_equal(ratings, before)


@pytest.mark.parametrize("test_ratio", [0, 1, -0.1, 1.5, float("nan")])
def test_a_ratio_outside_0_and_1_is_refused(ratings, test_ratio):
    with pytest.raises(ValueError, match=rf"test_ratio must lie between 0 and 1, got {test_ratio}"):
        d2l.split_data_ml100k(ratings, 4, 3, test_ratio=test_ratio)


@pytest.mark.parametrize("split_mode", ["u6", "Random", "", None])
def test_an_unknown_split_mode_is_refused(ratings, split_mode):
    with pytest.raises(ValueError, match="split_mode must be one of random, seq-aware, u1, u2, u3"):
        d2l.split_data_ml100k(ratings, 4, 3, split_mode)


def test_a_fold_of_other_data_is_refused(ratings):
    with pytest.raises(ValueError, match=r"'u2' is a fold of the 100,000 rows.*got 7 rows; use"):
        d2l.split_data_ml100k(ratings, 4, 3, "u2")


@pytest.mark.parametrize(("part", "test_ratio"), [("test", 0.01), ("train", 0.99)])
def test_an_empty_part_is_refused(ratings, part, test_ratio):
    with pytest.raises(ValueError, match=f"the {part} part of 7 ratings is empty"):
        d2l.split_data_ml100k(ratings, 4, 3, test_ratio=test_ratio)


def test_an_empty_train_part_of_seq_aware_is_refused(ratings):
    with pytest.raises(ValueError, match=r"the train part of 2 ratings is empty.*'seq-aware'"):
        d2l.split_data_ml100k(ratings.iloc[[0, 2]], 4, 3, "seq-aware")


@pytest.mark.parametrize("use", [d2l.split_data_ml100k, d2l.load_data_ml100k])
@pytest.mark.parametrize(
    ("cell", "value", "message"),
    [
        ((2, "user_id"), 5, r"user_id .* from 1 to 4 \(num_users\), got 5 in data.iloc\[2\]"),
        ((2, "user_id"), 0, r"user_id .* from 1 to 4 \(num_users\), got 0 in data.iloc\[2\]"),
        ((3, "item_id"), 4, r"item_id .* from 1 to 3 \(num_items\), got 4 in data.iloc\[3\]"),
        ((3, "item_id"), -1, r"item_id .* from 1 to 3 \(num_items\), got -1 in data.iloc\[3\]"),
        ((3, "item_id"), 1, r"user 2 rates item 1 a second time in data.iloc\[3\]; keep one"),
    ],
)
def test_ids_out_of_range_and_repeated_pairs_are_refused(ratings, use, cell, value, message):
    ratings.loc[cell] = value
    with pytest.raises(ValueError, match=message):
        use(ratings, 4, 3)


@pytest.mark.parametrize("use", [d2l.split_data_ml100k, d2l.load_data_ml100k])
def test_an_empty_table_is_refused(ratings, use):
    with pytest.raises(ValueError, match="the table of ratings is empty"):
        use(ratings[:0], 4, 3)


# Tensors and batches


def test_loading_by_hand(ratings):
    users, items, scores, inter = d2l.load_data_ml100k(ratings, 4, 3)
    assert users.tolist() == [0, 0, 1, 1, 2, 3, 3]
    assert items.tolist() == [0, 1, 0, 2, 1, 2, 0]
    assert scores.tolist() == [5, 3, 4, 1, 2, 4, 2]
    assert inter.tolist() == [[5, 4, 0, 2], [3, 0, 2, 0], [0, 1, 0, 4]]
    assert users.dtype == items.dtype == torch.int64
    assert scores.dtype == inter.dtype == torch.float32


def test_loading_takes_a_table_backwards(ratings):
    *forwards, inter = d2l.load_data_ml100k(ratings, 4, 3)
    *backwards, same = d2l.load_data_ml100k(ratings[::-1], 4, 3)
    assert torch.equal(inter, same)
    for one, other in zip(forwards, backwards, strict=True):
        assert torch.equal(one, other.flip(0))


def test_implicit_feedback_is_one_where_there_is_a_rating(ratings):
    scores, inter = d2l.load_data_ml100k(ratings, 4, 3, feedback="implicit")[2:]
    assert scores.tolist() == [1] * 7
    assert inter.tolist() == [[1, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1]]


@pytest.mark.parametrize("feedback", ["Explicit", "", None])
def test_other_feedback_is_refused(ratings, feedback):
    with pytest.raises(ValueError, match="feedback must be 'explicit' or 'implicit', got"):
        d2l.load_data_ml100k(ratings, 4, 3, feedback)


def test_the_matrix_of_movielens_100k_is_the_one_that_pandas_pivots(ml100k):
    data, num_users, num_items = ml100k
    inter = d2l.load_data_ml100k(data, num_users, num_items)[3]
    pivot = data.pivot(index="item_id", columns="user_id", values="rating").fillna(0)
    assert inter.shape == (1682, 943)
    assert np.array_equal(inter.numpy(), pivot.to_numpy())


def test_batches_cover_every_row_once_and_keep_the_short_one():
    rows = torch.arange(10)
    batches = list(d2l.load_array((rows,), 4))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert sorted(torch.cat(batches).tolist()) == list(range(10))


def test_training_batches_are_shuffled_anew_each_epoch_and_alike_for_a_seed():
    def epochs(seed):
        batches = d2l.load_array((torch.arange(100),), 30, seed=seed)
        return [torch.cat(list(batches)).tolist() for _ in range(3)]

    first, second, third = epochs(0)
    assert list(range(100)) != first
    assert first != second != third != first
    assert epochs(0) == [first, second, third]
    assert epochs(1)[0] != first


def test_the_order_of_batches_does_not_hang_on_the_global_seed():
    orders = []
    for seed in range(2):
        torch.manual_seed(seed)
        orders.append(torch.cat(list(d2l.load_array((torch.arange(100),), 30))).tolist())
    assert orders[0] == orders[1]


def test_evaluation_batches_are_in_order_each_time():
    batches = d2l.load_array((torch.arange(10),), 3, is_train=False)
    for _ in range(2):
        assert torch.cat(list(batches)).tolist() == list(range(10))


def test_several_tensors_stay_aligned():
    users = torch.arange(10)
    for batch_users, batch_scores in d2l.load_array((users, 10.0 * users), 4):
        assert torch.equal(batch_scores, 10.0 * batch_users)


def test_a_row_keeps_its_shape():
    [batch] = d2l.load_array((torch.ones(3, 4),), 5)
    assert torch.equal(batch, torch.ones(3, 4))


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_size_below_1_is_refused(batch_size):
    with pytest.raises(ValueError, match=f"batch_size must .* at least 1, got {batch_size}"):
        d2l.load_array((torch.ones(3),), batch_size)


@pytest.mark.parametrize("split_mode", ["seq-aware", "random"])
def test_split_and_load_is_the_three_steps_in_one(ml100k, split_mode):
    num_users, num_items, *loaded = d2l.split_and_load_ml100k(
        split_mode, test_ratio=0.2, batch_size=5000, seed=3
    )
    assert (num_users, num_items) == (943, 1682)
    parts = d2l.split_data_ml100k(*ml100k, split_mode, 0.2, seed=3)
    train, test = (d2l.load_data_ml100k(part, 943, 1682)[:3] for part in parts)
    expected = (
        d2l.load_array(train, 5000, seed=3, last_batch="rollover"),
        d2l.load_array(test, 5000, is_train=False),
    )
    for batches, others in zip(loaded, expected, strict=True):
        for batch, other in zip(batches, others, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(batch, other, strict=True))


def test_split_and_load_is_seq_aware_unless_told_otherwise(ml100k):
    _, _, train_iter, test_iter = d2l.split_and_load_ml100k()
    assert sum(len(scores) for _, _, scores in test_iter) == 943
    assert len(next(iter(train_iter))[2]) == 256


def test_split_and_load_passes_the_feedback_on(ml100k):
    test_iter = d2l.split_and_load_ml100k(feedback="implicit")[3]
    assert {score for _, _, scores in test_iter for score in scores.tolist()} == {1}
