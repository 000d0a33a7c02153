"""What the front doors say is what the code does and the results are."""

import re
from pathlib import Path

import nbformat
import pytest

from autorec_d2l import study

ROOT = Path(__file__).parents[1]
README, INDEX = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "book/index.md")
)


def test_the_example_runs_and_trains():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(example, names)
    assert len(names["history"]) == 25
    assert 0.88 < names["history"].test_rmse.iloc[-1] < 0.92


def test_the_links_lead_somewhere():
    targets = re.findall(r"\]\((?!http)([^)]+)\)|src=\"(?!http)([^\"]+)\"", README)
    assert targets
    for target in map("".join, targets):
        assert (ROOT / target).exists(), target


def printed_by_the_lesson(column):
    """Mean and standard deviation over the splits, as `book/autorec.ipynb` printed them."""
    chapter = nbformat.read(ROOT / "book" / "autorec.ipynb", as_version=4)
    text = "".join(
        output.text
        for cell in chapter.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream"
    )
    return [
        re.search(rf"^{row} +(\S+) +(\S+)", text, re.MULTILINE)[column] for row in ("mean", "std")
    ]


def measured(name, column="test_rmse", **wanted):
    """Mean and standard deviation over the splits in a results file."""
    table = study.read_results(name)
    for key, value in wanted.items():
        table = table[table[key] == value]
    by_split = table.groupby("split")[column].mean()
    assert len(by_split) == 5
    return f"{by_split.mean():.3f}", f"{by_split.std():.3f}"


@pytest.mark.parametrize(
    ("label", "result"),
    [
        ("Matrix factorization, d2l's settings", lambda: printed_by_the_lesson(1)),
        (
            "AutoRec, the listing in MXNet 1.9.1",
            lambda: measured("mxnet_parity.csv", framework="mxnet", epoch=25),
        ),
        (
            "AutoRec, its port, epochs ended in the same way",
            lambda: measured(
                "mxnet_parity.csv", framework="torch", last_batch="rollover", epoch=25
            ),
        ),
        ("AutoRec, d2l's settings, as the chapters train it", lambda: printed_by_the_lesson(2)),
        (
            "AutoRec, bounded output, tuned on validation",
            lambda: measured("exercise_activations.csv", model="sigmoid / bounded", sweep="tuned"),
        ),
        (
            "Matrix factorization with global mean, tuned on validation",
            lambda: measured(
                "comparison.csv", "rmse", protocol="random", model="MF with global mean, tuned"
            ),
        ),
        (
            "Average of three item-based and three user-based AutoRecs",
            lambda: measured(
                "comparison.csv", "rmse", protocol="random", model="average, three and three"
            ),
        ),
    ],
)
@pytest.mark.parametrize("door", [README, INDEX], ids=["README.md", "index.md"])
def test_the_table_of_results(door, label, result):
    mean, std = result()
    assert f"| {label} | {mean} ± {std} |" in door


@pytest.mark.parametrize("model", ["I-AutoRec", "U-AutoRec"])
def test_the_results_on_movielens_1m(model):
    mean, std = measured("paper_ml1m.csv", "rmse", model=model)
    assert f"{model} {mean} ± {std} (published" in README


def test_the_table_of_seconds():
    table = study.read_results("train_time.csv")
    last = table[(table["epoch"] == 25) & (table["cores"] == 2)].groupby("arm")
    seconds, rmse = last["total_seconds"].median(), last["test_rmse"].mean()
    rows = re.findall(r"^\| ([^|]+) \| (\d+\.\d) \| (0\.\d+) \|$", README, re.MULTILINE)
    assert len(rows) == 6
    for arm, of_arm, error in rows:
        assert (of_arm, error) == (f"{seconds[arm]:.1f}", f"{rmse[arm]:.3f}")


def test_the_cost_at_the_size_of_movielens_10m():
    table = study.read_results("scale.csv").set_index(["experiment", "size", "form"])
    sparse, dense = (table.loc["movielens", "10M", form] for form in ("sparse", "dense"))
    cost = f"{sparse.seconds:.1f} s and at most {sparse.peak_bytes / 1e9:.1f} GB"
    assert f"takes {cost}, against {dense.seconds:.0f} s with dense batches" in README
