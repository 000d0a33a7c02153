"""From a pinned, verified file to tables, splits, tensors and batches."""

from autorec_d2l.data.loaders import batches_for, check_in_order

__all__ = ["batches_for", "check_in_order"]
