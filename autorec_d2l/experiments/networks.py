"""AutoRec's network for a study: chosen by words, and set to its first weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from autorec_d2l.data.loaders import load_array
from autorec_d2l.data.rating_scale import STARS, RatingScale
from autorec_d2l.sparse import HalfSumOfSquares, RatingMatrix, SparseAutoRec
from autorec_d2l.training.loop import train_recsys_rating

ACTIVATIONS = {
    "identity": torch.positive,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "selu": nn.functional.selu,
    "gelu": nn.functional.gelu,
}
INITS = ("zero", "mean", "scaled")


def make_autorec(
    ratings: RatingMatrix,
    *,
    num_hidden: int = 500,
    more_hidden: Sequence[int] = (),
    activation: str = "sigmoid",
    output: str = "identity",
    dropout: float = 0.05,
    input_dropout: float = 0.0,
    init: str | Callable[[SparseAutoRec, RatingMatrix], None] = "zero",
    subtract_means: bool = False,
    scale: RatingScale = STARS,
) -> SparseAutoRec:
    """Return an untrained network for the columns of ``ratings``; the defaults are d2l's.

    ``activation`` of the hidden layers and ``output`` are names of :data:`ACTIVATIONS`; an
    ``output`` can also be ``"bounded"``, which stays on the ``scale``. ``init`` is one of
    :data:`INITS`, see :func:`initialise`, or a function that changes the network in place.
    ``subtract_means`` takes column and row means off the input (see :class:`SparseAutoRec`).
    Raises ``ValueError`` for other names.
    """
    net = SparseAutoRec(
        num_hidden,
        ratings.shape[1],
        dropout,
        input_dropout=input_dropout,
        activation=_function(activation),
        output=scale.bounded if output == "bounded" else _function(output),
        more_hidden=more_hidden,
        column_means=ratings.column_means() if subtract_means else None,
    )
    if callable(init):
        init(net, ratings)
    else:
        initialise(net, init, ratings)
    return net


def _function(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    if name not in ACTIVATIONS:
        raise ValueError(f"activations are {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]


def initialise(net: SparseAutoRec, how: str, ratings: RatingMatrix) -> None:
    """Set the weights in place before training.

    ``zero``
        As d2l: weights of the encoder and the decoder from Normal(0, 0.01), biases 0. Layers
        between the two keep torch's default.
    ``mean``
        As ``zero``, and the first prediction is the mean of ``ratings``: the decoder's bias is
        set to it. (Where the network subtracts means, its output starts there by itself.)
    ``scaled``
        As ``mean``, but the weights of every layer are drawn with variance 1 / number of inputs.

    Raises ``ValueError`` for another word.
    """
    if how not in INITS:
        raise ValueError(f"init must be one of {', '.join(INITS)}, got {how!r}")
    with torch.no_grad():
        if how == "scaled":
            inputs = [ratings.shape[1], *(layer.in_features for layer in (*net.more, net.decoder))]
            layers = [net.encoder, *net.more, net.decoder]
            for layer, num_inputs in zip(layers, inputs, strict=True):
                layer.weight.normal_(0, num_inputs**-0.5)
                layer.bias.zero_()
        if how != "zero" and net.column_means is None:
            mean = float(ratings.values.mean())
            output: Any = net.output
            is_bounded = getattr(output, "__func__", None) is RatingScale.bounded
            net.decoder.bias.fill_(output.__self__.unbounded(mean) if is_bounded else mean)


def warm_start(
    net: SparseAutoRec,
    ratings: RatingMatrix,
    *,
    lr: float = 0.003,
    wd: float = 1e-5,
    batch_size: int = 256,
    num_epochs: int = 10,
) -> None:
    """Let a deep network begin as an imitation of a shallow one, as the paper's did; in place.

    A network with one hidden layer is trained with Adam for ``num_epochs``. Its encoder and its
    decoder are copied. Then the layers between the two are trained to rebuild the hidden units of
    that network from themselves. The first and the last hidden layer must have one size.
    """
    num_users, num_hidden = ratings.shape[1], net.encoder.bias.numel()
    shallow = SparseAutoRec(num_hidden, num_users)
    initialise(shallow, "mean", ratings)
    initialise(net, "scaled", ratings)
    batch_size = min(batch_size, len(ratings))
    train_recsys_rating(
        shallow,
        load_array((ratings,), batch_size, last_batch="rollover"),
        None,
        HalfSumOfSquares(batch_size * num_users),
        torch.optim.Adam(shallow.parameters(), lr=lr, weight_decay=wd, fused=True),
        num_epochs,
        [net.decoder.weight.device],
    )
    net.encoder.load_state_dict(shallow.encoder.state_dict())
    net.decoder.load_state_dict(shallow.decoder.state_dict())
    rows, _ = ratings[:]
    with torch.no_grad():  # (num_items, num_hidden)
        codes = torch.sigmoid(rows @ shallow.encoder.weight + shallow.encoder.bias)
    trainer = torch.optim.Adam(net.more.parameters(), lr=0.003)
    for _ in range(30):
        for batch in load_array((codes,), batch_size):
            rebuilt = batch
            for layer in net.more:
                rebuilt = torch.sigmoid(layer(rebuilt))
            trainer.zero_grad()
            nn.functional.mse_loss(rebuilt, batch).backward()
            trainer.step()
