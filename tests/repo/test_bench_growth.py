"""`scripts/bench growth` fills books of several sizes and asks each the same; here they are tiny."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from scripts.benchmarks import growth
from tests.conftest import need
from tests.support import databases, processes

QUESTIONS = 27


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "scripts.benchmarks", *arguments]
    environ = processes.clean_environ()
    return subprocess.run(
        command, cwd=processes.ROOT, env=environ, capture_output=True, text=True, timeout=120
    )


def cells(printed: str) -> list[list[str]]:
    """The cells of the tables that were printed."""
    return [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if line[:1] == "|"
    ]


@pytest.mark.parametrize("mode", ["sqlite-wal", "postgresql"])
def test_each_question_is_asked_in_books_of_each_size(mode: str) -> None:
    if mode != "sqlite-wal":
        need(mode)
    where = [] if mode == "sqlite-wal" else ["--database", databases.server(mode)]
    done = bench("growth", "--rows", "40,10", "--times", "1", *where)
    assert done.returncode == 0, done.stderr
    lines = cells(done.stdout)
    assert lines[0][:4] == ["ms", "10 rows", "40 rows", "ratio"]
    asked = [line for line in lines if line[3].endswith("×")]
    assert len(asked) == QUESTIONS, done.stdout
    assert all(float(cell) > 0 for line in asked for cell in line[1:3])
    assert lines[-1][0] == "MB on disk"


def test_what_takes_longer_than_the_goal_says_so() -> None:
    assert growth._line("a page", [lambda: 1.0, lambda: 2.0], 3) == ["a page", 1.0, 2.0, "2.00 ×", "GROWS"]
    assert growth._line("a page", [lambda: 1.0, lambda: 1.4], 3)[-1] == ""


@pytest.mark.parametrize("rows", ["", "many", "5", "1000,-1", "1000,,20"])
def test_sizes_that_are_none_are_refused_in_a_sentence(rows: str) -> None:
    done = CliRunner().invoke(growth.growth, ["--rows", rows])
    assert done.exit_code == 2
    assert "is no list of numbers such as 1000,10000" in done.stderr
