"""How comparisons are made: models of one signature, statistics, results files."""

from autorec_d2l.data.splits import split_parts
from autorec_d2l.experiments.autorec import D2L, Fit, fit_autorec, rating_matrix, score
from autorec_d2l.experiments.baselines import fit_biases, fit_mean, fit_mf
from autorec_d2l.experiments.ensembles import fit_weights, mix
from autorec_d2l.experiments.networks import make_autorec, warm_start
from autorec_d2l.experiments.results import agree, boundary_choices, read_results
from autorec_d2l.experiments.statistics import (
    bootstrap_users,
    compare,
    equivalent,
    holm,
    p_values,
    paired_interval,
)

__all__ = [
    "D2L", "Fit", "agree", "bootstrap_users", "boundary_choices", "compare", "equivalent",
    "fit_autorec", "fit_biases", "fit_mean", "fit_mf", "fit_weights", "holm", "make_autorec",
    "mix", "p_values", "paired_interval", "rating_matrix", "read_results", "score", "split_parts",
    "warm_start",
]  # fmt: skip
