"""Pages that live in a cell's output: self-contained HTML, without a server or the network.

A fragment runs in the built book from the disk, in Jupyter and in Colab. Its numbers travel in a
script as data, its look and its ids are its own (a shadow root), so that several fit on a page.
"""

from autorec_d2l.widgets.fragment import Fragment
from autorec_d2l.widgets.recommender import live_recommender, quantised
from autorec_d2l.widgets.training import training_widget

__all__ = ["Fragment", "live_recommender", "quantised", "training_widget"]
