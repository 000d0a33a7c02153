"""AutoRec, rating prediction with autoencoders: the helper library of the book.

Use it as the library of Dive into Deep Learning: ``import autorec_d2l as d2l``. The packages
``sparse``, ``experiments``, ``custom`` and ``widgets`` are imported by name.
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
from autorec_d2l.training import Checkpoint, EarlyStopping, ProgressBar
from autorec_d2l.training.distributed import process_group, try_all_gpus, try_gpu
from autorec_d2l.training.loop import L2Loss, train_recsys_rating

__version__ = "1.0.0"

__all__ = [
    "COLORS", "MF", "AutoRec", "Checkpoint", "DataUnavailableError", "EarlyStopping", "L2Loss",
    "ProgressBar", "RatingScale", "evaluating", "evaluator", "evaluator_mf",
    "get_dataloader_workers", "load_array", "load_data_ml100k", "masked_rmse", "plot_history",
    "process_group", "read_data_ml1m", "read_data_ml100k", "read_items_ml100k", "rmse",
    "set_style", "split_and_load_ml100k", "split_data_ml100k", "train_recsys_rating",
    "try_all_gpus", "try_gpu",
]  # fmt: skip
