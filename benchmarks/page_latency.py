"""Measure how long the live recommender takes to answer.

    python benchmarks/page_latency.py [--html _build/html/book/index.html]

Opens the widget that `book/recommend.ipynb` stores in Chromium, rates films by keyboard, and
measures from each key press to the frame in which the new list is drawn. With `--html` it also
measures the loading of a built page with its scripts. Writes the medians and longest times in
milliseconds to `autorec_d2l/results/page_latency.csv`. Run it on an idle machine.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import pandas as pd
from provenance import write_results

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))
from chromium import chromium, visit  # noqa: E402

# From the time stamp of a key to the first task after the frame that shows the new list.
WATCH = """() => {
    window.waits = [];
    let pressed = 0;
    addEventListener('keydown', event => { pressed = event.timeStamp; }, true);
    const list = document.querySelector('[data-fragment]').shadowRoot.querySelector('.top');
    new MutationObserver(() => requestAnimationFrame(() => setTimeout(
        () => window.waits.push(performance.now() - pressed)))).observe(list, {childList: true});
}"""
LOADED = "() => performance.getEntriesByType('navigation')[0].loadEventEnd"
TITLES = ["star wars", "fargo", "toy story", "pulp fiction", "alien", "babe", "heat", "casablanca"]


def main():
    """Measure, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--html", type=Path, help="a built page to open as well")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(f"<!DOCTYPE html><meta charset=utf-8>{fragment()}", encoding="utf-8")
        waits = [wait for _ in range(options.rounds) for wait in rate(browser, page)]
        measured = {"key press to new list": waits}
        measured["fragment opened"] = [opened(browser, page) for _ in range(options.rounds)]
        if options.html:
            path = options.html.resolve()
            measured["built page opened"] = [opened(browser, path) for _ in range(options.rounds)]
    table = pd.DataFrame(
        {"what": what, "times": len(ms), "median_ms": pd.Series(ms).median(), "longest_ms": max(ms)}
        for what, ms in measured.items()
    )
    write_results(table, "page_latency.csv", ("playwright",))
    print(table.round(1).to_string(index=False))


def fragment():
    """Return the HTML of the chapter's live recommender."""
    nb = json.loads((ROOT / "book" / "recommend.ipynb").read_text(encoding="utf-8"))
    cell = next(c for c in nb["cells"] if "live-recommender" in c["metadata"].get("tags", []))
    return "".join(cell["outputs"][0]["data"]["text/html"])


def rate(browser, path):
    """Give five stars to each of TITLES by the keyboard; return the milliseconds of each key."""
    page, faults = visit(browser, path)
    page.evaluate(WATCH)
    for title in TITLES:
        page.get_by_role("combobox", name="Search").fill(title)
        page.keyboard.press("Enter")
        page.wait_for_timeout(60)
        before = len(page.evaluate("waits"))
        page.keyboard.press("Space")
        page.wait_for_function(f"waits.length > {before}")
        for _ in range(4):
            page.keyboard.press("ArrowRight")
            page.wait_for_timeout(60)
    assert not faults, faults
    waits = page.evaluate("waits")
    page.context.close()
    return waits


def opened(browser, path):
    """Return the milliseconds from the start of the navigation to the end of the load event."""
    page, faults = visit(browser, path)
    assert not faults, faults
    page.wait_for_function(f"({LOADED})() > 0")
    ms = page.evaluate(LOADED)
    page.context.close()
    return ms


if __name__ == "__main__":
    main()
