"""What a run prints: the machine and the versions first, then a table; both can be pasted into Markdown.

`report.heading(db.engine, {"webhooks": "8"})`
`report.table(["rows", "ms", "ratio"], [["1,000", 0.31, report.ratio(0.31, 0.31)]])`
"""

import os
import platform
import re
import sqlite3
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import click
from sqlalchemy import Engine, text

from guestbook.lib.version import VERSION

ROOT = Path(__file__).parents[3]
Cell = str | float | None  # a number is shown with three figures, None as nothing


def heading(engine: Engine | None = None, more: Mapping[str, str] | None = None) -> None:
    """Print machine and versions, with those of the engine's server, and what more there is to know."""
    libraries = [f"{name} {metadata.version(name)}" for name in ("requests", "urllib3", "SQLAlchemy")]
    lines = {
        "machine": f"{_cpu()}, {_cores()} cores, {_memory()}, Linux {platform.release()}, load {_load()}",
        "versions": ", ".join([_ours(), f"Python {platform.python_version()}", _server(engine), *libraries]),
        **(more or {}),
    }
    click.echo("".join(f"- {name}: {value}\n" for name, value in lines.items()))


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print a Markdown table; the first column stands left and the others right."""
    lines = [list(columns), *([_shown(cell) for cell in row] for row in rows)]
    widths = [max(3, *(len(line[at]) for line in lines)) for at in range(len(columns))]
    rules = ["-" * wide if not at else "-" * (wide - 1) + ":" for at, wide in enumerate(widths)]
    for line in [lines[0], rules, *lines[1:]]:
        cells = [f"{cell:{'>' if at else '<'}{widths[at]}}" for at, cell in enumerate(line)]
        click.echo(f"| {' | '.join(cells)} |")
    click.echo()


def ratio(value: float, base: float) -> str:
    """Return `1.23 ×`: how often the base goes into the value."""
    return f"{value / base:.2f} ×" if base else ""


def _shown(cell: Cell) -> str:
    """Return three figures of a number: 12,345, 123, 12.3, 1.23, 0.123; whole numbers whole."""
    if cell is None or isinstance(cell, str):
        return cell or ""
    if isinstance(cell, int) or abs(cell) >= 100:
        return f"{cell:,.0f}"
    return f"{cell:.{1 if abs(cell) >= 10 else 2 if abs(cell) >= 1 else 3}f}"


def _cpu() -> str:
    """Return the model's name, as Linux gives it."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _memory() -> str:
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{size / 2**30:.0f} GB"


def _load() -> str:
    """Return the load of the last minute: what else the machine had to do."""
    return f"{os.getloadavg()[0]:.1f}"


def _ours() -> str:
    """Return our version and the commit's short name, with a + when the package differs from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--exclude=*"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return f"guestbook {VERSION}"
    same = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "guestbook"], cwd=ROOT, check=False)
    return f"guestbook {VERSION} ({done.stdout.strip()}{'+' if same.returncode else ''})"


def _server(engine: Engine | None) -> str:
    """Return `SQLite 3.46.1`, or name and version of the engine's server and of its driver."""
    if engine is None or engine.dialect.name == "sqlite":
        return f"SQLite {sqlite3.sqlite_version}"
    with engine.connect() as connection:
        asked = "SHOW server_version" if engine.dialect.name == "postgresql" else "SELECT version()"
        version = str(connection.scalar(text(asked)))
    name = {"postgresql": "PostgreSQL", "mysql": "MariaDB", "mariadb": "MariaDB"}[engine.dialect.name]
    driver = engine.dialect.driver
    return f"{name} {re.split('[ -]', version)[0]}, {driver} {metadata.version(driver)}"
