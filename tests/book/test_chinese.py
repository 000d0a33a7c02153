"""The Chinese edition says what the English one says, as far as a program can tell."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import catalogues  # noqa: E402
import messages  # noqa: E402

PAGES = {page.stem: page for page in catalogues.pages()}
ENGLISH = (
    "**Never** use `x` of $a$ {cite}`key`, see [MF](mf.ipynb): RMSE is 0.9 after 1.6 million steps."
)
CHINESE = "**绝不要**用 $a$ 的 `x` {cite}`key`，见 [MF](mf.ipynb)：经过 160 万步，RMSE 是 0.9。"


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_the_catalogue(page):
    """If this fails, CONTRIBUTING.md says what to do."""
    assert [*catalogues.faults(page)] == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("步", "步", None),
        (CHINESE, "", "not translated"),
        ("0.9", "0.8", "number: lost ['0.9'], added ['0.8']"),
        ("160 万", "16 万", "number: lost ['1600000'], added ['160000']"),
        ("$a$", "$b$", "formula: lost ['$a$'], added ['$b$']"),
        ("`x`", "“x”", "code: lost ['x'], added []"),
        ("key", "other", "role: lost ['key'], added ['other']"),
        ("mf.ipynb", "mf.html", "link: lost ['mf.ipynb'], added ['mf.html']"),
        ("RMSE", "误差", "name: lost ['RMSE'], added []"),
        ("**绝不要**", "绝不要", "bold differs"),
        ("**绝不要**用", "**绝不要，**用", "shows its marks"),
        ("，见", ",见", "half-width mark"),
        ("是 0.9", "是0.9", "no space beside Latin"),
        ("，见", "， 见", "needless space"),
        ("经过", "經過", "traditional characters: 過"),
        ("经过", "经过" * 20, "characters for 45"),
    ],
)
def test_a_fault_is_noticed(old, new, fault):
    found = [*catalogues.faults_of(ENGLISH, CHINESE.replace(old, new), {})]
    assert found == [] if fault is None else fault in "; ".join(found)


def test_the_readme_has_the_same_commands_numbers_and_links():
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")]
    fence = re.compile(r"^```\w+\n.*?^```$", re.MULTILINE | re.DOTALL)
    english, chinese = (fence.findall(text) for text in texts)
    assert english == chinese
    assert len(english) > 5
    english, chinese = (catalogues.kept(fence.sub("", text))[0] for text in texts)
    for kind in ("code", "number"):
        assert english[kind] == chinese[kind]
    assert english["link"] - chinese["link"] == {"README.zh-CN.md": 1}


def test_a_term_is_that_of_the_glossary():
    terms = catalogues.glossary()
    assert terms["rating matrix"] == "评分矩阵"
    assert [*catalogues.faults_of("the rating matrix", "打分表", terms)] == [
        "term: rating matrix is 评分矩阵"
    ]


def test_a_changed_sentence_is_named_with_the_old_one(monkeypatch):
    found = messages.messages_of_page(PAGES["movielens"])
    old = next(message for message in found if len(message) > 40 and message.endswith("."))
    new = f"{old[:-1]}, really."
    changed = {new if message == old else message: cell for message, cell in found.items()}
    monkeypatch.setattr(catalogues, "messages_of_page", lambda page: changed)
    assert [*catalogues.faults(PAGES["movielens"])] == [
        f"movielens {found[old]}: changed, was: {old}\n    {new}",
        f"movielens: left over\n    {old}",
    ]


def test_an_update_keeps_what_is_translated(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogues, "path_of", lambda page: tmp_path / "page.po")
    page = tmp_path / "page.md"
    page.write_text("# Title\n\nOne sentence that stays.\n", encoding="utf-8")
    catalogues.update(page)
    po = tmp_path / "page.po"
    text = po.read_text(encoding="utf-8").replace(
        'stays."\nmsgstr ""', 'stays."\nmsgstr "一句话。"'
    )
    po.write_text(text, encoding="utf-8")
    page.write_text("# Title\n\nOne sentence that stays.\n\nAnother.\n", encoding="utf-8")
    catalogues.update(page)
    found = {message.id: message.string for message in catalogues.catalogue(page)}
    assert found["One sentence that stays."] == "一句话。"
    assert found["Another."] == ""


def test_messages_are_found_and_replaced_wherever_a_page_has_text():
    text = """\
# A *title*

Two lines
of one paragraph.

- item
  1. inner

| head | `code` |
|---|---|
| cell | cell |

```{admonition} Name
:class: note
Inside.

> Deeper.
```

:::{figure} x.svg
:alt: A picture.

Its caption.
:::

```{glossary}
term (术语)
  Its
  meaning.
```

```python
code
```

PLACEHOLDER
"""
    found = messages.messages(text)
    assert found == [
        "A *title*", "Two lines of one paragraph.", "item", "inner", "head", "`code`", "cell",
        "cell", "Name", "Inside.", "Deeper.", "A picture.", "Its caption.", "term (术语)",
        "Its meaning.",
    ]  # fmt: skip
    replaced = messages.translated(text, lambda message: f"[{message}]")
    assert messages.messages(replaced) == [f"[{message}]" for message in found]
    assert messages.translated(text, str).split() == text.split()


def test_an_unknown_directive_is_an_error():
    with pytest.raises(ValueError, match=r"the directive \{other\}"):
        messages.messages("```{other}\ntext\n```")
