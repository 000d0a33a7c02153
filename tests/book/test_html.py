"""The built book: without warnings, complete, offline, accessible, on any screen, light and dark.

Set AUTOREC_D2L_REQUIRE_BROWSER=1 where Chromium must be there; elsewhere its tests are skipped
without it.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from chromium import AXE, OVERFLOW, new_page, visit
from playwright.sync_api import TimeoutError

import autorec_d2l

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import folded_labels  # noqa: E402
from placeholders import PLACEHOLDERS  # noqa: E402


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """Return the folder of the pages, built from scratch and without warnings.

    Set AUTOREC_D2L_PAGES to the folder of a build that is so, as `.ci/run` does.
    """
    if pages := os.environ.get("AUTOREC_D2L_PAGES"):
        return Path(pages)
    out = tmp_path_factory.mktemp("book")
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ROOT, "--path-output", out]
    done = subprocess.run(
        [*command, "-W", "--keep-going"], capture_output=True, text=True, encoding="utf-8"
    )
    log = done.stdout + done.stderr
    assert done.returncode == 0, log[-5000:]
    assert re.findall(r".*\b(?:WARNING|ERROR)\b.*", log) == []
    return out / "_build" / "html"


# Equations that are not rendered: left as TeX, an error, or an unknown command in red.
EQUATIONS = """async () => {
    const maths = [...document.querySelectorAll('.math')];
    if (maths.length) await MathJax.startup.promise;
    const broken = '[data-mml-node=merror], [data-mml-node=mtext][fill=red]';
    return maths.filter(e => !e.querySelector('mjx-container') || e.querySelector(broken))
                .map(e => 'equation: ' + e.textContent.slice(0, 80));
}"""

# Output that is cut off at the edge of its column: a reader has to scroll sideways.
WIDE_OUTPUT = """() => {
    const scrolls = e => e.scrollWidth > e.clientWidth + 1
        && getComputedStyle(e).overflowX !== 'visible';
    const parts = e => [e, ...e.querySelectorAll('*')];
    return [...document.querySelectorAll('main .cell_output')]
        .filter(e => parts(e).some(part => part.matches('pre, div') && scrolls(part)))
        .map(e => `output is ${Math.max(...parts(e).map(part => part.scrollWidth))} px wide in `
            + `${e.clientWidth}: ${e.textContent.trim().slice(0, 60)}`);
}"""

# Code that is cut off at the edge of its box, also where it is folded.
WIDE_CODE = """() => {
    document.querySelectorAll('main details').forEach(e => e.open = true);
    return [...document.querySelectorAll('main .cell_input pre')]
        .filter(e => e.scrollWidth > e.clientWidth + 1)
        .map(e => 'code is cut off: ' + e.textContent.slice(0, 60));
}"""

IMAGES = """() => [...document.images].filter(e => !e.alt).map(e => 'no alt: ' + e.src)"""

HEAD = """() => Object.entries({
    'no title': document.title.trim(),
    'no language': document.documentElement.lang ===
        (location.pathname.includes('/html/zh/') ? 'zh-CN' : 'en'),
    'no favicon': document.querySelector('link[rel*=icon]'),
    'two search fields': document.querySelectorAll('input[name=q]').length < 2
        || location.pathname.endsWith('search.html'),
}).filter(([, isRight]) => !isRight).map(([fault]) => fault)"""
# English in the Chinese edition, apart from code, outputs and names. Some pages hold little else.
ENGLISH = r"""() => [...document.querySelectorAll('html:lang(zh) :is(main article '
    + ':is(h1, h2, h3, p, li, td, th, summary, figcaption), .bd-sidebar-primary a)')]
    .filter(() => !/(api|references|run_times)\.html$/.test(location.pathname))
    .filter(e => !e.closest('.cell_output, .autorec-fragment') && !e.querySelector('p'))
    .map(e => {
        const text = e.cloneNode(true);
        text.querySelectorAll('code, .math, a.external').forEach(part => part.remove());
        return text.textContent.trim();
    })
    .filter(text => !/[\u4e00-\u9fff]/.test(text) && /[a-z]{3,} [a-z]{3,}|^\d+\. [A-Z]/.test(text))
    .map(text => 'English: ' + text.slice(0, 80))"""
ANCHORS = "[...document.querySelectorAll('[id], a[name]')].map(e => e.id || e.name)"
LINKS = "[...document.querySelectorAll('a[href]')].map(e => e.href)"

# The theme follows the system, and figures, which are drawn on white, are inverted in dark mode.
THEME = "scheme => document.documentElement.dataset.theme === scheme"
FIGURES = """scheme => [...document.querySelectorAll('.cell_output img')]
    .filter(e => getComputedStyle(e).filter.includes('invert') !== (scheme === 'dark'))
    .map(e => `figure is not drawn for ${scheme}: ${e.alt}`)"""

# axe takes minutes for thousands of elements. Of elements that look alike (tags, classes and names
# of attributes up to the page, colours, size, and a content of such elements) one stays. What has a
# name or a rule that depends on its content stays or goes as a whole, and so does what another
# element refers to. What an earlier page had goes as well: `known` are hashes of what was seen, and
# new ones are returned. Sidebars and header are the same everywhere: the index has them.
SHRINK = """known => {
    const shared = document.querySelectorAll('[class*=bd-sidebar], .bd-header-article');
    if (!location.pathname.endsWith('/book/index.html')) shared.forEach(e => e.remove());
    document.querySelectorAll('mjx-container, #jb-print-docs-body')
        .forEach(e => e.replaceChildren());
    const references = ['for', 'headers', 'list', 'aria-controls', 'aria-describedby',
        'aria-labelledby', 'aria-owns', 'aria-activedescendant'];
    const referred = new Set(references.flatMap(name => [...document.querySelectorAll(`[${name}]`)]
        .flatMap(e => e.getAttribute(name).split(' '))));
    const whole = 'a, button, h1, h2, h3, h4, label, summary, select, svg, th, [role]';
    const text = e => [...e.childNodes].filter(n => n.nodeType === Node.TEXT_NODE)
        .map(n => n.data.trim()).join('').slice(0, 2).length;  // axe skips single characters
    const own = e => {
        const style = getComputedStyle(e);
        const names = e.getAttributeNames().filter(name => name !== 'id').join();
        return [e.tagName, e.getAttribute('class'), names, e.getAttribute('style'), e.rowIndex % 2,
            style.color, style.backgroundColor, style.fontSize, style.fontWeight,
            style.textDecorationLine, text(e)].join('|');
    };
    const number = text => {  // a hash of 53 bits
        let [a, b] = [0xdeadbeef, 0x41c6ce57];
        for (let i = 0; i < text.length; i++) {
            const code = text.charCodeAt(i);
            a = Math.imul(a ^ code, 2654435761);
            b = Math.imul(b ^ code, 1597334677);
        }
        a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
        b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
        return 4294967296 * (2097151 & b) + (a >>> 0);
    };
    const [seen, fresh, gone] = [new Set(known), [], []];
    // Return the look of an element with what stays in it, null if it has to stay, '' if it goes.
    const look = (e, path, mayRemove) => {
        const kind = number(own(e)), here = number(`${path}>${kind}`);
        const inside = mayRemove && !e.matches(whole);
        const parts = [...e.children].map(child => look(child, here, inside));
        if (e.shadowRoot || e.hasAttribute('for') || referred.has(e.id) || parts.includes(null))
            return null;
        const content = parts.filter(part => part !== '').join();
        const all = number(`${here}(${content})`);
        if (mayRemove && seen.has(all) && !e.matches('dd, dt, td')) return gone.push(e), '';
        if (!seen.has(all)) fresh.push(all);
        seen.add(all);
        return number(`${kind}(${content})`);
    };
    for (const child of document.querySelectorAll('main > *')) look(child, '', true);
    gone.forEach(e => e.remove());  // in the end: a change before a look at style costs time
    return fresh;
}"""
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
# In dark mode the pages differ in these kinds of content only.
DARK = ("index", "api", "autorec", "comparison", "recommend", "scale")
# Colours change at once, and unfolded code does not fade in.
STILL = "* { transition: none !important; animation: none !important; }"


def live_faults(page, faults, path, dark=True, known=None):
    """Load a file, switch its width and mode; return its faults, links and anchors.

    To `known`, a list, is added what axe has seen; what is in it already, axe does not see again.
    """
    known = [] if known is None else known
    faults.clear()
    page.emulate_media(color_scheme="light")
    page.goto(path.as_uri(), wait_until="load")
    links, anchors = page.evaluate(LINKS), page.evaluate(ANCHORS)
    page.add_style_tag(content=STILL)
    checks = [HEAD, ENGLISH, EQUATIONS, IMAGES, OVERFLOW, WIDE_CODE]
    for script in [*checks, WIDE_OUTPUT]:
        faults += page.evaluate(script)
    page.set_viewport_size({"width": 390, "height": 800})
    faults += [f"{fault} (on a phone)" for fault in page.evaluate(OVERFLOW)]
    known += page.evaluate(SHRINK, known)  # before the page is laid out again
    page.set_viewport_size({"width": 1280, "height": 800})
    page.evaluate(Axe().axe_script)
    faults += faults_of_mode(page, "light", {})
    if dark:
        faults += faults_of_mode(page, "dark", COLOURS)
    return [f"{path.name}: {fault}" for fault in faults], links, anchors


def faults_of_mode(page, scheme, rules):
    """Return what is wrong with a page in light or dark mode."""
    page.emulate_media(color_scheme=scheme)
    try:
        page.wait_for_function(THEME, arg=scheme)
    except TimeoutError:
        yield "the theme does not follow the system"
    yield from page.evaluate(FIGURES, scheme)
    yield from (f"{rule}: {nodes} ({scheme})" for rule, nodes in page.evaluate(AXE, rules))


@pytest.fixture(scope="module")
def pages(html, browser):
    """Load every page; return, by their URLs, their faults, links and anchors."""
    found, known, (page, faults) = {}, [], new_page(browser)
    page.set_default_timeout(10_000)
    paths = [
        path
        for path in sorted(html.rglob("*.html"))
        if "_static" not in path.parts and path not in (html / "index.html", html / "zh/index.html")
    ]
    # First those that are looked at in both modes: what they have goes from the others.
    for path in sorted(paths, key=lambda path: path.stem not in DARK):
        dark = path.stem in DARK and html / "zh" not in path.parents
        found[path.as_uri()] = live_faults(page, faults, path, dark, known)
    page.context.close()
    return found


def test_pages_in_the_browser(pages):
    faults = [fault for wrong, *_ in pages.values() for fault in wrong]
    assert not faults, "\n".join(faults)


def test_every_page_is_there(html, pages):
    toc = re.findall(r"(?:file|root): (\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    wanted = {(html / f"{name}.html").as_uri() for name in [*toc, "search"]}
    assert pages.keys() >= wanted
    redirect = (html / "index.html").read_text(encoding="utf-8")
    assert re.search(r'<html lang="en">.*<title>.+</title>.*url=book/index.html"', redirect, re.S)


def test_each_page_has_one_in_the_other_language_with_the_same_anchors(html, pages):
    english = [url for url in pages if not url.startswith(f"{html.as_uri()}/zh/")]
    assert 2 * len(english) == len(pages)
    for url in english:
        _, links, anchors = pages[url]
        chinese = url.replace(html.as_uri(), f"{html.as_uri()}/zh")
        _, their_links, their_anchors = pages[chinese]
        if "/book/" in url.removeprefix(html.as_uri()):  # the index of names has an anchor a letter
            assert chinese in links
            assert url in their_links
            differ = {*anchors} ^ {*their_anchors}
            assert [one for one in differ if not one.startswith(("svg-", "MJX-"))] == []  # drawn


def test_the_link_to_the_other_language_keeps_the_place(html, browser):
    page, faults = visit(browser, html / "book" / "mf.html")
    start = f"{page.url}#exercises"
    page.goto(start)
    for language in ("zh-CN", "en"):
        page.click(".btn-language-button")
        page.wait_for_function("lang => document.documentElement.lang === lang", arg=language)
        assert page.url.endswith("#exercises")
    assert page.url == start
    assert len(page.context.pages) == 1
    assert faults == []
    page.context.close()


@pytest.mark.parametrize(("language", "is_offered"), [("zh-CN", True), ("en-US", False)])
def test_chinese_is_offered_once_to_who_asks_for_it(language, is_offered, html, browser):
    page, faults = visit(browser, html / "book" / "mf.html", locale=language)
    offer = page.locator(".language-offer")
    assert offer.is_visible() == is_offered
    if is_offered:
        assert offer.locator("a").get_attribute("href").endswith("zh/book/mf.html")
        offer.locator("button").click()
        page.reload()
        assert offer.count() == 0
    assert faults == []
    page.context.close()


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("评分矩阵", "movielens"),
        ("掩码", "autorec"),
        ("AutoRec", "autorec"),
        ("配对差值", "protocol"),
    ],
)
def test_search_in_chinese(query, page, html, browser):
    tab, _ = new_page(browser)  # Sphinx also fetches excerpts, which `file:` forbids
    tab.goto(f"{(html / 'zh' / 'search.html').as_uri()}?q={query}")
    tab.wait_for_function("document.querySelector('.search-summary')?.textContent.match(/[1-9]/)")
    found = tab.eval_on_selector_all("#search-results li a", "all => all.map(a => a.href)")
    assert any(f"/html/zh/book/{page}.html" in link for link in found)
    assert all("/html/zh/" in link for link in found)
    tab.context.close()


def dead_links(pages):
    """Return the links to files that do not exist, and to anchors that their page lacks."""
    for _, links, _ in pages.values():
        for link in filter(lambda link: link.startswith("file:"), links):
            url, anchor = urldefrag(link)
            there = Path(unquote(urlsplit(url).path))
            if not there.exists() or (anchor and unquote(anchor) not in pages[url][2]):
                yield link


def test_links_lead_somewhere(html, pages):
    assert list(dead_links(pages)) == []
    folder = html.as_uri()
    broken = [f"{folder}/gone.html", f"{folder}/book/mf.html#gone"]
    assert list(dead_links({**pages, "x": ([], broken, [])})) == broken


def test_every_chapter_links_its_standalone_notebook(html, pages):
    for chapter in (ROOT / "book").glob("*.ipynb"):
        _, links, _ = pages[(html / "book" / f"{chapter.stem}.html").as_uri()]
        assert (html / "standalone" / chapter.name).as_uri() in links
        assert not any("_sources" in link for link in links)


def test_standalone_notebooks_have_the_same_code_in_both_languages(html):
    for chapter in (ROOT / "book").glob("*.ipynb"):
        english, chinese = (
            json.loads((html / folder / chapter.name).read_text(encoding="utf-8"))["cells"]
            for folder in ("standalone", "zh/standalone")
        )
        assert [cell["id"] for cell in english] == [cell["id"] for cell in chinese]
        for cell, same in zip(english, chinese, strict=True):
            if cell["cell_type"] == "code":
                assert cell == same
            elif re.search("[a-z]{3} [a-z]{3}", cell["source"]):
                assert re.search("[\u4e00-\u9fff]", same["source"])


def test_every_public_name_is_in_the_library_reference(html, pages):
    public = {name: getattr(autorec_d2l, name) for name in autorec_d2l.__all__}
    described = {f"{thing.__module__}.{name}" for name, thing in public.items() if callable(thing)}
    assert described - set(pages[(html / "book" / "api.html").as_uri()][2]) == set()


UNPRINTED = """() => [...document.querySelectorAll('.bd-content *')].filter(
    e => e.matches('details > :not(summary), .toggle-hidden > :not(.admonition-title)')
        && !e.checkVisibility({visibilityProperty: true})
      || e.matches('pre, table, img') && e.getBoundingClientRect().right > innerWidth + 1
).map(e => e.outerHTML.slice(0, 80))"""


def test_a_chapter_prints_whole_and_the_first_key_skips_the_contents(html, browser):
    page, _ = visit(browser, html / "book" / "autorec.html", width=718)  # A4 with margins
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main-content"
    assert page.evaluate(UNPRINTED) != []  # on the screen solutions are folded
    page.emulate_media(media="print")
    assert page.evaluate(UNPRINTED) == []
    page.context.close()


def test_dark_mode_prints_as_light_mode(html, browser):
    """The colours of what is printed: of letters by the theme, of figures by the style sheet."""
    page, _ = visit(browser, html / "book" / "mf.html", scheme="dark")
    chapter = json.loads((ROOT / "book" / "mf.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in chapter["cells"] for output in cell.get("outputs", [])]
    drawn = sum("image/png" in output.get("data", {}) for output in outputs)
    assert len(page.evaluate(FIGURES, "light")) == drawn > 0
    page.evaluate(
        """() => addEventListener('beforeprint', () => {
            const {color, backgroundColor} = getComputedStyle(document.body);
            window.printed = [document.documentElement.dataset.theme, color, backgroundColor];
        })"""
    )
    page.emulate_media(media="print")
    assert page.evaluate(FIGURES, "light") == []
    page.pdf()
    assert page.evaluate("window.printed") == ["light", "rgb(34, 40, 50)", "rgb(255, 255, 255)"]
    page.emulate_media(media="screen")
    page.wait_for_function(THEME, arg="dark")
    page.context.close()


IMAGE = 'src="data:image/gif;base64,R0lGODlhAQABAAAAACw="'
BROKEN = {  # what is found on one page with all of it: the page's part
    "two search fields": 2 * '<input name="q" aria-label="x">',
    "requested https://example.org/x.js": '<script src="https://example.org/x.js"></script>',
    "script error: Cannot read properties of null": "<script>null.x</script>",
    "console: no": "<script>console.error('no')</script>",
    r"equation: \nosuchmacro": r'<span class="math">\(\nosuchmacro\)</span>',
    r"equation: \(\frac{1\)": r'<span class="math">\(\frac{1\)</span>',
    "equation: plain": '<div class="math">plain</div>',
    "no alt: data:": f"<img {IMAGE}>",
    "code is cut off: xxx": (
        '<details><summary>Code</summary><div class="cell_input">'
        f'<pre style="overflow: auto; width: 200px">{"x" * 99}</pre></div></details>'
    ),
    ": yyyyy": (
        f'<div class="cell_output"><pre style="overflow: auto; width: 200px">{"y" * 99}</pre></div>'
    ),
    "output is 400 px wide in 300: wide table": (
        '<div class="cell_output" style="overflow-x: auto; width: 300px">'
        '<table style="width: 400px"><tr><td>wide table</td></tr></table></div>'
    ),
    "page is 508 px wide in 390": '<p style="width: 500px">wide</p>',
    "label: ": '<label for="x">single</label><input id="y">',
    "link-in-text-block": (
        "<p>text</p><p>text beside a "
        '<a href="#" style="color: #333; text-decoration: none">link</a></p>'
    ),
    "figure is not drawn for light: x": (
        f'<div class="cell_output"><img alt="x" style="filter: invert(1)" {IMAGE}></div>'
    ),
    "the theme does not": "<script>document.documentElement.dataset.theme = 'x'</script>",
}


def test_live_faults_are_noticed(html, browser, tmp_path):
    """A page is sound, then broken in many places, or in one that hides others."""
    mathjax = (html / "_static" / "tex-svg-full.js").as_uri()
    sound = f"""<!DOCTYPE html><html lang="en" data-theme="light"><head><title>x</title>
        <meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
        <script src="{mathjax}"></script></head>
        <body><main><h1>x</h1><span class="math">\\(\\boldsymbol{{x}}\\)</span></main></body>"""
    path, tab = tmp_path / "x.html", new_page(browser)

    def faults_with(broken="", page=sound, known=None):
        path.write_text(page.replace("</main>", f"{broken}</main>"), encoding="utf-8")
        return live_faults(*tab, path, False, known)[0]

    assert faults_with() == []
    bare = re.sub('<title>x</title>| lang="en"|<link rel="icon" href="data:,">', "", sound)
    tab[0].set_default_navigation_timeout(30_000)
    tab[0].set_default_timeout(100)  # for the theme that does not change
    found = faults_with("".join(BROKEN.values()), bare)
    tab[0].set_default_timeout(30_000)
    for fault in ("no title", "no language", "no favicon", *BROKEN):
        assert any(fault in one for one in found), (fault, found)
    assert "page is 2008 px wide in 1280" in faults_with('<p style="width: 2000px">wide</p>')[0]
    among_others = (  # a pale word among others
        "<style>.highlight {color: #000} .k {color: #eee}</style>"
        '<p class="highlight"><span>one</span><span>two</span><span class="k">pale</span></p>'
    )
    assert "color-contrast" in faults_with(among_others)[0]
    # What axe has seen on one page it does not see again, but anything that looks different.
    known = []
    for left in (["one"], []):
        assert faults_with("<p>one</p><p>two</p>", known=known) == []
        assert tab[0].locator("p").all_inner_texts() == left
    pale = '<p>one</p><p style="color: #eee">two</p>'
    assert "color-contrast" in faults_with(pale, known=known)[0]
    tab[0].context.close()


CELLS = [
    ("import torch\n\ntorch.manual_seed(0)\ndata = load()", {}, "set-up"),
    ("import x\nx.plot()", {"image/png": "AA"}, "figure"),
    ("assert x\ntable", {"text/html": ["<table>"]}, "table"),
    ("for x in y:\n    assert x\nprint(1)", {"text/plain": "1"}, "checks"),
    ("a = b()  # an import or an assert is neither", {}, "code"),
]


@pytest.mark.parametrize(("source", "shown", "label"), CELLS)
def test_labels_of_folded_code(source, shown, label):
    cell = {"source": source, "outputs": [{"data": shown}]}
    assert folded_labels.content(cell) == label


def test_folded_code_says_what_is_inside(html):
    chapters = list((html / "book").glob("*.html"))
    text = "".join(chapter.read_text(encoding="utf-8") for chapter in chapters)
    assert "Show code cell source" not in text
    for label in ("the set-up", "the code of this figure"):
        assert f">Show {label}<" in text
        assert f">Hide {label}<" in text


def test_placeholders_are_replaced(html):
    pages = [html / "book" / f"{name}.html" for name in ("index", "run_times")]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert not [placeholder for placeholder in PLACEHOLDERS if placeholder in text]
    for content in ('<table class="glance">', 'class="autorec-fragment"', "<strong>all "):
        assert content in text


def test_the_list_of_contents_marks_the_section_that_is_read(html, browser):
    page, _ = visit(browser, html / "book" / "index.html")
    links = page.locator("#pst-page-toc-nav a").all()
    marked = page.locator("#pst-page-toc-nav :is(a.active, a[aria-current])")

    def mark_after(action):
        action()
        page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 200)))")
        return marked.all_inner_texts()

    assert mark_after(lambda: None) == []
    for link in links:
        assert mark_after(link.click) == [link.inner_text()]
    assert mark_after(lambda: page.evaluate("scrollTo(0, 0)")) == []
    page.context.close()
