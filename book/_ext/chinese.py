"""The Chinese edition: built beside the English one, into `zh/`, with a link from page to page.

Sphinx translates the pages by the catalogues in `book/locale`. This extension starts that build as
a second process, and adds what catalogues do not reach: captions of the table of contents, cells of
nested tables, and a search in Chinese.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import snowballstemmer
from docutils import nodes
from messages import LOCALE, catalogue
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.search import SearchLanguage
from sphinx.search.en import english_stopwords, js_porter_stemmer
from sphinx.transforms import SphinxTransform
from sphinx.util.logging import getLogger

logger = getLogger(__name__)
FOLDER = "zh"  # in the HTML of the English edition
TITLE = "用 PyTorch 实现 AutoRec"
SETTINGS = {
    "language": "zh_CN",
    "locale_dirs": [str(LOCALE)],
    "gettext_compact": False,
    "project": TITLE,
    "html_title": TITLE,
    "author": "autorec_d2l 作者",
    "togglebutton_hint": "点击显示",
    "togglebutton_hint_hide": "点击隐藏",
}
HAN = re.compile("[\u4e00-\u9fff]+")
# The browser cuts a query as `ChineseSearch.split` cuts the pages.
SPLIT_QUERY = r"""
var splitQuery = (query) =>
  (query.match(/[\u4e00-\u9fff]+|[\p{L}\p{N}_]+/gu) || []).flatMap((run) =>
    /^[\u4e00-\u9fff]{3}/.test(run)
      ? Array.from({ length: run.length - 1 }, (_, i) => run.slice(i, i + 2))
      : [run]);
"""


class ChineseSearch(SearchLanguage):
    """Search by pairs of characters.

    Sphinx's own search cuts pages into words, by a dictionary, but not the query, and finds nothing
    for a query of two words.
    """

    lang = "zh"
    language_name = "Chinese"
    stopwords = english_stopwords
    js_stemmer_code = js_porter_stemmer
    js_splitter_code = SPLIT_QUERY

    def init(self, options):
        """Stem English words, as the browser does."""
        self.stemmer = snowballstemmer.stemmer("english")

    def split(self, text):
        """Return the English words and the pairs of Chinese characters of a text."""
        pairs = (run[i : i + 2] for run in HAN.findall(text) for i in range(max(1, len(run) - 1)))
        return [*re.findall(r"[A-Za-z0-9_]+", text), *pairs]

    def word_filter(self, word):
        """Return whether a word is in the index."""
        return len(word) > 1 and word not in self.stopwords

    def stem(self, word):
        """Return the stem of a word."""
        return self.stemmer.stemWord(word.lower())


class TableSources(SphinxTransform):
    """Give the cells of nested tables a source: without one, gettext leaves them out."""

    default_priority = 5  # before the catalogues

    def apply(self, **kwargs):
        """Set source and line where they are missing."""
        for node in self.document.findall(nodes.TextElement):
            if node.source is None and isinstance(node.parent, nodes.entry):
                node.source, node.line = self.document["source"], node.parent.line or 1


class Captions(SphinxTransform):
    """Translate the captions of _toc.yml, which come after the catalogues."""

    default_priority = 101  # after sphinx_external_toc

    def apply(self, **kwargs):
        """Replace the captions of the tables of contents."""
        to = catalogue(self.config.language, self.env.docname)
        for toctree in self.document.findall(addnodes.toctree):
            if toctree["caption"]:
                toctree["caption"] = to(toctree["caption"])


def set_url(app, config):
    """Set the URL of the Chinese pages, which the book's extensions take from pyproject.toml."""
    if config.language == "zh_CN" and config.html_baseurl:
        config.html_baseurl = f"{config.html_baseurl.rstrip('/')}/{FOLDER}"


def start(app):
    """Start the build of the Chinese edition."""
    if app.config.language != "en" or app.builder.format != "html":
        return
    options = ["-W"] * app.warningiserror + ["--all"] * app.fresh_env_used
    app.chinese = subprocess.Popen(
        [sys.executable, __file__, app.srcdir, Path(app.outdir).parent / FOLDER, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def finish(app, exception):
    """Wait for the Chinese edition, and put its pages into the English one."""
    if not hasattr(app, "chinese"):
        return
    output, _ = app.chinese.communicate()
    if app.chinese.returncode:
        raise ExtensionError(f"the Chinese edition was not built:\n{output}")
    for line in output.splitlines():
        if "WARNING" in line:
            logger.warning("Chinese edition: %s", line)
    out = Path(app.outdir)
    shutil.rmtree(out / FOLDER, ignore_errors=True)
    shutil.copytree(out.parent / FOLDER / "html", out / FOLDER)


def add_links(app, pagename, templatename, context, doctree):
    """Link a page to the same page in the other language."""
    if pagename in ("genindex", "py-modindex"):
        return
    is_chinese = app.config.language == "zh_CN"
    here, other = f"{pagename}.html", f"{'..' if is_chinese else FOLDER}/{pagename}.html"
    name, language, tooltip = (
        ("English", "en", "This page in English")
        if is_chinese
        else ("中文", "zh-CN", "本页的中文版")
    )
    context["header_buttons"].append(
        {
            "type": "link",
            "url": context["pathto"](other, 1),
            "text": f'<span lang="{language}">{name}</span>',
            "tooltip": tooltip,
            "label": "language-button",
        }
    )
    locales = ("zh_CN", "en_US") if is_chinese else ("en_US", "zh_CN")
    tags = [
        f'<meta property="og:locale" content="{locales[0]}">',
        f'<meta property="og:locale:alternate" content="{locales[1]}">',
    ]
    if url := app.config.html_baseurl.rstrip("/"):
        base = url.removesuffix(f"/{FOLDER}") if is_chinese else url
        pages = (("en", here), ("zh-CN", f"{FOLDER}/{here}"), ("x-default", here))
        tags += [
            f'<link rel="alternate" hreflang="{code}" href="{base}/{path}">' for code, path in pages
        ]
    context["metatags"] = context.get("metatags", "") + "\n".join(tags)


def setup(app):
    """Register the transforms, the search and the event handlers."""
    app.add_search_language(ChineseSearch)
    app.add_transform(TableSources)
    app.add_transform(Captions)
    app.connect("config-inited", set_url, priority=900)  # after the other extensions
    app.connect("builder-inited", start, priority=900)  # after old pages have been deleted
    app.connect("build-finished", finish, priority=900)
    app.connect("html-page-context", add_links, priority=503)  # after "Run it yourself"
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def main(source, folder, *options):
    """Build the Chinese edition of the book in `source`, in `folder`."""
    from jupyter_book.sphinx import build_sphinx  # imports much

    return build_sphinx(
        Path(source),
        Path(folder, "html"),
        noconfig=True,
        path_config=Path(source, "_config.yml"),
        doctreedir=Path(folder, ".doctrees"),
        confoverrides={"external_toc_path": "_toc.yml", "latex_individualpages": False, **SETTINGS},
        warningiserror="-W" in options,
        keep_going=True,
        freshenv="--all" in options,
    )


if __name__ == "__main__":
    result = main(*sys.argv[1:])
    if isinstance(result, Exception):
        raise result
    sys.exit(result)
