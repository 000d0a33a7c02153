"""AutoRec on sparse matrices: its cost grows with the ratings, not with the area of the matrix."""

from autorec_d2l.sparse.matrix import RatingMatrix
from autorec_d2l.sparse.network import HalfSumOfSquares, SparseAutoRec, evaluator_sparse
from autorec_d2l.sparse.synthetic import MOVIELENS, synthetic_ratings

__all__ = [
    "MOVIELENS", "HalfSumOfSquares", "RatingMatrix", "SparseAutoRec", "evaluator_sparse",
    "synthetic_ratings",
]  # fmt: skip
