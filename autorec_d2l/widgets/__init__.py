"""Interactive widgets in a cell's output: self-contained HTML, without a server or a network.

A widget runs in the built book, in Jupyter and in Colab. Its script contains its data; its styles
and ids are scoped by a shadow root, so that several fit on a page.
"""

from autorec_d2l.widgets.fragment import Fragment
from autorec_d2l.widgets.recommender import live_recommender, quantised
from autorec_d2l.widgets.training import training_widget

__all__ = ["Fragment", "live_recommender", "quantised", "training_widget"]
