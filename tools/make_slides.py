#!/usr/bin/env python3
"""Make slides of the lesson from the cells of its chapters; they need no network.

    .venv/bin/python tools/make_slides.py    writes _build/slides/*.html

The slides have headings, lists, equations, code and outputs; the prose is in the speaker's notes
(press S). Solutions are left out.
"""

import re
import shutil
import sys
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from nbformat.v4 import new_markdown_cell, new_notebook
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
from book_frame import MATHJAX, installed  # noqa: E402
from plain_markdown import PARSER, Book, plain  # noqa: E402
from without_solutions import cut  # noqa: E402

LESSON, FOLDED = ("movielens", "mf", "autorec"), {"hide-input"}
# nbconvert's template, with local scripts in place of those from a CDN.
PAGE = """{%- extends 'reveal/index.html.j2' -%}
{% block html_head_js %}<script>
MathJax = {tex: {inlineMath: [['$', '$']]}, svg: {fontCache: 'none'}};
</script>{% endblock %}
{% block html_head_js_mathjax %}<script src="MATHJAX"></script>{% endblock %}
{% block html_head_css %}<style>
.reveal { font-size: 26px; }
.reveal :is(h1, h2, h3) { text-transform: none !important; }
.reveal .slides section { max-height: 100%; overflow-y: auto; text-align: left; }
.reveal blockquote { font-style: normal; margin: 0 !important; width: auto !important; }
</style>{% endblock %}
{% block footer_js %}
<script src="reveal/dist/reveal.js"></script><script src="reveal/plugin/notes/notes.js"></script>
<script>Reveal.initialize({hash: true, slideNumber: 'c/t', plugins: [RevealNotes]});</script>
{% endblock %}""".replace("MATHJAX", MATHJAX)


def deck(cells, book):
    """Yield the cells of the slides: one for each heading, below it one for each code cell."""
    only_heading = False  # whether the slide has only its heading, so that code fits on it
    for cell in map(nbformat.from_dict, cut(cells)[:1] + cut(cells)[2:]):  # without the set-up
        if cell.cell_type == "code":
            cell.metadata["slideshow"] = {"slide_type": "-" if only_heading else "subslide"}
            yield cell
            only_heading = False
            continue
        for text in re.split(r"^(?=#)", plain(cell.source, book), flags=re.MULTILINE):
            lines, shown, notes = text.split("\n"), [], []
            for token in PARSER.parse(text):
                if token.level == 0 and token.map:
                    block = "\n".join(lines[slice(*token.map)])
                    is_prose = token.type == "paragraph_open" and not block.startswith("$$")
                    (notes if is_prose else shown).append(block)
            level = "slide" if re.match("##? ", text) else "subslide"
            for blocks, kind in ((shown, level), (notes, "notes")):
                if blocks:
                    metadata = {"slideshow": {"slide_type": kind}}
                    yield new_markdown_cell("\n\n".join(blocks), metadata=metadata)
            only_heading = level == "slide" and len(shown) == 1


def main():
    """Write the slides and the scripts that they load."""
    out, book = ROOT / "_build" / "slides", Book.read(ROOT / "book")
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(installed("sphinx-revealjs", "revealjs/LICENSE").parent, out / "reveal")
    shutil.copy(installed("sphinx-mathjax-offline", f"mathjax/{MATHJAX}"), out)
    exporter = SlidesExporter(
        config=Config({"TagRemovePreprocessor": {"enabled": True, "remove_input_tags": FOLDED}}),
        raw_template=PAGE,
        reveal_url_prefix="reveal",
        reveal_theme="white",  # with local fonts
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    for name in LESSON:
        chapter = nbformat.read(ROOT / "book" / f"{name}.ipynb", as_version=4)
        nb = new_notebook(cells=list(deck(chapter.cells, book)))
        body, _ = exporter.from_notebook_node(nb, {"metadata": {"name": name}})
        (out / f"{name}.html").write_text(body, encoding="utf-8")
        print(f"wrote _build/slides/{name}.html")


if __name__ == "__main__":
    main()
