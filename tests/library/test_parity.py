"""The port against MXNet, whose numbers are in the results (see benchmarks)."""

from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
import torch

import autorec_d2l as d2l

RESULTS = files("autorec_d2l") / "results"
PARAMETERS = ["encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"]


@pytest.fixture(scope="module")
def gluon():
    """Synthetic ratings (48, 40), and each parameter before and after ten steps, (11, ...)."""
    with np.load(RESULTS / "mxnet_steps.npz") as arrays:
        return {name: torch.tensor(arrays[name]) for name in ["ratings", *PARAMETERS]}


def gluon_epsilon(step):
    """Adam's 1e-8 as Gluon means it: added before the bias correction of the second moment."""
    return 1e-8 / (1 - 0.999**step) ** 0.5


def largest_differences(gluon, epsilon, weight_decay=1e-5):
    """Make ten steps from Gluon's start and return the largest difference after each, (10,)."""
    ratings = gluon["ratings"]
    net = d2l.AutoRec(gluon["encoder.bias"].shape[1], ratings.shape[1], dropout=0)
    net.load_state_dict({name: gluon[name][0] for name in PARAMETERS})
    trainer = torch.optim.Adam(net.parameters(), lr=0.002, weight_decay=weight_decay)
    loss, found = d2l.L2Loss(), []
    for step in range(1, 11):
        trainer.param_groups[0]["eps"] = epsilon(step)
        trainer.zero_grad()
        loss(net(ratings), ratings).backward()
        trainer.step()
        with torch.no_grad():
            pairs = [(p, gluon[name][step]) for name, p in net.named_parameters()]
            found.append(max(float((ours - theirs).abs().max()) for ours, theirs in pairs))
    return found


def test_ten_steps_agree_with_gluons_epsilon(gluon):
    assert max(largest_differences(gluon, gluon_epsilon)) < 2e-6


def test_torchs_epsilon_gives_other_weights(gluon):
    """A weight without a rating has only its decay for a gradient, which epsilon outweighs."""
    differences = largest_differences(gluon, lambda step: 1e-8)
    assert 1.2e-3 < differences[0] < 1.6e-3  # of a learning rate of 2e-3
    assert max(differences) > 5e-3


def test_the_comparison_notices_another_decay(gluon):
    assert max(largest_differences(gluon, gluon_epsilon, weight_decay=2e-5)) > 1e-4


def test_steps_on_real_ratings_agree():
    steps = pd.read_csv(RESULTS / "mxnet_steps.csv", comment="#")
    largest = steps.groupby(["epsilon", "step"])["max_difference"].max()
    assert largest["gluon"].max() < 2e-6
    assert largest["torch", 1] > 1e-3


def test_port_and_mxnet_reach_the_same_rmse():
    """Five splits, three seeds each, 25 epochs."""
    curves = pd.read_csv(RESULTS / "mxnet_parity.csv", comment="#")
    last = curves[curves["epoch"] == 25]
    runs = last.groupby(["framework", "last_batch"])["test_rmse"]
    assert (runs.size() == 15).all()
    mean = runs.mean()
    assert abs(mean["mxnet", "rollover"] - mean["torch", "rollover"]) < 0.003
