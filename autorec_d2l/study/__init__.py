"""The study: how a comparison is made. The only place that knows statistics."""

from autorec_d2l.study.baselines import fit_biases, fit_dense_autorec, fit_mean, fit_mf
from autorec_d2l.study.fits import Fit, fit_autorec, initialise, make_autorec, rating_matrix
from autorec_d2l.study.protocol import compare, paired_interval, run_sweep, tune
from autorec_d2l.study.results import read_results

__all__ = [
    "Fit",
    "compare",
    "fit_autorec",
    "fit_biases",
    "fit_dense_autorec",
    "fit_mean",
    "fit_mf",
    "initialise",
    "make_autorec",
    "paired_interval",
    "rating_matrix",
    "read_results",
    "run_sweep",
    "tune",
]
