"""Rules of the project's own that neither the linter nor the import contracts can check."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


PRODUCT = ("cpc_core", "search_spaces", "study", "cluster", "dashboards")


LARGEST_ROOM, LONGEST_NAME = 12, 60
"""Modules of a room, `__init__` not counted; characters of a test's name."""


QUESTION = re.compile(r"(What|Whether|How|Where|Who)\b")


Defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module


def parsed(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Name and syntax tree of each module below the folders."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def test_no_module_imports_from_a_test_module() -> None:
    found = [
        f"{name}: {module}"
        for name, tree in parsed("tests")
        for node in ast.walk(tree)
        for module in imported(node)
        if re.match(r"tests\.(?!helpers\b|benchmarks\b|soak\b)", module)
    ]
    assert found == []


def imported(node: ast.AST) -> list[str]:
    """Modules that a statement imports, or imports from."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), names=names):
            return [f"{module}.{alias.name}" for alias in names]
    return []


def test_test_names_are_short() -> None:
    found = [
        f"{name}: {node.name}"
        for name, tree in parsed("tests")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if len(node.name) > LONGEST_NAME
    ]
    assert found == []


def test_only_the_folder_marks_a_test_as_integration() -> None:
    found = [
        name
        for name, tree in parsed("tests")
        for node in ast.walk(tree)
        if name != "tests/conftest.py"
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "pytest.mark.integration"
    ]
    assert found == []


@pytest.mark.parametrize("package", PRODUCT)
def test_no_docstring_begins_with_a_question_word(package: str) -> None:
    found = [
        f"{name}: {docstring.splitlines()[0]}"
        for name, tree in parsed(package)
        for docstring in docstrings(tree)
        if QUESTION.match(docstring)
    ]
    assert found == []


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Docstrings of modules, classes and functions, and the strings below constants and fields."""
    for node in ast.walk(tree):
        if isinstance(node, Defined) and (docstring := ast.get_docstring(node)):
            yield docstring
        for before, after in zip(statements(node), statements(node)[1:], strict=False):
            match before, after:
                case (
                    ast.Assign() | ast.AnnAssign(),
                    ast.Expr(value=ast.Constant(value=str(docstring))),
                ):
                    yield docstring.strip()


def statements(node: ast.AST) -> list[ast.stmt]:
    """Statements of a module's or a class's body."""
    return node.body if isinstance(node, ast.Module | ast.ClassDef) else []


@pytest.mark.parametrize("package", PRODUCT)
def test_no_room_has_more_than_a_dozen_modules(package: str) -> None:
    """A room is a folder of a package; the package itself holds what all of its rooms use."""
    folders = [path for path in (ROOT / package).rglob("*") if path.is_dir()]
    sizes = {
        str(folder.relative_to(ROOT)): len(
            [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        )
        for folder in folders
    }
    assert {folder: size for folder, size in sizes.items() if size > LARGEST_ROOM} == {}
