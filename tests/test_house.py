"""The house keeps its shape: imports go down only, no drawer for odds and ends, nothing left behind."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tppc"
BELOW = {
    "corpora": set(),
    "encoders": {"corpora"},
    "manifests": {"corpora"},
    "builders": {"manifests", "encoders", "corpora", "samples"},
    "training": {"encoders", "corpora"},
    "evaluation": {"training", "encoders", "corpora", "samples"},
    "reports": {"evaluation", "training", "encoders", "corpora"},
    "samples": set(),
}
SOURCES = sorted(PACKAGE.rglob("*.py"))


def imported_rooms(path: Path) -> set[str]:
    """Rooms of the package that a file imports, wherever in the file."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return {parts[1] for name in names if (parts := name.split("."))[0] == "tppc" and len(parts) > 1}


@pytest.mark.parametrize("room", BELOW)
def test_imports_go_down_only(room: str) -> None:
    allowed = BELOW[room] | {room, "errors", "__version__"}
    for path in sorted((PACKAGE / room).rglob("*.py")):
        assert imported_rooms(path) - allowed == set(), path.relative_to(ROOT)


def imported_files(path: Path) -> set[Path]:
    """Files of the package that a file imports when it runs, wherever in it; but for the root, which all import."""
    tree = ast.parse(path.read_text())
    for_types = [
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for node in ast.walk(block)
    ]
    found: set[Path] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node not in for_types:
            module = ROOT.joinpath(*node.module.split("."))
            for alias in node.names:
                files = ((module / alias.name).with_suffix(".py"), module.with_suffix(".py"), module / "__init__.py")
                found.update([file for file in files if file in SOURCES][:1])
    return found - {PACKAGE / "__init__.py", path}


def test_no_files_import_each_other() -> None:
    TopologicalSorter({path: imported_files(path) for path in SOURCES}).prepare()  # raises `CycleError` that names them


def test_nothing_imports_the_command_line() -> None:
    importers = [p for p in SOURCES if "cli" in imported_rooms(p) and "cli" not in p.relative_to(PACKAGE).parts]
    assert [p.name for p in importers] == ["__main__.py"]


def test_no_drawer_for_odds_and_ends_and_nothing_left_behind() -> None:
    assert [p for p in SOURCES if p.stem in ("utils", "common", "helpers", "misc")] == []
    left = re.compile(r"TODO|FIXME|XXX|HACK|NotImplementedError|except Exception: *pass|except: *pass|pickle\.load")
    assert [p.relative_to(ROOT) for p in SOURCES if left.search(p.read_text())] == []
    assert [p.relative_to(ROOT) for p in SOURCES if len(p.read_text().splitlines()) > 400] == []


def test_public_functions_have_docstrings() -> None:
    missing = []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        for node in [tree, *ast.walk(tree)]:
            named = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            nested = isinstance(node, ast.FunctionDef) and node not in tree.body and not _is_method(node, tree)
            if ((isinstance(node, ast.Module) and node.body) or (named and not nested)) and not ast.get_docstring(node):
                missing.append(f"{path.relative_to(ROOT)}:{getattr(node, 'name', 'module')}")
    assert sorted(set(missing)) == []


def _is_method(function: ast.FunctionDef, tree: ast.Module) -> bool:
    classes = (n for n in tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_"))
    overridden = ("forward", "backward")  # documented where the class is
    return any(function in c.body for c in classes) and function.name not in overridden
