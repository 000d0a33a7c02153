"""MyST Markdown as the plain Markdown that Colab, Jupyter and GitHub show.

An admonition becomes a quotation, tabs follow each other, an exercise and its solution get
headings, under which a notebook folds; a picture comes with its file inside. Any other directive
or role is an error.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.colon_fence import colon_fence_plugin
from messages import N_, catalogue
from pybtex.database import Entry, parse_file

NEW_CELL = "\f"  # marks the beginning of a cell
EXERCISE, SOLUTION = N_("### Exercise"), N_("### Solution")
LINK_TEXT = N_("{text} (*{title}*)")
PARSER = MarkdownIt("commonmark").use(colon_fence_plugin)
ROLE = re.compile(r"\{([\w:-]+)\}`([^`]+)`")
LINK = re.compile(r"\[([^\]]+)\]\((?!\w+:)([\w-]+)\.(?:ipynb|md)\)")


@dataclass(frozen=True)
class Book:
    """What links, citations and pictures need: titles, references, folder, URL, language."""

    titles: Mapping[str, str]  # of the pages, by the names of their files
    works: Mapping[str, Entry]  # by their keys in references.bib
    url: str = ""  # of the published pages; empty if there are none
    folder: Path = Path()  # of the pages
    language: str = "en"

    @classmethod
    def read(cls, folder: Path, url: str = "", language: str = "en") -> "Book":
        """Read the titles of the pages and the works in a folder."""
        pages = (*folder.glob("*.md"), *folder.glob("*.ipynb"))
        titles = {
            page.stem: catalogue(language, f"book/{page.stem}")(_title(page)) for page in pages
        }
        works = parse_file(str(folder / "references.bib"), encoding="utf-8").entries
        return cls(titles, works, url.rstrip("/"), folder, language)

    def say(self, message: str) -> str:
        """Return a message of this module in the language of the book."""
        return catalogue(self.language, "extensions")(message)

    def link(self, name: str, text: str = "") -> str:
        """Return a link to a page, or its title if the book has no public URL."""
        title = self.titles[name]
        if self.url:
            return f"[{text or title}]({self.url}/{name}.html)"
        return self.say(LINK_TEXT).format(text=text, title=title) if text else f"*{title}*"

    def cite(self, key: str, form: str) -> str:
        """Return author and year, with a link to the work if its entry has one."""
        work = self.works[key]
        names = [" ".join((*p.prelast_names, *p.last_names)) for p in work.persons["author"]]
        authors = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
        text = form.format(authors=authors, year=work.fields["year"])
        return f"[{text}]({url})" if (url := _work_url(work.fields)) else text


def _title(page: Path) -> str:
    """Return the first heading of a page."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return re.search(r"^# (.+)", text, re.MULTILINE)[1]


def _work_url(fields: Mapping[str, str]) -> str:
    """Return the URL of a cited work, or an empty string."""
    if "doi" in fields:
        return f"https://doi.org/{fields['doi']}"
    if paper := re.match(r"arXiv:(\S+)", fields.get("note", "")):
        return f"https://arxiv.org/abs/{paper[1]}"
    return fields.get("url", "")


def plain(text: str, book: Book) -> str:
    """Return the text of a Markdown cell without MyST, with `NEW_CELL` where a cell begins.

    Raises ``ValueError`` for a directive or role that has no plain form, ``KeyError`` for a page
    or a work that does not exist.
    """
    lines = text.split("\n")
    for token in reversed(PARSER.parse(text)):  # from the last one: line numbers stay valid
        if token.type == "inline":
            start, end = token.map
            inline = "\n".join(lines[start:end])
            inline = LINK.sub(lambda found: book.link(found[2], found[1]), inline)
            inline = ROLE.sub(lambda found: _role(found[1], found[2], book), inline)
            lines[start:end] = inline.split("\n")
        elif token.type.endswith("fence") and (
            directive := re.match(r"\{([\w:-]+)\} *(.*)", token.info)
        ):
            start, end = token.map
            lines[start:end] = _directive(*directive.groups(), token.content, book).split("\n")
    return "\n".join(lines)


def _role(name: str, content: str, book: Book) -> str:
    keys = content.split(",")
    if name == "cite":
        return f"({'; '.join(book.cite(key.strip(), '{authors}, {year}') for key in keys)})"
    if name == "cite:t":
        return ", ".join(book.cite(key.strip(), "{authors} ({year})") for key in keys)
    if name == "doc":
        return book.link(content)
    raise ValueError(f"the role {{{name}}} has no plain form: give it one in {__name__}.py")


def _directive(name: str, title: str, content: str, book: Book) -> str:
    if name == "solution-start":
        return f"{NEW_CELL}{book.say(SOLUTION)}{NEW_CELL}"
    if name == "solution-end":
        return NEW_CELL
    if name == "image":
        alt = re.search(r"^:alt: (.+)", content, re.MULTILINE)[1]
        picture = base64.b64encode((book.folder / title).read_bytes()).decode()
        return f"![{alt}](data:image/svg+xml;base64,{picture})"
    content = re.sub(r"\A(?::[\w-]+:.*\n)+", "", content)  # its options
    content = plain(content, book).strip()
    if name in ("div", "tab-set"):
        return content
    if name == "tab-item":
        return f"**{title}**\n\n{content}"
    if name == "exercise":
        return f"{book.say(EXERCISE)}\n\n{content}"
    if name == "admonition":
        quotation = f"**{title}**\n\n{content}".split("\n")
        return "\n".join(f"> {line}".rstrip() for line in quotation)
    raise ValueError(f"the directive {{{name}}} has no plain form: give it one in {__name__}.py")
