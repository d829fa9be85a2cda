"""The program `guestbook`: the commands of `flask --app guestbook`, and `run`."""

import re
import sys
from pathlib import Path

import click
import pytest
from flask import Flask

from guestbook.cli import program
from guestbook.lib import VERSION
from tests.cli.conftest import FLASK, Process, Shell
from tests.conftest import run

PROGRAM = str(Path(sys.executable).with_name("guestbook"))


def type_(environ: dict[str, str], *words: str, path: str = "/usr/bin:/bin") -> tuple[int, str, str]:
    done = run(PROGRAM, *words, env={"PATH": path, **environ}, cwd="/")
    return done.returncode, done.stdout, done.stderr


def listed(said: str, title: str, blanks: str) -> list[str]:
    """The commands that a help shows under a title."""
    part = said.partition(f"\n{blanks[2:]}{title}:\n")[2].partition("\n\n")[0]
    return re.findall(rf"^{blanks}(\S+)", part, re.MULTILINE)


def test_the_help_shows_the_sections_of_flask_and_run(tmp_path: Path) -> None:
    code, said, complaint = type_({"GUESTBOOK_TIMEOUT": "wrong"}, "--help")
    assert (code, complaint) == (0, "")
    for title, commands in program.PROGRAM_SECTIONS.items():
        assert listed(said, title, "  ") == [*commands]
    assert type_({}, "--version") == (0, f"guestbook {VERSION}\n", "")
    code, said, complaint = type_({"GUESTBOOK_DATA_DIR": str(tmp_path)}, "crom")
    assert (code, said, "No such command 'crom'" in complaint) == (2, "", True)


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


def test_the_help_of_flask_shows_the_commands_in_sections_too(process: Process) -> None:
    code, said, complaints = process("--help")
    assert (code, complaints) == (0, "")
    assert re.findall(r"^  (\w[^:\n]*):$", said, re.MULTILINE) == list(program.SECTIONS)
    for title, commands in program.SECTIONS.items():
        assert listed(said, title, "    ") == [*commands]
    assert listed(said, "Commands", "  ") == ["routes", "run", "shell"], "Flask's"
    assert "..." not in said.partition("Commands:")[2]


def test_every_command_is_in_one_section(app: Flask) -> None:
    names = [name for section in program.SECTIONS.values() for name in section]
    assert sorted(names) == sorted(app.cli.commands)


def test_a_command_imports_neither_the_pages_nor_other_commands(environ: dict[str, str]) -> None:
    said = run(sys.executable, "-X", "importtime", FLASK, "--app", "guestbook", "tokens", "list", env=environ)
    imported = set(re.findall(r"\| +(guestbook[\w.]*)$", said.stderr, re.MULTILINE))
    assert "guestbook.auth.api_tokens" in imported
    assert not {"guestbook.web", "guestbook.transport", "guestbook.outbound"} & imported


def test_every_command_says_in_a_whole_sentence_what_it_does(app: Flask, shell: Shell) -> None:
    for name, group in app.cli.commands.items():
        sentences = [program.first_sentence(group)]
        if isinstance(group, click.Group):
            sentences += [program.first_sentence(command) for command in group.commands.values()]
            said = " ".join(shell(name, "--help").split())
            assert all(sentence in said for sentence in sentences), name
        for sentence in sentences:
            assert re.fullmatch(r"[A-Z][^.]+( \(GUESTBOOK_KEEP_…_DAYS\))?\.", sentence), (name, sentence)
