"""Keep the Chinese catalogues in step with the English pages, and check what can be checked.

    python tools/catalogues.py update     # take over new and changed English messages
    python tools/catalogues.py [PAGE ...] # print what is wrong, by page, cell and message

A catalogue, `book/locale/zh_CN/LC_MESSAGES/book/PAGE.po`, maps each message of a page (a heading,
a paragraph, an item, a cell of a table, a caption, an alternative text) to its translation. Code,
formulas, roles, links, numbers and names have to stay; a sentence's sense is not checked.
"""

import difflib
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import yaml
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

from messages import messages_of_page, parser  # noqa: E402

EXTENSIONS = ROOT / "book" / "_ext"
LOCALE = ROOT / "book" / "locale" / "zh_CN" / "LC_MESSAGES"
HAN = "\u4e00-\u9fff"
# What a translation keeps, in this order: each is taken out before the next is searched for.
KEPT = {
    "formula": re.compile(r"\$\$?[^$]+\$\$?"),
    "role": re.compile(r"\{[\w:-]+\}`(?:[^`<]+<)?([^`>]+)>?`"),
    "field": re.compile(r"\{\w+\}"),
    "code": re.compile(r"(?<!`)`([^`]+)`(?!`)"),
    "tag": re.compile(r"<[^>]+>"),
    "link": re.compile(r"\]\(([^)\s]+)\)"),
    "number": re.compile(r"(?<![A-Za-z])\d+(?:,\d{3})*(?:\.\d+)?(?: (?:million|万))?"),
}
# RMSE, PyTorch, MovieLens-100K, without the s of a plural.
NAME = re.compile(r"(?<![\w-])[A-Z]\w*[A-Z\d](?:\w*[A-RT-Za-rt-z\d])?(?:-\w+)*")
SPACING = {
    "half-width mark": rf"[{HAN}][,;:?!]|[,;:?!][{HAN}]|[{HAN}]\.(?!\w)",
    "no space beside Latin": rf"[{HAN}][A-Za-z0-9`$]|[A-Za-z0-9%`$][{HAN}]",
    "needless space": rf"[{HAN}] +[{HAN}]| +[，。；：？！、）”]|[，。；：？！、（“] +",
}
TERM = re.compile(rf"^(\w[^\n(|]*) \(([^\n)]*[{HAN}])\)$", re.MULTILINE)  # in the glossary
SHORT = {"epoch": "轮", "dropout": "暂退"}  # accepted beside the term of the glossary
TRADITIONAL = set(
    "這個們來時對會說國學為過還後麼開關實樣數據陣評測試驗證訓練誤電戶項網編碼層權習從與於讀"
)


def pages() -> list[Path]:
    """Return the pages of the book, and the folder of its extensions."""
    book = ROOT / "book"
    return [*sorted([*book.glob("*.ipynb"), *book.glob("*.md")]), EXTENSIONS]


def path_of(page: Path) -> Path:
    """Return the file of a page's catalogue."""
    return LOCALE / ("extensions.po" if page == EXTENSIONS else f"book/{page.stem}.po")


def is_english(words: str) -> bool:
    """Return whether a message has English words; some of the English pages are Chinese."""
    is_chinese = 4 * len(re.findall(f"[{HAN}]", words)) > len(words)
    return not is_chinese and bool(re.search("[A-Za-z]{2}", words))


def kept(text: str) -> tuple[dict[str, Counter], str]:
    """Return what a translation of `text` must keep, by kind, and the words without it."""
    found = {}
    for kind, pattern in KEPT.items():
        found[kind] = Counter(
            value(match[0]) if kind == "number" else match[match.lastindex or 0]
            for match in pattern.finditer(text)
        )
        text = pattern.sub("]" if kind == "link" else "\ufffc", text)
    found["name"] = Counter(set(NAME.findall(text)))
    return found, text


def value(number: str) -> str:
    """Return a number as it is written, but without its unit: 1.6 million is 160 万."""
    digits, _, unit = number.partition(" ")
    if not unit:
        return digits
    return f"{float(digits.replace(',', '')) * {'million': 10**6, '万': 10**4}[unit]:.0f}"


def wanted(page: Path) -> dict[str, str]:
    """Return the messages of a page that need a translation, with the ids of their cells.

    The folder of the extensions counts as a page; its messages stand in `_()` or `N_()`.
    """
    if page == EXTENSIONS:
        found = extract_from_dir(
            page, keywords={"_": None, "N_": None}, method_map=[("*.py", "python")]
        )
        return {message: file for file, _, message, *_ in found}
    found = messages_of_page(page)
    if page.stem == "index":
        toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
        found |= {part["caption"]: "_toc.yml" for part in toc["parts"]}
    return {
        message: cell
        for message, cell in found.items()
        if message == "中文要点" or TERM.match(message) or is_english(kept(message)[1])
    }


def catalogue(page: Path) -> Catalog:
    """Return the catalogue of a page, empty if there is none."""
    if not path_of(page).exists():
        return Catalog(locale="zh_CN")
    with path_of(page).open("rb") as file:
        return read_po(file, locale="zh_CN")


def update(page: Path) -> None:
    """Write a page's catalogue: new messages are empty, changed ones are marked as fuzzy."""
    template, catalog = Catalog(), catalogue(page)
    for message, cell in wanted(page).items():
        template.add(message, auto_comments=[cell] if cell else [])
    catalog.update(template)
    for message in catalog:
        message.user_comments = []  # the former message of a sentence that was mended
        message.flags -= {"python-format", "python-brace-format"}  # they are formulas and "95 %"
    with path_of(page).open("wb") as file:
        write_po(
            file, catalog, width=0, omit_header=True, ignore_obsolete=True, include_previous=True
        )


def glossary() -> dict[str, str]:
    """Return the English terms of the glossary and their Chinese."""
    return dict(TERM.findall((ROOT / "book" / "notation.md").read_text(encoding="utf-8")))


def marks_left(text: str) -> list[str]:
    """Return emphasis that Markdown shows as it is: punctuation before a closing `**` does that."""
    tokens = (child for token in parser().parse(text) for child in token.children or ())
    return [one.content for one in tokens if one.type == "text" and re.search("[*`]", one.content)]


def faults_of(english: str, chinese: str, terms: dict[str, str]) -> Iterator[str]:
    """Yield what is wrong with a translation."""
    (of_english, words), (of_chinese, han) = kept(english), kept(chinese)
    if not re.search(f"[{HAN}]", chinese):
        if re.search("[a-z]{3}", NAME.sub("", words)):
            yield "not translated"
        return
    for kind, must in of_english.items():
        has = of_chinese[kind]
        lost = must - has
        added = has - must if kind != "name" else Counter()
        if lost or added:
            yield f"{kind}: lost {[*lost.elements()]}, added {[*added.elements()]}"
    if english.count("**") != chinese.count("**"):
        yield "bold differs"
    if left := marks_left(chinese):
        yield f"shows its marks: {left}"
    for term, translation in terms.items():
        flags = re.IGNORECASE if term[0].islower() else 0
        as_written = (translation, SHORT.get(term, term), term)
        if re.search(rf"\b{re.escape(term)}s?\b", words, flags) and not any(
            one in han for one in as_written
        ):
            yield f"term: {term} is {translation}"
    plain = re.sub("[*_]", "", KEPT["link"].sub("]", KEPT["role"].sub("`x`", chinese)))
    for fault, pattern in SPACING.items():
        if found := re.search(pattern, plain):
            yield f"{fault}: {plain[max(0, found.start() - 6) : found.end() + 6]}"
    if found := TRADITIONAL & set(chinese):
        yield f"traditional characters: {''.join(sorted(found))}"
    length, of = (len(re.sub(r"\s", "", text)) for text in (han, words))
    if of > 40 and not 0.2 < length / of < 0.75:
        yield f"length: {length} characters for {of}"


def faults(page: Path) -> Iterator[str]:
    """Yield what is wrong with the catalogue of a page, with cell and message."""
    terms, must = glossary(), wanted(page)
    found = {message.id: message for message in catalogue(page) if message.id}
    old = [*(found.keys() - must.keys())]
    for english, cell in must.items():
        message = found.get(english)
        what: list[str] = []
        if message is None:
            near = difflib.get_close_matches(english, old, 1, 0.6)
            what = [f"changed, was: {near[0]}" if near else "new"]
        elif message.fuzzy or not message.string:
            what = ["fuzzy" if message.fuzzy else "not translated"]
        else:
            what = [*faults_of(english, message.string, terms)]
        for fault in what:
            yield f"{page.stem} {cell}: {fault}\n    {english}"
    for english in old:
        yield f"{page.stem}: left over\n    {english}"


def main(args: list[str]) -> int:
    """Update the catalogues, or print the faults of some pages or all."""
    if args == ["update"]:
        for page in pages():
            update(page)
        return 0
    found = [fault for page in pages() if not args or page.stem in args for fault in faults(page)]
    print(*found, f"{len(found)} faults", sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
