"""AutoRec, rating prediction with autoencoders: the helper library of the book.

``import autorec_d2l as d2l`` and read on as in Dive into Deep Learning.
"""

from autorec_d2l.baselines import fit_biases, fit_dense_autorec, fit_mean, fit_mf
from autorec_d2l.batches import RolloverBatchSampler, load_array
from autorec_d2l.data import (
    load_data_ml100k,
    read_data_ml1m,
    read_data_ml100k,
    read_items_ml100k,
    split_and_load_ml100k,
    split_data_ml100k,
)
from autorec_d2l.devices import process_group, try_all_gpus, try_gpu
from autorec_d2l.download import DataUnavailableError
from autorec_d2l.evaluation import evaluating, evaluator, evaluator_mf, masked_mae, masked_rmse
from autorec_d2l.fitting import Fit, fit_autorec, initialise, make_autorec, train_quietly
from autorec_d2l.matrix import RatingMatrix
from autorec_d2l.models import MF, AutoRec, BoundedAutoRec, bounded
from autorec_d2l.plotting import COLORS, plot_history, set_style
from autorec_d2l.results import read_results
from autorec_d2l.sparse import HalfSquares, SparseAutoRec, evaluator_sparse
from autorec_d2l.sweep import compare, paired_interval, run_sweep, tune
from autorec_d2l.training import (
    L2Loss,
    get_dataloader_workers,
    train_recsys_rating,
)

__all__ = [
    "COLORS",
    "MF",
    "AutoRec",
    "BoundedAutoRec",
    "DataUnavailableError",
    "Fit",
    "HalfSquares",
    "L2Loss",
    "RatingMatrix",
    "RolloverBatchSampler",
    "SparseAutoRec",
    "bounded",
    "compare",
    "evaluating",
    "evaluator",
    "evaluator_mf",
    "evaluator_sparse",
    "fit_autorec",
    "fit_biases",
    "fit_dense_autorec",
    "fit_mean",
    "fit_mf",
    "get_dataloader_workers",
    "initialise",
    "load_array",
    "load_data_ml100k",
    "make_autorec",
    "masked_mae",
    "masked_rmse",
    "paired_interval",
    "plot_history",
    "process_group",
    "read_data_ml1m",
    "read_data_ml100k",
    "read_items_ml100k",
    "read_results",
    "run_sweep",
    "set_style",
    "split_and_load_ml100k",
    "split_data_ml100k",
    "train_quietly",
    "train_recsys_rating",
    "try_all_gpus",
    "try_gpu",
    "tune",
]
