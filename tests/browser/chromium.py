"""A browser without a network, and what can be wrong with a page in it."""

import os
import re
import shutil
from contextlib import contextmanager

import pytest
from playwright.sync_api import sync_playwright

OVERFLOW = """() => {
    const wide = document.documentElement.scrollWidth, available = window.innerWidth;
    if (wide <= available) return [];
    const out = [...document.querySelectorAll('main *')]
        .filter(e => e.getBoundingClientRect().right > available + 1).slice(0, 5)
        .map(e => e.tagName + '.' + e.className);
    return [`page is ${wide} px wide in ${available}: ${out}`];
}"""

# All rules of axe, unless its options restrict them.
AXE = """async options => (await axe.run(
    {resultTypes: ['violations'], preload: false, ...options})).violations
    .filter(v => ['serious', 'critical'].includes(v.impact))
    .map(v => [v.id, v.nodes.slice(0, 3).map(n => n.html.slice(0, 150))])"""


@contextmanager
def chromium():
    """Start Chromium; skip without one, or fail where AUTOREC_D2L_REQUIRE_BROWSER=1."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        missing = f"no browser: none of {', '.join(names)} on the path"
        if os.environ.get("AUTOREC_D2L_REQUIRE_BROWSER") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    quiet = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    quiet += " disable-component-update disable-sync"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=[f"--{word}" for word in quiet.split()]
        )
        yield browser
        browser.close()


def new_page(browser, scheme="light", width=1280, motion="reduce", **context):
    """Return an empty page without a network, and the list to which its faults are added."""
    context = browser.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        reduced_motion=motion,
        **context,
    )
    page, faults = context.new_page(), []

    def refuse(route):
        faults.append(f"requested {route.request.url}")
        route.abort()

    context.route(re.compile("^(?!file:|data:|blob:)"), refuse)
    page.on("requestfailed", lambda request: faults.append(f"could not load {request.url}"))
    page.on("pageerror", lambda error: faults.append(f"script error: {error}"))
    page.on(
        "console",
        lambda line: faults.append(f"console: {line.text}") if line.type == "error" else None,
    )
    return page, faults


def visit(browser, path, **how):
    """Open a file as `new_page` does; return the page and the list of its faults."""
    page, faults = new_page(browser, **how)
    page.goto(path.as_uri(), wait_until="load")
    return page, faults
