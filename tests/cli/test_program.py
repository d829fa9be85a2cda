"""The program `guestbook`: the commands of `flask --app guestbook`, and `run`."""

import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from guestbook.cli import deliveries, program
from guestbook.lib import VERSION
from tests.conftest import run

PROGRAM = str(Path(sys.executable).with_name("guestbook"))


def type_(environ: dict[str, str], *words: str, path: str = "/usr/bin:/bin") -> tuple[int, str, str]:
    done = run(PROGRAM, *words, env={"PATH": path, **environ}, cwd="/")
    return done.returncode, done.stdout, done.stderr


def test_the_help_shows_the_sections_of_flask_and_run(tmp_path: Path) -> None:
    code, said, complaint = type_({"GUESTBOOK_TIMEOUT": "wrong"}, "--help")
    assert (code, complaint) == (0, "")
    for title, commands in program.SECTIONS.items():
        listed = said.partition(f"\n{title}:\n")[2].partition("\n\n")[0]
        names = ["run", *commands] if title == "Every day" else [*commands]
        assert re.findall(r"^  (\S+)", listed, re.MULTILINE) == names
    assert type_({}, "--version") == (0, f"guestbook {VERSION}\n", "")
    code, said, complaint = type_({"GUESTBOOK_DATA_DIR": str(tmp_path)}, "crom")
    assert (code, said) == (2, "")
    assert "No such command 'crom'" in complaint


@pytest.mark.usefixtures("app")  # which makes the tables
def test_its_commands_work_and_name_commands_as_they_were_typed(environ: dict[str, str]) -> None:
    code, said, complaint = type_(environ, "webhooks", "list")
    assert (code, said, complaint) == (0, f"No webhooks yet. Add one: {PROGRAM} webhooks add URL\n", "")
    beside = str(Path(PROGRAM).parent)
    assert type_(environ, "tokens", "list", path=beside)[1].endswith("Add one: guestbook tokens add NAME\n")
    assert "Print what happens" in type_(environ, "cron", "--help")[1]
    code, _, complaint = type_({**environ, "GUESTBOOK_TIMEOUT": "soon"}, "cron")
    assert (code, complaint.count("\n")) == (1, 1)
    assert complaint.startswith("Error: GUESTBOOK_TIMEOUT is 'soon'")


def test_a_group_of_commands_has_its_help() -> None:
    said = CliRunner().invoke(program.program, ["deliveries", "--help"]).stdout
    assert " ".join(program.first_sentence(deliveries.list_).split()) in " ".join(said.split())
