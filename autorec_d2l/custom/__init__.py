"""Ratings of your own: from any table to a saved model that predicts and recommends.

``ratings = read_ratings("ratings.csv")``, ``model = fit(ratings)``, ``model.save("model.pt")``.
"""

from autorec_d2l.custom.fitting import cross_validate, fit
from autorec_d2l.custom.model import Model, load
from autorec_d2l.custom.ratings import Ratings, read_ratings

__all__ = ["Model", "Ratings", "cross_validate", "fit", "load", "read_ratings"]
