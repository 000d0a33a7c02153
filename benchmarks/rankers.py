"""Models of `ranking.py` that the chapter only reads about.

As in `autorec_d2l.experiments.ranking_models`: `ranker(train_data, sizes, seed, **settings)`
returns scores, `(num_users, num_items)`.
"""

import torch
from torch import nn

import autorec_d2l as d2l
from autorec_d2l import evaluating, experiments
from autorec_d2l.experiments.ranking_metrics import user_item_matrix
from autorec_d2l.experiments.ranking_models import ease


def rank_mf(table, sizes, seed, *, num_epochs, **settings):
    """Score by the stars that matrix factorization predicts."""
    net = experiments.fit_mf(table, None, sizes, num_epochs, seed, with_mean=True, **settings).net
    with torch.no_grad():
        biases = net.user_bias.weight + net.item_bias.weight.T  # (num_users, num_items)
        return net.P.weight @ net.Q.weight.T + biases + net.mean


def rank_ease(table, sizes, seed=0, *, wd, min_rating=1):
    """Score with `ease` what `input_matrix` gives."""
    return ease(input_matrix(table, sizes, min_rating).double(), wd).float()


def rank_mult_vae(
    table,
    sizes,
    seed,
    *,
    num_epochs,
    beta=0.2,
    min_rating=1,
    lr=0.002,
    num_hidden=200,
    dropout=0.5,
):
    """Score by the log-probabilities of `MultVAE`, trained with Adam on batches of 100.

    The weight of the divergence grows to ``beta`` over the first half of the epochs. Rows are what
    `input_matrix` gives: stars weigh the terms of the likelihood.
    """
    matrix = input_matrix(table, sizes, min_rating)
    torch.manual_seed(seed)
    net = MultVAE(sizes[1], num_hidden, dropout=dropout)
    trainer = torch.optim.Adam(net.parameters(), lr=lr)
    for epoch in range(num_epochs):
        weight = beta * min(1, 2 * epoch / num_epochs)
        for rows in d2l.load_array((matrix,), 100, seed=seed + epoch):
            log_probabilities, divergence = net(rows)
            loss = (weight * divergence - (log_probabilities * rows).sum(1)).mean()
            trainer.zero_grad()
            loss.backward()
            trainer.step()
    with evaluating(net):
        return net(matrix)[0]


class MultVAE(nn.Module):
    """A small variational autoencoder for rows of counts: Liang et al. (2018), section 2.

    It returns log-probabilities of the items, `(batch, num_items)`, and the KL divergence of the
    latent code from a standard normal, `(batch,)`. In evaluation mode the code is its mean.
    """

    def __init__(self, num_items, num_hidden=200, num_latent=64, dropout=0.5):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(num_items, num_hidden),
            nn.Tanh(),
            nn.Linear(num_hidden, 2 * num_latent),
        )
        self.decoder = nn.Sequential(
            nn.Linear(num_latent, num_hidden), nn.Tanh(), nn.Linear(num_hidden, num_items)
        )

    def forward(self, rows):
        """Encode and decode rows `(batch, num_items)`."""
        mean, log_var = self.encoder(nn.functional.normalize(rows)).chunk(2, dim=1)
        noise = torch.randn_like(mean) if self.training else 0
        code = mean + noise * (log_var / 2).exp()  # (batch, num_latent)
        divergence = (mean**2 + log_var.exp() - log_var - 1).sum(1) / 2
        return self.decoder(code).log_softmax(1), divergence


def input_matrix(table, sizes, min_rating):
    """Return what a model of all cells reads, `(num_users, num_items)`, float32.

    A cell is 1 where a rating is at least `min_rating` stars, or with None the stars themselves;
    all else is 0.
    """
    if min_rating is None:
        return d2l.load_data_ml100k(table, *sizes)[3].T
    return user_item_matrix(table, sizes, min_rating).float()
