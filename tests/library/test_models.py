"""MF and AutoRec against formulas written out in numpy and in plain loops."""

import math
import re

import numpy as np
import pytest
import torch

import autorec_d2l as d2l

# Three films and four users; the last film has no rating at all.
RATINGS = torch.tensor([[5.0, 0, 3, 0], [0, 4, 1, 2], [0, 0, 0, 0]])


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = d2l.AutoRec(2, 4, dropout=0.0)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    return net


def arrays(net):
    return {name: tensor.numpy() for name, tensor in net.state_dict().items()}


def test_mf_is_the_formula():
    torch.manual_seed(0)
    net = d2l.MF(3, num_users=4, num_items=5, mean=3.5)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    users, items = np.array([0, 3, 3, 1]), np.array([4, 0, 4, 2])
    w = arrays(net)
    expected = (
        (w["P.weight"][users] * w["Q.weight"][items]).sum(1)
        + w["user_bias.weight"][users, 0]
        + w["item_bias.weight"][items, 0]
        + 3.5
    )
    found = net(torch.tensor(users), torch.tensor(items))
    assert found.shape == (4,)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)


def test_mf_has_no_global_mean_unless_told():
    assert d2l.MF(3, 4, 5).mean == 0
    one = torch.tensor([0])
    assert d2l.MF(3, 4, 5)(one, one).abs() < 0.1


def autorec_in_numpy(net, ratings):
    w = arrays(net)
    hidden = 1 / (1 + np.exp(-(ratings.numpy() @ w["encoder.weight"].T + w["encoder.bias"])))
    return hidden @ w["decoder.weight"].T + w["decoder.bias"]


def test_autorec_in_eval_mode_is_the_formula_for_every_cell(net):
    found = net.eval()(RATINGS).detach().numpy()
    np.testing.assert_allclose(found, autorec_in_numpy(net, RATINGS), rtol=1e-5)
    assert (found != 0).all()


def test_autorec_in_train_mode_is_the_formula_where_there_is_a_rating_else_0(net):
    found = net.train()(RATINGS).detach().numpy()
    expected = np.where(RATINGS.numpy() > 0, autorec_in_numpy(net, RATINGS), 0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_film_without_ratings_is_predicted_from_the_biases(net):
    found = net.eval()(RATINGS)[2]
    expected = net.decoder.weight @ torch.sigmoid(net.encoder.bias) + net.decoder.bias
    torch.testing.assert_close(found, expected)
    assert found.isfinite().all()


def loss_by_loops(net):
    """Half the squared error of each observed cell, over all 12 cells, one number at a time."""
    V, mu, W, b = net.encoder.weight, net.encoder.bias, net.decoder.weight, net.decoder.bias
    total = 0
    for item in range(3):
        for user in range(4):
            if RATINGS[item, user] == 0:
                continue
            prediction = b[user]
            for k in range(2):
                activation = mu[k]
                for u in range(4):
                    activation = activation + V[k, u] * RATINGS[item, u]
                prediction = prediction + W[user, k] / (1 + torch.exp(-activation))
            total = total + (prediction - RATINGS[item, user]) ** 2 / 2 / 12
    return total


def test_the_gradient_of_the_masked_loss_is_that_of_a_loop_over_observed_cells(net):
    parameters = list(net.parameters())
    expected = torch.autograd.grad(loss_by_loops(net), parameters)
    loss = d2l.L2Loss()(net.train()(RATINGS), RATINGS)
    torch.testing.assert_close(loss, loss_by_loops(net))
    for one, other in zip(torch.autograd.grad(loss, parameters), expected, strict=True):
        torch.testing.assert_close(one, other)


def test_a_user_without_ratings_moves_no_weight_of_the_decoder(net):
    ratings = RATINGS.clone()
    ratings[:, 1] = 0
    d2l.L2Loss()(net.train()(ratings), ratings).backward()
    assert net.decoder.weight.grad[1].tolist() == [0, 0]
    assert net.decoder.bias.grad[1] == 0
    assert (net.decoder.weight.grad[0] != 0).all()


def test_dropout_is_on_the_hidden_layer_and_only_in_train_mode():
    torch.manual_seed(0)
    net = d2l.AutoRec(1, 4, dropout=0.5)
    ratings = torch.full((400, 4), 3.0)
    once, again = net.train()(ratings), net(ratings)
    assert not torch.equal(once, again)
    # A row either keeps its one hidden unit, at twice its value, or loses it whole.
    kept = (once != 0).sum(1)
    assert set(kept.tolist()) == {0, 4}
    torch.testing.assert_close(once[kept == 4], 2 * net.eval()(ratings)[kept == 4])
    assert torch.equal(net(ratings), net(ratings))


def test_five_percent_are_dropped_unless_told_otherwise():
    assert d2l.AutoRec(2, 4).dropout.p == 0.05


def test_weights_start_at_normal_0_01_and_autorecs_biases_at_0():
    torch.manual_seed(0)
    autorec, mf = d2l.AutoRec(200, 300), d2l.MF(30, 3000, 2000)
    for weight in (autorec.encoder.weight, autorec.decoder.weight, *mf.parameters()):
        assert weight.std().item() == pytest.approx(0.01, rel=0.05)
        assert abs(weight.mean().item()) < 4 * 0.01 / math.sqrt(weight.numel())
        assert weight.abs().max() > 0.025, "a uniform distribution ends at 0.017"
    assert autorec.encoder.bias.count_nonzero() == autorec.decoder.bias.count_nonzero() == 0


@pytest.mark.parametrize(
    ("make", "shapes"),
    [
        (
            lambda: d2l.MF(2, 4, 3),
            {
                "P.weight": (4, 2),
                "Q.weight": (3, 2),
                "user_bias.weight": (4, 1),
                "item_bias.weight": (3, 1),
            },
        ),
        (
            lambda: d2l.AutoRec(2, 4),
            {
                "encoder.weight": (2, 4),
                "encoder.bias": (2,),
                "decoder.weight": (4, 2),
                "decoder.bias": (4,),
            },
        ),
    ],
    ids=["MF", "AutoRec"],
)
def test_the_state_has_the_known_names_and_can_be_stored(make, shapes, tmp_path):
    net = make()
    assert {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()} == shapes
    torch.save(net.state_dict(), tmp_path / "net.pt")
    other = make()
    other.load_state_dict(torch.load(tmp_path / "net.pt"))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("make", "parameter"),
    [
        (lambda: d2l.AutoRec(0, 4), "encoder.weight is empty, (0, 4)"),
        (lambda: d2l.AutoRec(2, 0), "encoder.weight is empty, (2, 0)"),
        (lambda: d2l.MF(0, 4, 3), "P.weight is empty, (4, 0)"),
        (lambda: d2l.MF(2, 0, 3), "P.weight is empty, (0, 2)"),
        (lambda: d2l.MF(2, 4, 0), "Q.weight is empty, (0, 2)"),
    ],
)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_network_with_a_size_of_0_is_refused_where_it_would_train(make, parameter):
    """torch refuses other wrong sizes; a network without parameters it would train in silence."""
    net = make()
    trainer = torch.optim.Adam(net.parameters())
    with pytest.raises(ValueError, match=re.escape(f"the network's {parameter}: every size must")):
        d2l.train_recsys_rating(net, [RATINGS], None, d2l.L2Loss(), trainer, 1)


def test_sizes_may_come_out_of_pandas_or_numpy():
    assert d2l.AutoRec(np.int64(2), np.int32(4))(RATINGS).shape == (3, 4)
    assert d2l.MF(np.int64(2), np.int64(4), np.int64(3)).P.num_embeddings == 4


def test_a_dropout_that_is_no_probability_is_refused():
    with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1"):
        d2l.AutoRec(2, 4, dropout=1.5)


def test_the_transposed_matrix_gives_the_user_based_model():
    assert d2l.AutoRec(2, 3)(RATINGS.T).shape == (4, 3)
