"""What Jupyter Book lacks for this book: it reads offline, and it knows its own address.

* Equations: MathJax from the package `sphinx-mathjax-offline` instead of a content network.
* No Thebe: sphinx-thebe declares one constant twice, which is a script error on every page.
* The buttons of Colab, Binder and the repository appear once pyproject.toml names its address,
  unless the solutions are hidden, which lie in the repository.
"""

import re
from importlib.metadata import distribution
from pathlib import Path

from address import repository, urls

MATHJAX = "tex-svg-full.js"  # the full one: it never asks for a further file

# Who can start a chapter that lies at a host; the theme knows no other hosts.
BINDER = {"binderhub_url": "https://mybinder.org"}
LAUNCHERS = {
    "github.com": {"colab_url": "https://colab.research.google.com", **BINDER},
    "gitlab.com": BINDER,
}

# The root page only leads to the first chapter; Jupyter Book's own has no title and no language.
FRONT_DOOR = """<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="icon" href="_static/favicon.svg">
<meta http-equiv="refresh" content="0; url={root}.html">
</head>
<body><p><a href="{root}.html">{title}</a></p></body>
</html>
"""


def read_offline(app, config):
    """Take MathJax from the installed package, and silence Thebe."""
    files = distribution("sphinx-mathjax-offline").files
    script = next(file.locate() for file in files if file.match(f"mathjax/{MATHJAX}"))
    config.html_static_path.append(str(script))
    config.mathjax_path = MATHJAX
    for event in ("env-before-read-docs", "doctree-resolved"):
        listeners = app.events.listeners[event]
        listeners[:] = [one for one in listeners if one.handler.__module__ != "sphinx_thebe"]


def name_the_repository(app, config):
    """Offer the launch, repository and edit buttons only where they lead somewhere."""
    root, options = Path(app.srcdir), config.html_theme_options
    config.html_baseurl = config.html_baseurl or urls(root).get("documentation", "")
    url = repository(root)
    host = url and url.split("/")[2]
    if config.hide_solutions or host not in LAUNCHERS:
        options.update(repository_url="", launch_buttons={})
        return
    options.update(
        repository_url=url,
        repository_branch="main",
        use_repository_button=True,
        use_edit_page_button=True,
        launch_buttons={"notebook_interface": "jupyterlab", **LAUNCHERS[host]},
    )


def mend_for_readers(app, pagename, templatename, context, doctree):
    """Say what screen readers need to know and the page does not say."""
    if body := context.get("body"):
        # The 中文要点 boxes are Chinese: for voices, and for the right glyphs.
        zh = r'<div class="((?:[\w-]+ )*zh(?: [\w-]+)*)"'
        body = re.sub(zh, r'<div lang="zh-Hans" class="\1"', body)
        # A list of works is a list of list items.
        context["body"] = body.replace('role="doc-biblioentry"', 'role="listitem"')


def open_front_door(app, exception):
    """Write the root page before Jupyter Book does."""
    if exception is None and app.builder.format == "html":
        page = FRONT_DOOR.format(
            language=app.config.language, title=app.config.html_title, root=app.config.root_doc
        )
        (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


def setup(app):
    """Connect the parts."""
    app.setup_extension("without_solutions")  # which knows `hide_solutions`
    app.connect("config-inited", read_offline)
    app.connect("config-inited", name_the_repository)
    app.connect("html-page-context", mend_for_readers)
    app.connect("build-finished", open_front_door, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
