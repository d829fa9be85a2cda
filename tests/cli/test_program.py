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
from tests.support import factories

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


# --- exit code 2: no book could accept this; exit code 1: this book refuses it


URL = "https://receiver.example/hook"
ADD = ("webhooks", "add", URL)
SOURCE = ("sources", "add", "Shop", "--verify")
LINK = ("receiver-links", "add", "one")
TOKEN = ("tokens", "add", "Shop", "--expires")
NAME = "Error: The name must have 1 to 80 characters."
WRONG = [
    ((*ADD, "--format", "slak"), "Did you mean 'slack'?"),
    ((*ADD, "--event", "comment.creatd"), "Did you mean 'comment.created'?"),
    ((*ADD, "--event", "x"), "'x' is not one of 'comment.created', "),
    ((*ADD, "--name", ""), NAME),
    ((*ADD, "--secret", "hunter2"), "Error: The secret must be whsec_ and the base64 of 24 to 64 bytes,"),
    ((*ADD, "--sign-with", "key", "--github-headers"), "sign with it or with both."),
    ((*ADD, "--sign-with", "rsa"), "Invalid value for '--sign-with'"),
    (("webhooks", "add", "https://acme.webhook.office.com/webhookb2/1"), "Error: Microsoft has retired this"),
    ((*ADD, "--template", "Hello"), "Error: For comment.created: The template does not give JSON: Expecting"),
    (("webhooks", "add", "receiver.example"), "Error: The URL must start with https:// or http://."),
    (("webhooks", "add", "receiver.example"), "Did you mean https://receiver.example?"),
    (("webhooks", "add", "me@receiver.example"), "Did you mean mailto:me@receiver.example?"),
    (("webhooks", "update", "one", "--rate", "0/m"), "The rate must be a number"),
    (("sources", "add", "Forge", "--preset", "githb"), "Did you mean 'github'?"),
    (("sources", "add", "", "--verify", "github"), NAME),
    (("sources", "update", "Robot", "--name", ""), NAME),
    ((*SOURCE, "stripe"), "Error: Paste the signing secret that Stripe shows"),
    (("deliveries", "list", "--status", "procesed"), "Did you mean 'processed'?"),
    ((*TOKEN, "soon"), "'soon' is no time such as 2026-01-31, 90m, 6h or 2d."),
    ((*TOKEN, "2020-01-31"), "A token must expire in the future, such as in 90d."),
    (("tokens", "add", "\u200b"), NAME),
    ((*LINK, "--expires", ""), "is no time such as"),
    ((*LINK, "--expires", "400d"), "A link may work for a year at most."),
    (("bins", "add", "--status", "99"), "The status must be a number from 200 to 599."),
]
USAGE = [
    *(("webhooks", "add"), (*ADD, "--format", "xml"), (*ADD, "--colour"), (*ADD, URL), ("webhooks", "paint")),
    *(("sources", "add"), ("sources", "add", "Shop"), (*SOURCE, "sha1")),
    *((*SOURCE, "none", "--action", "mail"), ("status", "--colour"), ("paint",)),
    *(("cron", "--max-seconds", "0"), ("cron", "--max-seconds", "soon"), ("cron", "--max-seconds", "nan")),
    *(("deliver", "--max-seconds", "inf"), ("cron", "--concurrency", "0"), ("prune", "--all")),
    *(("deliver", "--concurrency", "257"), ("cron", "now"), ("comments", "delete")),
    *(("audit", "--csv", "--json"), ("audit", "--action=x"), ("audit", "--since=x"), ("audit", "--limit=0")),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG)
def test_what_no_book_accepts_ends_with_2(shell: Shell, arguments: tuple[str, ...], sentence: str) -> None:
    """A sentence that is given from its beginning is all that is said, in one line."""
    factories.webhook()
    factories.source()
    said = shell.refused(*arguments, code=2)
    assert sentence in said
    if sentence.startswith("Error: "):
        assert (said.startswith(sentence), said.count("\n")) == (True, 1)
    assert "Error: " in said
    assert "hunter2" not in said
    assert [len(shell.json(noun, "list")) for noun in ("webhooks", "sources", "tokens")] == [1, 1, 0]


@pytest.mark.parametrize("arguments", USAGE)
def test_what_is_no_command_is_a_usage_error(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert "Usage: " in shell.refused(*arguments, code=2)


@pytest.mark.parametrize(
    "arguments",
    [
        ("webhooks", "add", "http://10.0.0.1/hook"),
        ("webhooks", "add", "http://10.0.0.1:22/hook"),
        ("webhooks", "add", "mailto:me@receiver.example"),
        ("webhooks", "update", "one", "--url", "mailto:me@receiver.example"),
        ("webhooks", "update", "one", "--header", "X-Key: (hidden)"),
        ("webhooks", "update", "one", "--format", "telegram"),
        ("webhooks", "show", "two"),
        (*ADD, "--name", "one"),
        ("sources", "update", "Robot", "--template", "Hello"),
        ("sources", "test", "Robot", "--event", "x"),
    ],
)
def test_what_this_book_alone_refuses_is_a_line_and_1(shell: Shell, arguments: tuple[str, ...]) -> None:
    factories.webhook()
    factories.source()
    said = shell.refused(*arguments)
    assert (said.startswith("Error: "), said.count("\n")) == (True, 1), said


def test_a_misspelt_command_is_named(environ: dict[str, str]) -> None:
    for command in ((FLASK, "--app", "guestbook"), (FLASK.removesuffix("flask") + "guestbook",)):
        done = run(*command, "webhook", env={"PATH": "/usr/bin:/bin", **environ})
        assert done.returncode == 2
        assert "No such command 'webhook'. Did you mean 'webhooks'?" in done.stderr
