"""Rules about Python source, read as syntax: a word in a string or a docstring is not a fault."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from tests.guards.rules.tree import PRODUCT, Tree

MAX_LINES = 500
# A program that is one file on purpose, so that it can be carried elsewhere alone.
STAND_ALONE = {"scripts/verify_ledger.py": 600}
_UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
_MOCKS = ("unittest.mock.", "mock.", "pytest_mock.")
_EXIT_CALLS = {"exit", "_exit", "SystemExit", "Exit"}


def _product(tree: Tree) -> Iterator[str]:
    return tree.under(*PRODUCT, suffix=".py")


def unfinished(tree: Tree) -> list[str]:
    """No marker in a comment, no `raise NotImplementedError`. To catch one is another matter."""
    return [
        f"{path}:{line}: {what}"
        for path in _product(tree)
        for line, what in (*_markers(tree.text(path)), *_unwritten(tree.text(path)))
    ]


def _markers(text: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and (found := _UNFINISHED.search(token.string)):
            yield token.start[0], f"{found[0]} in a comment"


def _unwritten(text: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(text)):
        raised = node.exc if isinstance(node, ast.Raise) else None
        name = _dotted(raised.func if isinstance(raised, ast.Call) else raised)
        if name == "NotImplementedError":
            yield node.lineno, "raises NotImplementedError"


def long_modules(tree: Tree) -> list[str]:
    counts = ((path, len(tree.text(path).splitlines())) for path in _product(tree))
    return [
        f"{path}: {lines} lines, allowed {STAND_ALONE.get(path, MAX_LINES)}"
        for path, lines in counts
        if lines > STAND_ALONE.get(path, MAX_LINES)
    ]


def sleeps_and_mocks(tree: Tree) -> list[str]:
    """No test waits for the clock or replaces our own code.

    A program that a test writes out and runs as a real child may sleep: it is a string here.
    """
    faults = []
    for path in tree.under("tests", suffix=".py"):
        for node in ast.walk(ast.parse(tree.text(path), path)):
            if isinstance(node, ast.Call) and _dotted(node.func) in {"time.sleep", "sleep"}:
                faults.append(f"{path}:{node.lineno}: sleeps")
            if isinstance(node, ast.Import | ast.ImportFrom):
                mocks = [name for name in _imported(node) if f"{name}.".startswith(_MOCKS)]
                faults += [f"{path}:{node.lineno}: imports {name}" for name in mocks]
            if isinstance(node, ast.arg) and node.arg == "mocker":
                faults.append(f"{path}:{node.lineno}: asks for mocker")
    return faults


def uncollected(tree: Tree) -> list[str]:
    """A test that pytest does not find passes for ever."""
    faults = []
    for path in tree.under(suffix=".py"):
        name = path.rsplit("/", 1)[-1]
        by_name = path.startswith("tests/") and name.startswith("test_")
        looks_like_tests = name.startswith("test_") or name.endswith("_test.py")
        if not path.startswith("tests/"):
            if looks_like_tests and not path.startswith("examples/"):
                faults.append(f"{path}: looks like tests, but lies outside tests/")
            continue
        found = _tests_in(ast.parse(tree.text(path), path))
        if found and not by_name:
            faults.append(f"{path}: has {found[0]}, but is not called test_*.py")
        if by_name and not found:
            faults.append(f"{path}: holds no test")
        if "collect_ignore" in tree.text(path) and name == "conftest.py":
            faults.append(f"{path}: leaves tests out of collection")
    return faults


def undocumented_exit_codes(tree: Tree) -> list[str]:
    """Every number that the program can exit with stands in the table of docs/exit-codes.md."""
    documented = documented_exit_codes(tree)
    faults = []
    for path in tree.under("orchestrator", "workflow_logger", suffix=".py"):
        for node in ast.walk(ast.parse(tree.text(path), path)):
            for code in _exit_codes(node):
                if code not in documented:
                    where = f"{path}:{getattr(node, 'lineno', 0)}"
                    faults.append(f"{where}: exit code {code} is not in docs/exit-codes.md")
    return faults


def documented_exit_codes(tree: Tree) -> set[int]:
    rows = re.findall(r"^\| (\d+) \|", tree.text("docs/exit-codes.md"), re.MULTILINE)
    return {int(code) for code in rows}


def _exit_codes(node: ast.AST) -> Iterator[int]:
    if isinstance(node, ast.ClassDef):
        for statement in node.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                targets = (
                    statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                )
                named = any(_dotted(target) == "exit_code" for target in targets)
                if named and (code := _integer(statement.value)) is not None:
                    yield code
    if isinstance(node, ast.Call) and _dotted(node.func).rsplit(".", 1)[-1] in _EXIT_CALLS:
        for argument in node.args[:1]:
            if (code := _integer(argument)) is not None:
                yield code


def _integer(node: ast.AST | None) -> int | None:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    return None


def _dotted(node: ast.AST | None) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [f"{node.module or ''}.{alias.name}" for alias in node.names]


def _tests_in(module: ast.Module) -> list[str]:
    names = []
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test_"
        ):
            names.append(node.name)
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            inner = [item for item in node.body if isinstance(item, ast.FunctionDef)]
            names += [item.name for item in inner if item.name.startswith("test_")]
        if isinstance(node, ast.Assign) and _dotted(node.targets[0]).startswith("Test"):
            names.append(_dotted(node.targets[0]))  # Hypothesis: TestX = Machine.TestCase
    return names
