"""`scripts/bench growth` does the same in books of several sizes; here they are tiny."""

import click
import pytest

from scripts.benchmarks.growth import growth, line
from tests.conftest import need
from tests.support import benches, databases

TASKS = 29


def printed(command: click.Command, *arguments: str) -> list[list[str]]:
    """The cells of the command's table."""
    done = benches.run(command, "--times", "1", *arguments)
    assert done.exit_code == 0, done.output
    return benches.cells(done.stdout)


def test_each_task_is_timed_in_books_of_each_size() -> None:
    lines = printed(growth, "--rows", "20,10")
    assert lines[0][:4] == ["ms", "10 rows", "20 rows", "ratio"]
    timed = [line for line in lines if line[3].endswith("×")]
    assert len(timed) == TASKS, lines
    assert all(float(cell.replace(",", "")) > 0 for line in timed for cell in line[1:3])
    assert lines[-1][0] == "MB on disk"


def test_each_task_is_timed_on_a_server() -> None:
    need("postgresql")
    assert len(printed(growth, "--rows", "10", "--database", databases.server("postgresql"))) == TASKS + 2


def test_growth_beyond_the_goal_is_marked() -> None:
    assert line("a page", [lambda: 1.0, lambda: 2.0], 3) == ["a page", 1.0, 2.0, "2.00 ×", "GROWS"]
    assert line("a page", [lambda: 1.0, lambda: 1.4], 3)[-1] == ""


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("", "whole numbers from 1 on"),
        ("many", "whole numbers from 1 on"),
        ("1000,-1", "whole numbers from 1 on"),
        ("1000,,20", "whole numbers from 1 on"),
        ("5", "--rows must be at least 10."),
    ],
)
def test_wrong_sizes_are_refused_in_a_sentence(rows: str, sentence: str) -> None:
    done = benches.run(growth, "--rows", rows)
    assert done.exit_code == 2
    assert sentence in done.stderr
