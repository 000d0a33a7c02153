"""README.md and index.md agree with the code and the results files."""

import re
import sys
from pathlib import Path

import pytest

from autorec_d2l import experiments

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import at_a_glance  # noqa: E402  # draws the front page's errors

COMPARISON = ROOT / "autorec_d2l" / "results" / "comparison.csv"
README, INDEX = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "book/index.md")
)


def test_the_example_runs_and_trains():
    """Three epochs of the 25 that it shows; book/autorec.ipynb trains them all."""
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert "num_epochs=25" in example
    names = {}
    exec(example.replace("num_epochs=25", "num_epochs=3"), names)
    assert names["history"]["train_rmse"].is_monotonic_decreasing
    assert len(names["history"]) == 3


def test_links():
    targets = re.findall(r"\]\((?!http)([^)]+)\)|src=\"(?!http)([^\"]+)\"", README)
    assert targets
    for target in map("".join, targets):
        assert (ROOT / target).exists(), target


def measured(name, column="test_rmse", **wanted):
    """Mean and standard deviation over the splits in a results file."""
    table = experiments.read_results(name)
    for key, value in wanted.items():
        table = table[table[key] == value]
    by_split = table.groupby("split")[column].mean()
    assert len(by_split) == 5
    return f"{by_split.mean():.3f}", f"{by_split.std():.3f}"


ROWS = {  # label on the two pages: model in comparison.csv
    "Matrix factorization, d2l's settings": "MF, d2l's settings",
    "Matrix factorization, d2l's settings, stopped on validation": (
        "MF, d2l's settings, stopped on validation"
    ),
    "Matrix factorization with global mean, tuned": "MF with global mean, tuned",
    "AutoRec, d2l's settings": "AutoRec, d2l's settings",
    "AutoRec, d2l's settings, stopped on validation": (
        "AutoRec, d2l's settings, stopped on validation"
    ),
    "AutoRec, tuned": "AutoRec, tuned",
    "AutoRec, bounded output and more dropout, tuned": "AutoRec, improved",
    "Bayesian factorization (myfm), tuned": "Bayesian factorisation (myfm)",
    "Average of three item-based and three user-based AutoRecs": "average, three and three",
    "Blend of different models": "blend",
}


@pytest.mark.parametrize("label", ROWS)
def test_the_table_of_results(label):
    mean, std = measured("comparison.csv", "rmse", protocol="random", model=ROWS[label])
    assert f"| {label} | {mean} ± {std} |" in README


@pytest.fixture(scope="module")
def glance():
    """The rows of the front page's table, in HTML, by their labels."""
    html = at_a_glance.table(COMPARISON.read_text(encoding="utf-8"))
    rows = re.findall(r'<tr[^>]*><th scope="row">([^<]*)</th>(.*?)</tr>', html, re.DOTALL)
    return {label.replace("&#x27;", "'"): row for label, row in rows}


def test_the_front_page_has_the_models_of_readme(glance):
    assert set(at_a_glance.MODELS) == set(ROWS.values())
    assert list(glance) == list(at_a_glance.MODELS.values())


@pytest.mark.parametrize("model", at_a_glance.MODELS)
def test_the_front_page_shows_the_errors_of_the_results_file(glance, model):
    """As text to the last digit, and as dots and bars on the axis."""
    row = glance[at_a_glance.MODELS[model]]
    mean, std = measured("comparison.csv", "rmse", protocol="random", model=model)
    assert f"<td>{mean} ± {std}</td>" in row
    ticks = [float(left) for left in re.findall(r'"tick" style="left: ([\d.]+)%', row)]
    (left,) = re.findall(r'"dot" style="left: ([\d.]+)%', row)
    (start, width), *_ = re.findall(r'"bar" style="left: ([\d.]+)%; width: ([\d.]+)%', row)
    per_star = (ticks[-1] - ticks[0]) / (at_a_glance.TICKS[-1] - at_a_glance.TICKS[0])

    def stars(place):
        return at_a_glance.TICKS[0] + (float(place) - ticks[0]) / per_star

    assert stars(left) == pytest.approx(float(mean), abs=0.0006)
    assert stars(start) == pytest.approx(float(mean) - float(std), abs=0.0011)
    assert float(width) / per_star == pytest.approx(2 * float(std), abs=0.0011)


def test_the_front_page_refuses_an_error_beyond_its_axis():
    text = COMPARISON.read_text(encoding="utf-8")
    far_off, count = re.subn(r"\n(random,0,blend,[^,]*,[^,]*),[^,]*", r"\n\1,1.2", text)
    assert count == 1
    with pytest.raises(ValueError, match="blend is not between"):
        at_a_glance.table(far_off)


SENTENCES = {  # worse and better model: what the pages say of their difference
    README: (
        "better than matrix factorization by {} stars",
        "it gains {} more",
        "stopping helps matrix factorization by {}",
    ),
    INDEX: ("better than matrix factorization by {} stars", "gains {} more"),
}


@pytest.mark.parametrize("page", [README, INDEX], ids=["README.md", "index.md"])
def test_the_differences(page):
    """Each difference that the pages name, with the interval that they print."""
    table = experiments.read_results("comparison.csv")
    table = table[table["protocol"] == "random"]
    rmse = table.pivot(index="split", columns="model", values="rmse")
    stopped = "AutoRec, d2l's settings, stopped on validation"
    mf, autorec = "MF, d2l's settings", "AutoRec, d2l's settings"
    pairs = (mf, autorec), (autorec, stopped), (mf, f"{mf}, stopped on validation")
    for (worse, better), sentence in zip(pairs, SENTENCES[page], strict=False):
        mean, half_width = experiments.paired_interval(rmse[worse] - rmse[better])
        assert sentence.format(f"{mean:.3f} ± {half_width:.3f}") in page
    gain = experiments.paired_interval(rmse[autorec] - rmse[stopped])[0]
    rest = experiments.paired_interval(rmse[stopped] - rmse["AutoRec, tuned"])[0]
    assert 0.15 < rest / gain < 0.25  # "a fifth of that"
    single = [name for name in rmse if not re.search("blend|average|ensemble", name)]
    bayes = rmse["Bayesian factorisation (myfm)"]
    of_autorec = [name for name in single if name.startswith("AutoRec")]
    assert bayes.mean() < rmse[of_autorec].mean().min()
    assert (rmse.idxmin(axis=1) == "blend").all()
    assert rmse["AutoRec, improved"].mean() < rmse["AutoRec, tuned"].mean()
    epochs = table[table["model"] == stopped]["epochs"].mean()
    assert 1.6 < epochs / 25 < 2.4  # "about twice"


def test_the_table_of_own_ratings():
    table = experiments.read_results("custom_tables.csv")
    mean = table.groupby(["table", "model"])["test_rmse"].mean()
    models = ["ensemble"]
    models += [f"Surprise {n}, default" for n in ("SVD", "SVD++", "KNNBaseline", "BaselineOnly")]
    for name, errors in mean.groupby("table"):
        cells = " | ".join(f"{errors[name, model]:.3f}" for model in models)
        assert f"| {name} | {cells} |" in README


@pytest.mark.parametrize("model", ["I-AutoRec", "U-AutoRec"])
def test_the_results_on_movielens_1m(model):
    mean, std = measured("paper_ml1m.csv", "rmse", model=model)
    assert f"{model} {mean} ± {std} (published" in README


def test_the_table_of_seconds():
    table = experiments.read_results("train_time.csv")
    last = table[(table["epoch"] == 25) & (table["cores"] == 2)].groupby("arm")
    seconds, rmse = last["total_seconds"].median(), last["test_rmse"].mean()
    rows = re.findall(r"^\| ([^|]+) \| (\d+\.\d) \| (0\.\d+) \|$", README, re.MULTILINE)
    assert len(rows) == 5
    for arm, of_arm, error in rows:
        assert (of_arm, error) == (f"{seconds[arm]:.1f}", f"{rmse[arm]:.3f}")
    one, two = (seconds[f"ours, sparse, busy, {threads}"] for threads in ("1 thread", "2 threads"))
    assert 2.2 < two / one < 2.8
    assert f"two and a half times as long ({two:.1f} s against {one:.1f} s)" in README


def test_the_cost_at_the_size_of_movielens_10m():
    table = experiments.read_results("scale.csv").set_index(["experiment", "size", "form"])
    sparse, dense = (table.loc["movielens", "10M", form] for form in ("sparse", "dense"))
    cost = f"{sparse.seconds:.1f} s and at most {sparse.peak_bytes / 1e9:.1f} GB"
    assert f"takes {cost}, against {dense.seconds:.0f} s with dense batches" in README
