"""The output of a bench: the machine and the versions first, then tables, all of it Markdown."""

import os
import platform
import re
import sqlite3
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import click
from sqlalchemy import Engine

from guestbook.lib import VERSION

ROOT = Path(__file__).parents[3]
Cell = str | float | None  # a number is shown with three figures, None as nothing


def heading(engine: Engine | None = None, more: Mapping[str, str] | None = None) -> None:
    """Print machine and versions, with those of the engine's server, and more lines."""
    packages = [f"{name} {metadata.version(name)}" for name in ("requests", "urllib3", "SQLAlchemy")]
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cpu, cores = model[1] if model else platform.machine(), len(os.sched_getaffinity(0))
    lines = {
        "machine": f"{cpu}, {cores} cores, {memory:.0f} GB, Linux {platform.release()}",
        "versions": ", ".join([_ours(), f"Python {platform.python_version()}", _database(engine), *packages]),
        **(more or {}),
    }
    click.echo("".join(f"- {name}: {value}\n" for name, value in lines.items()))


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print a Markdown table: the first column to the left, the others to the right."""
    lines = [list(columns), *([_shown(cell) for cell in row] for row in rows)]
    widths = [max(3, *(len(line[at]) for line in lines)) for at in range(len(columns))]
    rules = ["-" * wide if not at else "-" * (wide - 1) + ":" for at, wide in enumerate(widths)]
    for line in [lines[0], rules, *lines[1:]]:
        cells = [f"{cell:{'>' if at else '<'}{widths[at]}}" for at, cell in enumerate(line)]
        click.echo(f"| {' | '.join(cells)} |")
    click.echo()


def ratio(value: float, base: float) -> str:
    """Return how many times the base the value is, as `1.23 ×`."""
    return f"{value / base:.2f} ×" if base else ""


def spread(rates: Sequence[float]) -> str:
    """Return the lowest and the highest of some rates, as `4,480–4,815`."""
    return f"{min(rates):,.0f}–{max(rates):,.0f}"


def percentiles(name: str, milliseconds: Sequence[float]) -> list[Cell]:
    """Return the cells of a row: the name, how many times there are, their median and 99th percentile."""
    ordered = sorted(milliseconds)
    return [name, len(ordered), ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]]


def _shown(cell: Cell) -> str:
    """Return three figures of a number: 12,345, 123, 12.3, 1.23, 0.123; whole numbers whole."""
    if cell is None or isinstance(cell, str):
        return cell or ""
    if isinstance(cell, int) or abs(cell) >= 100:
        return f"{cell:,.0f}"
    return f"{cell:.{1 if abs(cell) >= 10 else 2 if abs(cell) >= 1 else 3}f}"


def _ours() -> str:
    """Return our version and the commit's short name, with a + when a file differs from it."""
    command = ("git", "describe", "--always", "--exclude=*", "--dirty=+")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return f"guestbook {VERSION}" + (f" ({done.stdout.strip()})" if done.stdout else "")


def _database(engine: Engine | None) -> str:
    """Return `SQLite 3.46.1`, or name and version of the engine's server and of its driver."""
    if engine is None or engine.dialect.name == "sqlite":
        return f"SQLite {sqlite3.sqlite_version}"
    with engine.connect():  # SQLAlchemy learns the version
        version = ".".join(map(str, engine.dialect.server_version_info or ()))
    name = "PostgreSQL" if engine.dialect.name == "postgresql" else "MariaDB"
    return f"{name} {version}, {engine.driver} {metadata.version(engine.driver)}"
