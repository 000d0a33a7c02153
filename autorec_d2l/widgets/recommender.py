"""The live recommender: a user-based network that is computed in the browser."""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping, Sequence

import torch

from autorec_d2l.data.rating_scale import STARS
from autorec_d2l.sparse import SparseAutoRec
from autorec_d2l.widgets.fragment import Fragment, assemble

LEVELS = 127  # of a signed byte, on either side of 0


def live_recommender(
    net: SparseAutoRec,
    titles: Sequence[str],
    num_ratings: torch.Tensor,
    min_ratings: int = 20,
    examples: Mapping[str, Mapping[int, int]] | None = None,
) -> Fragment:
    """Return a widget in which a reader rates films and sees the predicted top ten change.

    Args:
        net: User-based, one hidden layer of sigmoids, a linear output and ``column_means``. Its
            weights are stored as bytes, see :func:`quantised`.
        titles: Of every item, ``(num_items,)``; shown as text, never as HTML.
        num_ratings: The number of ratings of each item, ``(num_items,)``.
        min_ratings: Items with fewer are left out.
        examples: Names of people to start as, each with ratings ``{item_id: stars}``, ids from 1.

    Raises:
        ValueError: Another kind of network, sizes that differ, or an example's rating that is not
            1 to 5 stars.
        KeyError: An example's item that is left out.
    """
    if net.column_means is None or len(net.more) or net.output is not torch.positive:
        raise ValueError("the page computes one hidden layer, a linear output and column_means")
    if net.activation is not torch.sigmoid:
        raise ValueError("the page computes no other activation than the sigmoid")
    if not len(titles) == len(num_ratings) == len(net.column_means):
        raise ValueError(f"{len(titles)} titles and {len(num_ratings)} num_ratings, one an item")
    for ratings in (examples or {}).values():
        STARS.check(torch.tensor(list(ratings.values()), dtype=torch.float32), "ratings")
    kept = (num_ratings >= min_ratings).nonzero().squeeze(1)  # (num_kept,)
    place = {item + 1: index for index, item in enumerate(kept.tolist())}
    encoder, encoder_scale = to_bytes(net.encoder.weight[kept])
    decoder, decoder_scale = to_bytes(net.decoder.weight[kept])
    data = {
        "titles": [str(titles[item]) for item in kept.tolist()],
        "counts": num_ratings[kept].tolist(),
        "numHidden": net.encoder.weight.shape[1],
        "damping": net.damping,
        "examples": [
            {"name": name, "ratings": [[place[item], stars] for item, stars in ratings.items()]}
            for name, ratings in (examples or {}).items()
        ],
        "encoder": _base64(encoder),
        "decoder": _base64(decoder),
        "encoderScale": _base64(encoder_scale),
        "decoderScale": _base64(decoder_scale),
        "encoderBias": _base64(net.encoder.bias),
        "decoderBias": _base64(net.decoder.bias[kept]),
        "means": _base64(net.column_means[kept]),
    }
    fallback = "Here a recommender lives in the page: rate a few films, and it answers at once."
    return assemble("recommender", fallback, ["network", "search", "recommender"], data)


def quantised(net: SparseAutoRec) -> SparseAutoRec:
    """Return a copy with the widget's quantised weights: int8 levels times a scale per item."""
    net = copy.deepcopy(net)
    with torch.no_grad():
        for weight in (net.encoder.weight, net.decoder.weight):
            levels, scale = to_bytes(weight)
            weight.copy_(levels * scale[:, None])
    return net


def to_bytes(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return int8 levels, ``(num_items, num_hidden)``, and a scale per row, ``(num_items,)``.

    Their product approximates the weight. The largest weight of a row becomes 127 levels, so no
    weight is off by more than half a level, 1/254 of the largest.
    """
    weight = weight.detach().cpu()
    scale = weight.abs().amax(1) / LEVELS  # (num_items,)
    levels = (weight / scale.clamp(min=1e-30)[:, None]).round()
    return levels.to(torch.int8), scale


def _base64(tensor: torch.Tensor) -> str:
    """Return a tensor's bytes, little-endian, as text."""
    array = tensor.detach().cpu().contiguous().numpy()
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()
