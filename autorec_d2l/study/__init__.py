"""The study: how a comparison is made. The only place that knows statistics."""

from autorec_d2l.study.baselines import (
    fit_biases,
    fit_dense_autorec,
    fit_linear_autoencoder,
    fit_mean,
    fit_mf,
)
from autorec_d2l.study.blends import fit_weights, mix
from autorec_d2l.study.fits import D2L, Fit, fit_autorec, rating_matrix, score
from autorec_d2l.study.intervals import (
    bootstrap_users,
    compare,
    equivalent,
    holm,
    p_values,
    paired_interval,
)
from autorec_d2l.study.networks import initialise, make_autorec, warm_start
from autorec_d2l.study.protocol import Parts, refit, split_parts, tune, tune_and_test
from autorec_d2l.study.results import agree, edges, read_results
from autorec_d2l.study.sweeps import run_sweep

__all__ = [
    "D2L",
    "Fit",
    "Parts",
    "agree",
    "bootstrap_users",
    "compare",
    "edges",
    "equivalent",
    "fit_autorec",
    "fit_biases",
    "fit_dense_autorec",
    "fit_linear_autoencoder",
    "fit_mean",
    "fit_mf",
    "fit_weights",
    "holm",
    "initialise",
    "make_autorec",
    "mix",
    "p_values",
    "paired_interval",
    "rating_matrix",
    "read_results",
    "refit",
    "run_sweep",
    "score",
    "split_parts",
    "tune",
    "tune_and_test",
    "warm_start",
]
