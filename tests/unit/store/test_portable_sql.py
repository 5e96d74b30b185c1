from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from orchestrator.store.sql import statements

ROOM = Path(__file__).resolve().parents[3] / "orchestrator" / "store"
MIGRATIONS = sorted((ROOM / "migrations").glob("*.sql"))
# What SQLite takes and PostgreSQL does not, or reads otherwise.
SQLITE_ONLY = re.compile(
    r"\bINSERT\s+OR\b|\bREPLACE\s+INTO\b|\bAUTOINCREMENT\b|\browid\b|\bdatetime\s*\(|\bstrftime\s*\("
    r"|\bjulianday\b|\bifnull\s*\(|\bprintf\s*\(|\bgroup_concat\b|\bWITHOUT\s+ROWID\b|\bGLOB\b"
    r"|\blast_insert_rowid\b|\btotal_changes\b|\bjson_extract\b|\bPRAGMA\b|\bUPDATE\s+OR\b"
    r"|\bINDEXED\s+BY\b|==|\bCOLLATE\s+NOCASE\b|\brandom\s*\(|\"\w+\"\s*=",
    re.IGNORECASE,
)
_SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|WITH)\b")
_TYPES = {"TEXT", "BIGINT"}


def texts(path: Path) -> list[str]:
    """Return every string of a module, f-strings with their gaps closed."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
        elif isinstance(node, ast.JoinedStr):
            found.append(
                "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "x"
                    for part in node.values
                )
            )
    return found


def sql_of_the_room() -> list[tuple[str, str]]:
    found = [
        (path.name, text)
        for path in sorted(ROOM.glob("*.py"))
        for text in texts(path)
        if _SQL.match(text)
    ]
    for path in MIGRATIONS:
        found += [(path.name, statement) for statement in statements(path.read_text("utf-8"))]
    return found


def test_no_statement_speaks_only_sqlite() -> None:
    all_sql = sql_of_the_room()
    assert len(all_sql) > 40
    assert [(name, sql) for name, sql in all_sql if SQLITE_ONLY.search(sql)] == []


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT OR REPLACE INTO t VALUES (1)",
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "SELECT rowid FROM t",
        "SELECT datetime('now')",
        "SELECT a FROM t WHERE a == 1",
    ],
)
def test_the_guard_bites(sql: str) -> None:
    assert SQLITE_ONLY.search(sql)


def test_only_the_port_sets_up_a_connection() -> None:
    users = [
        path.name
        for path in sorted(ROOM.glob("*.py"))
        if any(re.match(r"(PRAGMA|BEGIN|COMMIT|ROLLBACK)\b", text) for text in texts(path))
    ]
    assert users == ["sql.py"]


def test_columns_have_types_that_every_database_knows() -> None:
    for path in MIGRATIONS:
        for statement in statements(path.read_text("utf-8")):
            if not statement.startswith("CREATE TABLE"):
                continue
            body = statement[statement.index("(") + 1 :]
            for column in re.findall(r"^\s{4}(\w+) (\w+)", body, re.MULTILINE):
                if column[0] not in {"PRIMARY", "UNIQUE"}:
                    assert column[1] in _TYPES, f"{path.name}: {column}"


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def test_a_script_is_split_at_its_semicolons_and_comments_go() -> None:
    script = "-- one; two\nCREATE TABLE a (b TEXT);\n  -- three\nDROP TABLE c;\n;\n"
    assert statements(script) == ["CREATE TABLE a (b TEXT)", "DROP TABLE c"]
