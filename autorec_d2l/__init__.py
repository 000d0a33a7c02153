"""AutoRec, rating prediction with autoencoders: the helper library of the book.

``import autorec_d2l as d2l`` and read on as in Dive into Deep Learning. Below the lesson lie two
packages of their own: ``autorec_d2l.sparse``, the engine, and ``autorec_d2l.experiments``, which makes
comparisons.
"""

from autorec_d2l.data.download import DataUnavailableError
from autorec_d2l.data.loaders import get_dataloader_workers, load_array
from autorec_d2l.data.movielens import read_data_ml1m, read_data_ml100k, read_items_ml100k
from autorec_d2l.data.rating_scale import RatingScale
from autorec_d2l.data.splits import split_data_ml100k
from autorec_d2l.data.tensors import load_data_ml100k, split_and_load_ml100k
from autorec_d2l.evaluation import evaluating, evaluator, evaluator_mf, masked_rmse, rmse
from autorec_d2l.models import MF, AutoRec
from autorec_d2l.plotting import COLORS, plot_history, set_style
from autorec_d2l.training import (
    Checkpoint,
    EarlyStopping,
    L2Loss,
    ProgressBar,
    train_recsys_rating,
)
from autorec_d2l.training.distributed import process_group, try_all_gpus, try_gpu

__version__ = "1.0.0"

__all__ = [
    "COLORS",
    "MF",
    "AutoRec",
    "Checkpoint",
    "DataUnavailableError",
    "EarlyStopping",
    "L2Loss",
    "ProgressBar",
    "RatingScale",
    "evaluating",
    "evaluator",
    "evaluator_mf",
    "get_dataloader_workers",
    "load_array",
    "load_data_ml100k",
    "masked_rmse",
    "plot_history",
    "process_group",
    "read_data_ml1m",
    "read_data_ml100k",
    "read_items_ml100k",
    "rmse",
    "set_style",
    "split_and_load_ml100k",
    "split_data_ml100k",
    "train_recsys_rating",
    "try_all_gpus",
    "try_gpu",
]
