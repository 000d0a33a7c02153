"""Make the HTML book work offline, link it to its repository, and fix its accessibility.

* Equations: MathJax from the package `sphinx-mathjax-offline` instead of a CDN.
* No Thebe: sphinx-thebe declares one constant twice, which is a script error on every page.
* The buttons of Colab, Binder and the repository appear if pyproject.toml has the repository's
  URL, unless the solutions are hidden, which the repository contains.
"""

import re
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import urlsplit

import tomllib

MATHJAX = "tex-svg-full.js"  # the full one loads no further files

KERNEL = {  # metadata of every notebook
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

# The services that can run a chapter from a host; the theme supports no other hosts.
BINDER = {"binderhub_url": "https://mybinder.org"}
LAUNCHERS = {
    "github.com": {"colab_url": "https://colab.research.google.com", **BINDER},
    "gitlab.com": BINDER,
}

# The root page redirects to the first chapter; Jupyter Book's own has no title and no language.
REDIRECT = """<!DOCTYPE html>
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


def project_urls(root):
    """Return `[project.urls]` of pyproject.toml."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["project"].get("urls", {})


def installed(package, end):
    """Return the path of a file of an installed package, by the end of its name."""
    return next(file.locate() for file in distribution(package).files if file.match(end))


def work_offline(app, config):
    """Take MathJax from the installed package, and disconnect Thebe."""
    config.html_static_path.append(str(installed("sphinx-mathjax-offline", f"mathjax/{MATHJAX}")))
    config.mathjax_path = MATHJAX
    for event in ("env-before-read-docs", "doctree-resolved"):
        listeners = app.events.listeners[event]
        listeners[:] = [one for one in listeners if one.handler.__module__ != "sphinx_thebe"]


def link_repository(app, config):
    """Add the launch, repository and edit buttons where the repository is public."""
    urls, options = project_urls(Path(app.srcdir)), config.html_theme_options
    config.html_baseurl = config.html_baseurl or urls.get("Documentation", "")
    url = urls.get("Repository", "")
    host = urlsplit(url).netloc
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


def fix_accessibility(app, pagename, templatename, context, doctree):
    """Set the language of the Chinese boxes, and a valid role in the list of references."""
    if body := context.get("body"):
        # Screen readers choose their voice by the language, browsers the glyphs.
        zh = r'<div class="((?:[\w-]+ )*zh(?: [\w-]+)*)"'
        body = re.sub(zh, r'<div lang="zh-Hans" class="\1"', body)
        context["body"] = body.replace('role="doc-biblioentry"', 'role="listitem"')


def write_redirect(app, exception):
    """Write the root page before Jupyter Book does."""
    if exception is None and app.builder.format == "html":
        page = REDIRECT.format(
            language=app.config.language, title=app.config.html_title, root=app.config.root_doc
        )
        (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


def setup(app):
    """Register the event handlers."""
    app.setup_extension("without_solutions")  # defines `hide_solutions`
    app.connect("config-inited", work_offline)
    app.connect("config-inited", link_repository)
    app.connect("html-page-context", fix_accessibility)
    app.connect("build-finished", write_redirect, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
