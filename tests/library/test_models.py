"""MF and AutoRec against formulas written out in numpy and in plain loops."""

import math

import numpy as np
import pytest
import torch

import autorec_d2l as d2l

# Three films and four users; the last film has no rating.
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


def test_mf_is_the_formula_and_its_mean_part_of_the_state():
    torch.manual_seed(0)
    net = d2l.MF(3, num_users=4, num_items=5, mean=3.5)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    users, items = np.array([0, 3, 3, 1]), np.array([4, 0, 4, 2])
    w = arrays(net)
    products = (w["P.weight"][users] * w["Q.weight"][items]).sum(1)
    biases = w["user_bias.weight"][users, 0] + w["item_bias.weight"][items, 0]
    found = net(torch.tensor(users), torch.tensor(items))
    np.testing.assert_allclose(found.detach().numpy(), products + biases + 3.5, rtol=1e-5)
    other = d2l.MF(3, 4, 5)
    assert other.mean == 0
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(torch.tensor(users), torch.tensor(items)), found)


def test_autorec_is_the_formula_and_in_training_mode_0_where_there_is_no_rating(net):
    w = arrays(net)
    hidden = 1 / (1 + np.exp(-(RATINGS.numpy() @ w["encoder.weight"].T + w["encoder.bias"])))
    expected = hidden @ w["decoder.weight"].T + w["decoder.bias"]
    np.testing.assert_allclose(net.eval()(RATINGS).detach().numpy(), expected, rtol=1e-5)
    expected = np.where(RATINGS.numpy() > 0, expected, 0)
    np.testing.assert_allclose(net.train()(RATINGS).detach().numpy(), expected, rtol=1e-5)
    assert d2l.AutoRec(2, 3)(RATINGS.T).shape == (4, 3)  # the user-based model


def loss_by_loops(net):
    """Half the squared error of each observed cell, over all 12 cells, one number at a time."""
    V, mu, W, b = net.encoder.weight, net.encoder.bias, net.decoder.weight, net.decoder.bias
    total = 0
    for item, user in RATINGS.nonzero().tolist():
        prediction = b[user]
        for k in range(2):
            activation = mu[k]
            for u in range(4):
                activation = activation + V[k, u] * RATINGS[item, u]
            prediction = prediction + W[user, k] / (1 + torch.exp(-activation))
        total = total + (prediction - RATINGS[item, user]) ** 2 / 2 / 12
    return total


def test_gradients_of_the_masked_loss_are_those_of_a_loop_over_observed_cells(net):
    parameters = list(net.parameters())
    expected = torch.autograd.grad(loss_by_loops(net), parameters)
    loss = d2l.L2Loss()(net.train()(RATINGS), RATINGS)
    torch.testing.assert_close(loss, loss_by_loops(net))
    torch.testing.assert_close(torch.autograd.grad(loss, parameters), expected)


def test_dropout_is_on_the_hidden_layer_and_in_training_mode_only():
    assert d2l.AutoRec(2, 4).dropout.p == 0.05
    torch.manual_seed(0)
    net = d2l.AutoRec(1, 4, dropout=0.5)
    ratings = torch.full((400, 4), 3.0)
    dropped = net.train()(ratings)
    # A row either keeps its one hidden unit, at twice its value, or loses all of it.
    kept = (dropped != 0).sum(1)
    assert set(kept.tolist()) == {0, 4}
    torch.testing.assert_close(dropped[kept == 4], 2 * net.eval()(ratings)[kept == 4])


def test_weights_start_at_normal_0_01_and_biases_of_autorec_at_0():
    torch.manual_seed(0)
    autorec, mf = d2l.AutoRec(200, 300), d2l.MF(30, 3000, 2000)
    for weight in (autorec.encoder.weight, autorec.decoder.weight, *mf.parameters()):
        assert weight.std().item() == pytest.approx(0.01, rel=0.05)
        assert abs(weight.mean().item()) < 4 * 0.01 / math.sqrt(weight.numel())
        assert weight.abs().max() > 0.025, "a uniform distribution ends at 0.017"
    assert autorec.encoder.bias.count_nonzero() == autorec.decoder.bias.count_nonzero() == 0
