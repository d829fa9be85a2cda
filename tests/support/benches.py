"""Run a command of `scripts/bench`, and read the tables that it prints."""

import os
from unittest import mock

import click
from click.testing import CliRunner, Result

from tests.support import processes


def run(command: click.Command, *arguments: str) -> Result:
    """Run it without this process's settings; what it cannot explain is raised.

    Without its group a bench starts at any load.
    """
    with mock.patch.dict(os.environ, processes.clean_environ(), clear=True):
        return CliRunner().invoke(command, arguments, catch_exceptions=False)


def cells(printed: str) -> list[list[str]]:
    """The cells of all tables, without the lines below their heads."""
    lines = [line.split("|")[1:-1] for line in printed.splitlines() if line[:1] == "|"]
    return [[cell.strip() for cell in line] for line in lines if not line[0].startswith(" ---")]
