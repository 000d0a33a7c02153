"""The style of the book's figures, and learning curves."""

from __future__ import annotations

from itertools import cycle

import matplotlib.pyplot as plt
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's colours: distinguishable with any colour vision, on light and dark pages.
COLORS = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "grey": "#7F7F7F",
}


def set_style() -> None:
    """Set matplotlib's defaults to the book's size, fonts and colours, readable on a phone."""
    plt.rc("figure", figsize=(5.6, 3.3), dpi=150)
    plt.rc("figure.constrained_layout", use=True)
    plt.rc("axes", prop_cycle=cycler(color=list(COLORS.values())), grid=True)
    plt.rc("axes.spines", top=False, right=False)
    plt.rc("grid", alpha=0.3)
    plt.rc("legend", frameon=False)
    plt.rc("font", size=10.5)


def plot_history(histories: dict[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Draw learning curves in stars: test RMSE solid, train RMSE dashed, one colour per model.

    ``histories`` maps a label to what :func:`autorec_d2l.train_recsys_rating` returned.
    """
    ax = ax or plt.subplots()[1]
    for (label, history), color in zip(histories.items(), cycle(COLORS.values()), strict=False):
        ax.plot(history.index, history["test_rmse"], color=color, label=f"{label}, test")
        ax.plot(history.index, history["train_rmse"], "--", color=color, label=f"{label}, train")
    ax.set(xlabel="epoch", ylabel="RMSE (stars)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))  # epochs are integers
    ax.legend()
    return ax
