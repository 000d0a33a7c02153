"""The map of the house in CONTRIBUTING.md, held: who may import whom, and how large a room is."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import autorec_d2l

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "autorec_d2l"
MODULES = sorted(LIBRARY.rglob("*.py"))
# What a part of the library may import, besides itself. The command line may import all.
BELOW = {
    "lesson": set(),
    "sparse": {"lesson"},
    "recommend": {"lesson", "sparse"},
    "pages": {"lesson", "sparse", "recommend"},
    "study": {"lesson", "sparse"},
    "own": {"lesson", "sparse", "recommend", "study"},
}
LINES, BODY = 200, 40


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in MODULES}


def part_of(name):
    """Return the part of the library in which a module stands."""
    part = name.split(".")[1] if "." in name else "lesson"
    return part if part in BELOW else "lesson"


def imports(name, text):
    """Return the modules of the library that a module imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found & set(NAMES) - {name}


def trespasses(name, text):
    """Say which imports of a module lead up, or sideways into another part."""
    part = part_of(name)
    for other in imports(name, text):
        if part_of(other) not in BELOW[part] | {part}:
            yield f"{name} ({part}) imports {other} ({part_of(other)})"


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("__main__")])
def test_imports_go_down_only(name):
    assert list(trespasses(name, NAMES[name].read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("autorec_d2l.training", "from autorec_d2l.sparse import RatingMatrix"),
        ("autorec_d2l.training", "def f():\n    import autorec_d2l.study.fits"),
        ("autorec_d2l", "from autorec_d2l import study"),
        ("autorec_d2l.study.fits", "from autorec_d2l.own import fit"),
        ("autorec_d2l.sparse.network", "from autorec_d2l.study.fits import Fit"),
    ],
)
def test_a_way_up_is_noticed(name, line):
    assert list(trespasses(name, line)) != []


def test_no_circle():
    """Take away the modules that import nothing that is left, until none is left."""
    left = {
        name: imports(name, path.read_text(encoding="utf-8"))
        for name, path in NAMES.items()
        if path.name != "__init__.py"  # a face re-exports what lies behind it
    }
    while free := [name for name, others in left.items() if not others & set(left)]:
        for name in free:
            del left[name]
    assert left == {}


def test_the_lesson_loads_neither_the_engine_nor_the_study():
    code = "import sys, autorec_d2l; print(*(m for m in sys.modules if 'autorec_d2l' in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "autorec_d2l.training" in loaded
    assert [name for name in loaded if part_of(name) != "lesson"] == []


def test_the_face_is_small():
    assert len(autorec_d2l.__all__) <= 25
    assert all(hasattr(autorec_d2l, name) for name in autorec_d2l.__all__)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_public_functions_have_types(path):
    """What mypy need not ask of private helpers: it reads the annotations that are there."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    public = (node for node in nodes if isinstance(node, ast.FunctionDef) and node.name[0] != "_")
    for function in public:
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        bare = [one.arg for one in arguments if one.annotation is None]
        assert set(bare) <= {"self", "cls", "ctx"}, function.name
        assert function.returns is not None, function.name


def unnamed_encodings(text):
    """Give the lines that open a text file and leave its encoding to the system."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            words = [part.value for part in node.args if isinstance(part, ast.Constant)]
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            is_text = name in ("read_text", "write_text") or (
                name == "open" and not {"rb", "wb"} & set(words)
            )
            is_of_os = ast.unparse(node.func) == "os.open"
            if is_text and not is_of_os and "encoding" not in {one.arg for one in node.keywords}:
                yield node.lineno


def test_files_are_read_as_utf_8_on_every_system():
    sources = [ROOT / "conftest.py", ROOT / ".ci" / "store", *(ROOT / "book").rglob("*.py")]
    for path in [*sources, *MODULES, *(ROOT / "tests").rglob("*.py")]:
        assert list(unnamed_encodings(path.read_text(encoding="utf-8"))) == [], path
    assert list(unnamed_encodings("open('x', 'rb')\nopen('x')\nPath('x').read_text()")) == [2, 3]


def body_lines(function):
    """Return how many lines the statements of a function take, its docstring aside."""
    body = function.body[ast.get_docstring(function) is not None :]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_rooms_are_small(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert body_lines(node) <= BODY, node.name


def test_the_map_names_every_room():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = {path.stem for path in MODULES if not path.stem.startswith("__")}
    assert {room for room in rooms if f"`{room}`" not in text} == set()
