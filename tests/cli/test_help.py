"""--help: commands in sections, in whole sentences."""

import re
import sys

import click
from flask import Flask

from guestbook.cli import program
from tests.cli.conftest import FLASK, Process, Shell
from tests.conftest import run


def test_the_help_shows_the_commands_in_sections_by_what_they_are_for(process: Process) -> None:
    code, said, complaints = process("--help")
    assert (code, complaints) == (0, "")
    titles = re.findall(r"^  (\w[^:\n]*):$", said, re.MULTILINE)
    assert titles == list(program.SECTIONS)
    for title, commands in program.SECTIONS.items():
        listed = said.partition(f"  {title}:\n")[2].partition("\n\n")[0]
        assert re.findall(r"^    (\S+)", listed, re.MULTILINE) == [*commands]
    own = said.partition("\nCommands:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^  (\S+)", own, re.MULTILINE) == ["routes", "run", "shell"], "Flask's"
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
