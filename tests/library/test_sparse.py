"""The sparse model against the dense one and against finite differences."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import gradcheck
from training_runs import compress

import autorec_d2l as d2l
from autorec_d2l.data.rating_scale import STARS
from autorec_d2l.sparse import (
    HalfSumOfSquares,
    RatingMatrix,
    SparseAutoRec,
    evaluator_sparse,
    matrix,
    pattern,
)
from autorec_d2l.sparse.ops import DotCells, SumRows, dot_cells
from autorec_d2l.sparse.pattern import SparsityPattern

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from configurations import QuickDropout

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_gpu)]
NUM_ITEMS, NUM_USERS, NUM_HIDDEN = 9, 7, 5


def make_ratings(num_items=NUM_ITEMS, num_users=NUM_USERS, seed=0):
    """Return a dense matrix with an empty row, a row of one rating, a full row, an empty column."""
    generator = torch.Generator().manual_seed(seed)
    dense = torch.randint(1, 6, (num_items, num_users), generator=generator).float()
    dense *= torch.rand(num_items, num_users, generator=generator) < 0.4
    dense[:, 3] = 0
    dense[0] = 0
    dense[1] = 0
    dense[1, 2] = 4
    dense[2] = torch.arange(num_users) % 5 + 1
    return dense


def make_pair(**options):
    """Return a dense and a sparse network with the same parameters, in float64."""
    torch.manual_seed(1)
    dense = d2l.AutoRec(NUM_HIDDEN, NUM_USERS, dropout=0.0).double()
    for parameter in dense.parameters():
        nn.init.normal_(parameter, std=0.5)
    sparse = SparseAutoRec(NUM_HIDDEN, NUM_USERS, dropout=0.0, **options).double()
    sparse.load_state_dict(dense.state_dict())
    return dense, sparse


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("product", [SumRows, DotCells])
def test_backward_of_both_products_agrees_with_finite_differences(product, device):
    ratings = make_ratings().double().to(device).to_sparse_csr()
    cells = SparsityPattern.of(ratings)
    shape = (NUM_ITEMS, 3) if product is DotCells else (len(cells.col),)
    options = {"dtype": torch.float64, "device": device, "requires_grad": True}
    inputs = [torch.randn(shape, **options), torch.randn(NUM_USERS, 3, **options)]
    assert gradcheck(lambda *tensors: product.apply(*tensors, cells), inputs, rtol=1e-6)


def test_products_are_the_dense_ones_whatever_the_order_of_the_cells(monkeypatch):
    """By row, by column, and by row in blocks of columns."""
    ratings = make_ratings(20, 33).double()
    left, right = torch.randn(20, 3).double(), torch.randn(33, 3).double()
    for block, num_blocks, is_sorted in ((4096, 1, False), (8, 4, True)):
        monkeypatch.setattr(pattern, "BLOCK", block)
        cells = SparsityPattern.of(ratings.to_sparse_csr())
        dots = dot_cells(cells, left, right)
        torch.testing.assert_close(dots, (left @ right.t())[ratings != 0])
        sums = SumRows.apply(ratings[ratings != 0], right, cells)
        torch.testing.assert_close(sums, ratings @ right)
        assert len(cells.by_row[0]) == num_blocks * 20 + 1
        assert ("by_column" in vars(cells)) is is_sorted
    inputs = [ratings[ratings != 0].requires_grad_(), right.requires_grad_()]
    assert gradcheck(lambda *tensors: SumRows.apply(*tensors, cells), inputs, rtol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("is_bounded", [False, True])
def test_outputs_and_gradients_are_the_dense_ones(is_bounded, device):
    dense, sparse = make_pair(output=STARS.bounded if is_bounded else torch.positive)
    dense.to(device), sparse.to(device)
    ratings = make_ratings().double().to(device)
    rated = ratings != 0
    expected, predictions = dense(ratings), sparse(ratings.to_sparse_csr())
    if is_bounded:  # written out once more, as the dense model has no such output
        hidden = torch.sigmoid(ratings @ dense.encoder.weight.t() + dense.encoder.bias)
        scores = hidden @ dense.decoder.weight.t() + dense.decoder.bias
        expected = (1 + 4 / (1 + torch.exp(-scores))) * rated
    torch.testing.assert_close(predictions, expected[rated], rtol=1e-10, atol=1e-10)
    d2l.L2Loss()(expected, ratings).backward()
    HalfSumOfSquares(ratings.numel())(predictions, ratings[rated]).backward()
    for (name, parameter), other in zip(dense.named_parameters(), sparse.parameters(), strict=True):
        assert parameter.grad.abs().max() > 0
        # The sparse model stores the weights of the encoder by user.
        grad = other.grad.t() if name == "encoder.weight" else other.grad
        torch.testing.assert_close(grad, parameter.grad, rtol=1e-5, atol=1e-12, msg=name)


def test_training_through_the_loop_gives_the_dense_history():
    """Also where a batch of the evaluation, and one of the training, has no rating."""
    ratings, test = make_ratings(40, 30), make_ratings(40, 30, seed=5)
    ratings[16:32] = 0
    histories = []
    for net_class, train, held_out, evaluator in (
        (d2l.AutoRec, ratings, test, None),
        (SparseAutoRec, compress(ratings), compress(test), evaluator_sparse),
    ):
        torch.manual_seed(3)  # the same weights and, in the hidden layer, the same dropout
        net = net_class(16, 30)
        history = d2l.train_recsys_rating(
            net,
            d2l.load_array((train,), 8, seed=2),
            d2l.load_array((train,), 16, is_train=False),
            HalfSumOfSquares(8 * 30),
            torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=1e-3),
            4,
            devices=[torch.device("cpu")],
            evaluator=evaluator,
            inter_mat=held_out,
        )
        histories.append(torch.tensor(history[["train_rmse", "test_rmse"]].to_numpy()))
    torch.testing.assert_close(histories[1], histories[0], rtol=1e-5, atol=0)
    assert histories[0][-1, 0] < histories[0][0, 0] - 0.1  # it did learn


def test_state_dicts_interchange_in_both_directions():
    dense, sparse = make_pair()
    shapes = {name: value.shape for name, value in dense.state_dict().items()}
    assert {name: value.shape for name, value in sparse.state_dict().items()} == shapes
    assert all(value.is_contiguous() for value in sparse.state_dict().values())
    other = d2l.AutoRec(NUM_HIDDEN, NUM_USERS).double()
    other.load_state_dict(sparse.state_dict())
    for name, value in dense.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
    with pytest.raises(RuntimeError, match=r"size mismatch for encoder\.weight"):
        sparse.load_state_dict(d2l.AutoRec(NUM_HIDDEN, NUM_USERS + 1).state_dict())


def test_the_evaluator_agrees_with_the_dense_one():
    dense, sparse = make_pair()
    train, test = make_ratings(), make_ratings(seed=4)
    devices = [torch.device("cpu")]
    expected = d2l.evaluator(dense.float(), [train], test, devices)
    batches = d2l.load_array((compress(train),), 4, is_train=False)
    sparse.float().train()
    assert evaluator_sparse(sparse, batches, compress(test), devices) == pytest.approx(expected)
    assert sparse.training
    with pytest.raises(ValueError, match="differ from row 8 on"):
        evaluator_sparse(sparse, batches, compress(test[:-1]), devices)
    with pytest.raises(ValueError, match="differ from row 0 on"):
        evaluator_sparse(sparse, batches, compress(test[:, :5]), devices)
    with pytest.raises(ValueError, match="test_iter shuffles its rows"):
        evaluator_sparse(sparse, d2l.load_array((compress(train),), 4), compress(test), devices)


def test_input_dropout_drops_inputs_scales_the_others_and_keeps_all_targets():
    ratings, target = compress(make_ratings())[:]
    torch.manual_seed(0)
    net = SparseAutoRec(NUM_HIDDEN, NUM_USERS, 0.0, input_dropout=0.5)
    seen = []
    handle = net.input_dropout.register_forward_hook(lambda *args: seen.append(args[-1]))
    predictions = net(ratings)
    handle.remove()
    kept = seen[0] != 0
    assert 0 < kept.sum() < len(target)
    torch.testing.assert_close(seen[0][kept], 2 * target[kept])
    assert predictions.shape == target.shape
    net.eval()
    undropped = SparseAutoRec(NUM_HIDDEN, NUM_USERS, 0.0)
    undropped.load_state_dict(net.state_dict())
    torch.testing.assert_close(net(ratings), undropped(ratings))


@pytest.mark.parametrize("device", DEVICES)
def test_quick_dropout_drops_as_many_and_keeps_the_mean(device):
    p = 0.3
    torch.manual_seed(0)
    ones = torch.ones(999, 1001, device=device, requires_grad=True)
    out = QuickDropout(p)(ones)
    dropped = float((out == 0).double().mean())
    assert dropped == pytest.approx(p, abs=5 * (p * (1 - p) / ones.numel()) ** 0.5)
    assert out.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)], rel=1e-4)
    # No pattern: neighbours, which come from one draw of 64 bits, are dropped independently.
    both = float(((out[:, 1:] == 0) & (out[:, :-1] == 0)).double().mean())
    assert both == pytest.approx(p * p, abs=5 * p / ones.numel() ** 0.5)
    out.sum().backward()
    assert torch.equal(ones.grad, out.detach())
    assert torch.equal(QuickDropout(p).eval()(ones), ones)
    for limit, expected in ((0.0, 1), (1.0, 0)):
        assert QuickDropout(limit)(ones).unique().tolist() == [expected]


def test_deeper_networks_are_plain_layers_one_after_the_other():
    activation = nn.functional.selu
    net = SparseAutoRec(
        NUM_HIDDEN, NUM_USERS, 0.0, more_hidden=(3, 6), activation=activation, output=torch.relu
    )
    nn.init.normal_(net.decoder.weight)  # away from 0, where the last ReLU kinks
    ratings = make_ratings()
    hidden = activation(ratings @ net.encoder.weight + net.encoder.bias)
    for layer in net.more:
        hidden = activation(layer(hidden))
    expected = torch.relu(net.decoder(hidden))[ratings != 0]
    assert [layer.out_features for layer in net.more] == [3, 6]
    torch.testing.assert_close(net(compress(ratings)[:][0]), expected)


def test_centring_takes_column_and_row_means_off_the_input_and_adds_them_to_the_output():
    ratings = make_ratings()
    rated = ratings != 0
    mean = ratings[rated].mean()
    column_means = mean + ((ratings - mean) * rated).sum(0) / (rated.sum(0) + 2)
    torch.testing.assert_close(compress(ratings).column_means(damping=2), column_means)
    rest = (ratings - column_means) * rated
    row_means = rest.sum(1, keepdim=True) / (rated.sum(1, keepdim=True) + 4)
    net = SparseAutoRec(NUM_HIDDEN, NUM_USERS, 0.0, column_means=column_means, damping=4)
    nn.init.normal_(net.encoder.weight)
    hidden = torch.sigmoid(((rest - row_means) * rated) @ net.encoder.weight + net.encoder.bias)
    expected = net.decoder(hidden) + column_means + row_means
    everywhere = torch.ones_like(ratings).to_sparse_csr()
    predictions = net(compress(ratings)[:][0], at=everywhere).reshape(ratings.shape)
    torch.testing.assert_close(predictions, expected)
    assert "column_means" in net.state_dict()


def test_a_batch_without_ratings_predicts_for_empty_rows_and_learns_nothing():
    dense, sparse = make_pair()
    empty, target = compress(make_ratings())[[0, 0]]
    empty = empty.double()
    predictions = sparse(empty)
    assert predictions.shape == target.shape == (0,)
    loss = HalfSumOfSquares()(predictions, target)
    loss.backward()
    assert loss == 0
    assert all(not parameter.grad.any() for parameter in sparse.parameters())
    elsewhere = torch.ones(2, NUM_USERS).double().to_sparse_csr()
    expected = dense.eval()(torch.zeros(2, NUM_USERS).double())
    torch.testing.assert_close(sparse(empty, at=elsewhere), expected.flatten())


def test_rows_of_another_layout_or_shape_are_refused():
    """The kernels would read other memory."""
    net, rows = make_pair()[1], torch.ones(2, 7).double().to_sparse_csr()
    with pytest.raises(ValueError, match=r"ratings must be .* 2 by 7 .*, got 2 by 8 of"):
        net(torch.ones(2, 8).double().to_sparse_csr())
    with pytest.raises(ValueError, match=r"ratings must be sparse CSR rows.* of layout strided"):
        net(torch.ones(2, 7).double())
    with pytest.raises(ValueError, match=r"at must .* 2 by 7 .*, got 3 by 7"):
        net(rows, at=torch.ones(3, 7).to_sparse_csr())


@pytest.mark.parametrize("device", DEVICES)
def test_batches_hold_the_rows_asked_for_in_that_order(device):
    dense = make_ratings().to(device)
    matrix = compress(dense.cpu()).to(torch.device(device))
    for index in ([2, 0, 5, 2], slice(3, 6), [-1]):
        ratings, target = matrix[index]
        torch.testing.assert_close(ratings.to_dense(), dense[index])
        torch.testing.assert_close(target, dense[index][dense[index] != 0])
    with pytest.raises(IndexError):
        matrix[[NUM_ITEMS]]


@pytest.mark.parametrize(
    ("last_batch", "group_size"), [("keep", 1), ("discard", 40), ("rollover", 10_000)]
)
def test_a_loader_yields_the_rows_that_it_yields_of_the_dense_matrix(
    last_batch, group_size, monkeypatch
):
    """Whether batches are made one by one, a few at a time, or all at once."""
    monkeypatch.setattr(matrix, "GROUP_SIZE", group_size)
    dense = make_ratings(23, 7)
    for is_train in (True, False):
        loaders = [
            d2l.load_array((array,), 5, is_train, seed=3, last_batch=last_batch)
            for array in (dense, compress(dense))
        ]
        for _ in range(3):
            assert len(loaders[0]) == len(loaders[1])
            torch.manual_seed(0)
            expected = list(loaders[0])
            state = torch.get_rng_state()
            torch.manual_seed(0)
            for rows, (ratings, target) in zip(expected, loaders[1], strict=True):
                assert torch.equal(ratings.to_dense(), rows)
                assert torch.equal(target, rows[rows != 0])
                by_column = SparsityPattern.of(rows.to_sparse_csr()).by_column
                assert all(map(torch.equal, ratings.pattern.by_column, by_column))
            assert torch.equal(torch.get_rng_state(), state)  # for the same dropout


def test_a_matrix_takes_arrays_in_any_order():
    arrays = [np.array([1, 0, 1]), np.array([1, 2, 0], dtype=np.int32), np.array([5.0, 3.0, 4.0])]
    found = RatingMatrix(*arrays, (np.int64(2), 3))
    assert found[:][0].to_dense().tolist() == [[0, 0, 3], [4, 5, 0]]
    assert found.values.dtype == torch.float32


@pytest.mark.parametrize(
    ("rows", "columns", "ratings", "shape", "message"),
    [
        ([0, 2], [0, 1], [3, 4], (2, 3), "row indices must be 0 to 1, got 0 to 2"),
        ([0, 1], [-1, 1], [3, 4], (2, 3), "column indices must be 0 to 2, got -1 to 1"),
        ([1, 0, 1], [2, 1, 2], [3, 4, 3], (2, 3), "row 1, column 2 .* occurs twice"),
        ([0, 1], [0, 1], [3, 5.5], (2, 3), "numbers from 1 to 5, got 5.5 at row 1, column 1"),
        ([], [], [], (2, 3), "the matrix is empty"),
        ([0, 1], [0], [3, 4], (2, 3), "one length, got 2, 1 and 2"),
        ([0.0, 1.0], [0, 1], [3, 4], (2, 3), "row indices must be whole numbers"),
    ],
)
def test_a_faulty_matrix_is_refused_when_it_is_made(rows, columns, ratings, shape, message):
    with pytest.raises(ValueError, match=message):
        RatingMatrix(*map(torch.tensor, (rows, columns, ratings)), shape)
