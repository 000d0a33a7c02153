"""Assemble templates, styles, scripts and data into one piece of HTML."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

# Characters to escape in a script in HTML: the first three could end it or begin a comment, and
# the last two end a line in JavaScript before 2019.
_ESCAPES = {c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}

_HTML = """\
<div class="autorec-fragment" data-fragment="{key}" data-lm-suppress-shortcuts="true">
<p>{fallback} It needs JavaScript: open the built book, or run the chapter.</p>
</div>
<script>
(function () {{
"use strict";
const fragment = {parts};
{scripts}
}})();
</script>
"""


class Fragment(NamedTuple):
    """A piece of HTML that a notebook renders as the last value of a cell."""

    name: str
    html: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        """Return one line: the HTML is long."""
        return f"<{self.name}, an HTML fragment of {len(self.html.encode()) / 1000:.0f} kB>"


def assemble(name: str, fallback: str, scripts: Sequence[str], data: Any) -> Fragment:
    """Return the fragment of the template ``name``.html, its style and ``scripts``, with ``data``.

    On a page in Chinese its words are those of ``name``.zh.json.
    ``fallback`` is shown where scripts do not run. ``data`` must be serializable as JSON and is
    escaped. The same arguments give the same HTML.
    """
    parts = {
        "html": _read(f"{name}.html"),
        "css": _read("page.css") + _read(f"{name}.css"),
        "chinese": json.loads(_read(f"{name}.zh.json")),
    }
    code = "\n".join(_read(f"{script}.js") for script in ("page", *scripts))
    digest = hashlib.sha256(json.dumps([parts, code, data]).encode()).hexdigest()
    parts |= {"key": f"{name}-{digest[:8]}", "data": data}
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    text = text.translate({ord(c): escape for c, escape in _ESCAPES.items()})
    html = _HTML.format(key=parts["key"], fallback=fallback, parts=text, scripts=code)
    return Fragment(name, html)


def _read(file: str) -> str:
    """Return the text of a file beside this module."""
    return (files("autorec_d2l.widgets") / file).read_text(encoding="utf-8")
