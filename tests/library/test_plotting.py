"""Learning curves show the history, with labelled axes; the style applies."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest

import autorec_d2l as d2l


@pytest.fixture(autouse=True)
def own_style():
    plt.switch_backend("Agg")
    with mpl.rc_context():
        yield
    plt.close("all")


@pytest.fixture
def history():
    index = pd.RangeIndex(1, 4, name="epoch")
    return pd.DataFrame({"train_rmse": [3, 2, 1], "test_rmse": [3.5, 2.5, 1.5]}, index=index)


def test_a_history_becomes_two_labelled_curves_in_one_colour(history):
    ax = d2l.plot_history({"AutoRec": history})
    test, train = ax.get_lines()
    assert test.get_xdata().tolist() == train.get_xdata().tolist() == [1, 2, 3]
    assert test.get_ydata().tolist() == [3.5, 2.5, 1.5]
    assert train.get_ydata().tolist() == [3, 2, 1]
    assert (test.get_label(), train.get_label()) == ("AutoRec, test", "AutoRec, train")
    assert test.get_color() == train.get_color()
    assert test.get_linestyle() != train.get_linestyle()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "RMSE (stars)")
    assert len(ax.get_legend().get_texts()) == 2


def test_nine_models_share_the_colours_and_none_is_left_out(history):
    ax = d2l.plot_history({f"model {i}": history for i in range(9)})
    colors = [line.get_color() for line in ax.get_lines()]
    assert len(colors) == 18
    assert len(set(colors)) == len(d2l.COLORS)


def test_curves_are_drawn_on_the_given_axes(history):
    left, right = plt.subplots(1, 2)[1]
    assert d2l.plot_history({"MF": history}, ax=right) is right
    assert not left.get_lines()
    assert len(plt.get_fignums()) == 1


def test_the_style_gives_figures_the_books_colours():
    d2l.set_style()
    assert plt.rcParams["axes.prop_cycle"].by_key()["color"] == list(d2l.COLORS.values())
    plt.subplots()[0].canvas.draw()
