"""Build AutoRec's network from named settings, and initialise its weights."""

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
    ``output`` can also be ``"bounded"``, which stays within the ``scale``. ``init`` is one of
    :data:`INITS`, see :func:`initialise`, or a function that changes the network in place.
    ``subtract_means`` subtracts column and row means from the input (see :class:`SparseAutoRec`).
    Raises ``KeyError`` for another activation and ``ValueError`` for another ``init``.
    """
    net = SparseAutoRec(
        num_hidden,
        ratings.shape[1],
        dropout,
        input_dropout=input_dropout,
        activation=ACTIVATIONS[activation],
        output=scale.bounded if output == "bounded" else ACTIVATIONS[output],
        more_hidden=more_hidden,
        column_means=ratings.column_means() if subtract_means else None,
    )
    if callable(init):
        init(net, ratings)
    else:
        initialise(net, init, ratings)
    return net


def initialise(net: SparseAutoRec, how: str, ratings: RatingMatrix) -> None:
    """Set the weights in place before training.

    ``zero``
        As d2l: weights of the encoder and the decoder from Normal(0, 0.01), biases 0. Layers
        between the two keep torch's default.
    ``mean``
        As ``zero``, and the first prediction is the mean of ``ratings``: the decoder's bias is
        set to it. (A network that subtracts means starts there anyway.)
    ``scaled``
        As ``mean``, but the weights of every layer are drawn with variance 1 / number of inputs.

    Raises ``ValueError`` for another ``how``.
    """
    if how not in INITS:
        raise ValueError(f"init must be one of {', '.join(INITS)}, got {how!r}")
    with torch.no_grad():
        if how == "scaled":
            for layer in (net.encoder, *net.more, net.decoder):
                num_inputs = getattr(layer, "in_features", ratings.shape[1])
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
    """Initialise a deep network from a shallow one, as in the paper; in place.

    A network with one hidden layer is trained with Adam for ``num_epochs``. Its encoder and its
    decoder are copied. Then the layers between the two are trained to reconstruct the hidden units
    of that network. The first and the last hidden layer must have the same size.
    """
    num_users, num_hidden = ratings.shape[1], net.encoder.bias.numel()
    shallow = SparseAutoRec(num_hidden, num_users)
    initialise(shallow, "mean", ratings)
    initialise(net, "scaled", ratings)
    batch_size = min(batch_size, len(ratings))
    train_iter = load_array((ratings,), batch_size, last_batch="rollover")
    loss = HalfSumOfSquares(batch_size * num_users)
    trainer = torch.optim.Adam(shallow.parameters(), lr=lr, weight_decay=wd, fused=True)
    devices = [net.decoder.weight.device]
    train_recsys_rating(shallow, train_iter, None, loss, trainer, num_epochs, devices)
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
