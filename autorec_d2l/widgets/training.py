"""A small item-based AutoRec that trains in the browser."""

from __future__ import annotations

import torch

from autorec_d2l.widgets.fragment import Fragment, assemble

FILMS = ("Toy Story", "Lion King", "Aladdin", "Alien", "Heat", "Psycho")
USERS = ("Ada", "Ben", "Chen", "Dana", "Emre", "Fei")
RATINGS = (  # in whole stars, 0 = not rated; made up: three like films for children, three do not
    (5, 5, 4, 0, 1, 0),
    (5, 0, 5, 2, 0, 1),
    (4, 5, 0, 1, 2, 0),
    (0, 1, 2, 5, 0, 4),
    (1, 0, 1, 0, 5, 5),
    (0, 2, 0, 4, 5, 0),
)
MAX_HIDDEN = 4


def training_widget(num_steps: int = 200) -> Fragment:
    """Return a widget in which a reader edits ratings and watches AutoRec learn them.

    A run makes ``num_steps`` steps of Adam on the full batch.
    """
    generator = torch.Generator().manual_seed(7)

    def normal(*shape: int) -> list:
        # Larger than d2l's 0.01: hidden units that start alike move alike for a long while.
        return torch.normal(0.0, 0.5, shape, generator=generator).tolist()

    data = {
        "films": FILMS,
        "users": USERS,
        "ratings": RATINGS,
        "weights": {
            "encoder": normal(MAX_HIDDEN, len(USERS)),
            "encoderBias": [0.0] * MAX_HIDDEN,
            "decoder": normal(len(USERS), MAX_HIDDEN),
            "decoderBias": [0.0] * len(USERS),
        },
        "lr": 0.05,
        "numSteps": num_steps,
    }
    fallback = "Here a small AutoRec trains in the page, while you watch."
    return assemble("training", fallback, ["autorec", "training"], data)
