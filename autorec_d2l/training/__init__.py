"""The training loop; early stopping, checkpoints and the progress bar are callbacks."""

from autorec_d2l.training.callbacks import Callback, EarlyStopping, ProgressBar
from autorec_d2l.training.checkpoints import Checkpoint
from autorec_d2l.training.loop import L2Loss, train_recsys_rating

__all__ = [
    "Callback", "Checkpoint", "EarlyStopping", "L2Loss", "ProgressBar", "train_recsys_rating",
]  # fmt: skip
