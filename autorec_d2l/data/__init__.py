"""From a pinned, verified file to tables, splits, tensors and batches."""
