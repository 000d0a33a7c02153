"""A small item-based AutoRec that trains in the browser."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from autorec_d2l.data.rating_scale import STARS
from autorec_d2l.widgets.fragment import Fragment, assemble

FILMS = ("Toy Story", "Lion King", "Aladdin", "Alien", "Heat", "Psycho")
USERS = ("Ada", "Ben", "Chen", "Dana", "Emre", "Fei")
RATINGS = (  # made up: three like films for children, three do not
    (5, 5, 4, 0, 1, 0),
    (5, 0, 5, 2, 0, 1),
    (4, 5, 0, 1, 2, 0),
    (0, 1, 2, 5, 0, 4),
    (1, 0, 1, 0, 5, 5),
    (0, 2, 0, 4, 5, 0),
)
MAX_HIDDEN = 4


def training_widget(
    ratings: Sequence[Sequence[int]] = RATINGS,
    films: Sequence[str] = FILMS,
    users: Sequence[str] = USERS,
    *,
    lr: float = 0.05,
    num_steps: int = 200,
    seed: int = 7,
) -> Fragment:
    """Return a widget in which a reader edits ratings and watches AutoRec learn them.

    ``ratings`` is ``(num_films, num_users)``, whole stars, 0 = not rated. A run makes ``num_steps``
    steps of Adam at ``lr`` on the full batch. ``seed`` is that of the initial weights.

    Raises ``ValueError`` for names that do not match the ratings, or a rating off the scale.
    """
    matrix = torch.tensor(ratings, dtype=torch.float32)
    if matrix.shape != (len(films), len(users)):
        raise ValueError(
            f"ratings must be {len(films)} films by {len(users)} users, got {tuple(matrix.shape)}"
        )
    STARS.check(matrix[matrix != 0], "ratings")
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> list:
        # Larger than d2l's 0.01: hidden units that start alike move alike for a long while.
        return torch.normal(0.0, 0.5, shape, generator=generator).tolist()

    data = {
        "films": [str(film) for film in films],
        "users": [str(user) for user in users],
        "ratings": matrix.int().tolist(),
        "weights": {
            "encoder": normal(MAX_HIDDEN, len(users)),
            "encoderBias": [0.0] * MAX_HIDDEN,
            "decoder": normal(len(users), MAX_HIDDEN),
            "decoderBias": [0.0] * len(users),
        },
        "lr": lr,
        "numSteps": num_steps,
    }
    fallback = "Here a small AutoRec trains in the page, while you watch."
    return assemble("training", fallback, ["autorec", "training"], data)
