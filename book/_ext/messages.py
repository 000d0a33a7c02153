"""The messages of a page, which are the blocks of text that gettext finds, and their catalogues.

`messages(text)` lists them and `translated(text, to)` replaces them. Both parse with the book's own
Markdown parser, so the catalogue of a page also translates its standalone notebook.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import yaml
from babel.messages.pofile import read_po
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

LOCALE = Path(__file__).resolve().parents[1] / "locale"
DIRECTIVE = re.compile(r"\{([\w:-]+)\} *(.*)")
OPTIONS = re.compile(r"(?::[\w-]+:.*\n?)+")
ALT = re.compile(r"^:alt: (.+)$", re.MULTILINE)
PLACEHOLDER = re.compile(r"[A-Z ]+")  # a line that an extension replaces by HTML
TITLED = {"admonition", "tab-item", "grid-item-card"}  # their argument is a message
CONTAINERS = TITLED | {"div", "tab-set", "exercise", "solution", "grid", "grid-item", "figure"}
NO_MESSAGES = {"solution-start", "solution-end", "code-block", "raw", "bibliography", "eval-rst"}

N_ = str  # marks a message of an extension that is translated later: gettext's usual name


@cache
def catalogue(language: str, name: str) -> Callable[[str], str]:
    """Return the translation of the messages of a page, or of `extensions`; `str` in English."""
    path = LOCALE / language / "LC_MESSAGES" / f"{name}.po"
    if not path.exists():
        return str
    with path.open("rb") as file:
        found = {one.id: one.string for one in read_po(file) if one.string and not one.fuzzy}
    return lambda message: found.get(message, message)


@cache
def parser() -> MarkdownIt:
    """Return the Markdown parser of the book."""
    config = yaml.safe_load((LOCALE.parents[1] / "_config.yml").read_text(encoding="utf-8"))
    extensions = set(config["parse"]["myst_enable_extensions"])
    return create_md_parser(MdParserConfig(enable_extensions=extensions), RendererHTML)


def translated(text: str, to: Callable[[str], str]) -> str:
    """Return the Markdown `text` with each message replaced by what `to` returns for it.

    Raises `ValueError` for a directive that is not known here.
    """
    lines = text.split("\n")
    column: dict[int, int] = {}  # in a row of a table: where its next cell may begin
    removed: set[int] = set()
    for token in parser().parse(text):
        if token.type == "inline" and token.map and token.content.strip():
            start = token.map[0]
            first, *others = token.content.split("\n")
            message = token.content.replace("\n", " ").strip()
            if PLACEHOLDER.fullmatch(message):
                continue
            begin = lines[start].find(first, column.get(start, 0))
            if begin < 0:  # a cell of a table with an escaped pipe
                raise ValueError(f"{first!r} is not in its line {lines[start]!r}")
            rest = "" if others else lines[start][begin + len(first) :]
            head = lines[start][:begin] + to(message)
            lines[start], column[start] = head + rest, len(head)
            removed.update(range(start + 1, start + 1 + len(others)))
        elif token.type.endswith("fence") and (found := DIRECTIVE.match(token.info)):
            start = token.map[0]
            if found[1] in TITLED and found[2]:
                head = lines[start].removesuffix(found[2])
                lines[start] = head + to(found[2])
            body = _directive(found[1], token.content, to).splitlines()
            old = token.content.count("\n")
            lines[start + 1 : start + 1 + old] = [*body, *[""] * (old - len(body))]
    return "\n".join(line for number, line in enumerate(lines) if number not in removed)


def _directive(name: str, content: str, to: Callable[[str], str]) -> str:
    """Return the translated content of a directive."""
    if name in NO_MESSAGES:
        return content
    if name == "glossary":
        return _glossary(content, to)
    options = found[0] if (found := OPTIONS.match(content)) else ""
    body = content[len(options) :]
    options = ALT.sub(lambda found: f":alt: {to(found[1])}", options)
    if name == "image":
        return options + body
    if name not in CONTAINERS:
        raise ValueError(f"{__name__}.py does not know the directive {{{name}}}")
    return options + translated(body, to)


def _glossary(content: str, to: Callable[[str], str]) -> str:
    """Return the translated content of a glossary: terms, each with an indented definition."""
    entries = []
    for entry in content.strip().split("\n\n"):
        term, *definition = entry.split("\n")
        entries.append(f"{to(term)}\n  {to(' '.join(line.strip() for line in definition))}")
    return "\n\n".join(entries) + "\n"


def messages(text: str) -> list[str]:
    """Return the messages of a Markdown text, in order."""
    found: list[str] = []

    def note(message: str) -> str:
        found.append(message)
        return message

    translated(text, note)
    return found


def translate_cell(cell: dict, to: Callable[[str], str]) -> dict:
    """Return a cell of a notebook with its text, caption and alternative text translated."""
    if cell["cell_type"] == "markdown":
        return {**cell, "source": translated("".join(cell["source"]), to)}
    shown = dict(cell["metadata"].get("mystnb", {}))
    for name, key in (("figure", "caption"), ("image", "alt")):
        if message := shown.get(name, {}).get(key):
            shown[name] = shown[name] | {key: to(message)}
    return {**cell, "metadata": cell["metadata"] | {"mystnb": shown}} if shown else cell


def messages_of_page(path: Path) -> dict[str, str]:
    """Return the messages of a page, each with the id of its cell, which a `.md` file has not."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return dict.fromkeys(messages(text), "")
    found: dict[str, str] = {}
    for cell in json.loads(text)["cells"]:

        def note(message: str, name: str = cell["id"]) -> str:
            found.setdefault(message, name)
            return message

        translate_cell(cell, note)
    return found
