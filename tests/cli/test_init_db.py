"""init-db, and what every command says when something is not there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from flask import Flask

import guestbook
from guestbook.storage import database
from guestbook.storage.database import db
from tests.cli.conftest import Process, Shell
from tests.conftest import need, settings_for
from tests.support import databases, factories

MISSING = "The tables are missing. Create them with: flask --app guestbook init-db\n"
COMMANDS = [
    ("cron",), ("deliver",), ("prune",), ("status",), ("webhooks", "list"), ("webhooks", "show", "01"),
    ("webhooks", "add", "https://receiver.example/"), ("deliveries", "list"), ("comments", "list"),
    ("deliveries", "redeliver", "--failed"), ("comments", "delete", "01"),
]  # fmt: skip


def test_init_db_says_where_the_tables_are_and_runs_again(forked: Process, environ: dict[str, str]) -> None:
    for _ in range(2):
        code, said, complaint = forked("init-db")
        assert (code, complaint, said.startswith("The tables are ready in ")) == (0, "", True)
        folder, link = said.splitlines()[1:]
        assert folder == f"The data folder is {environ['GUESTBOOK_DATA_DIR']}."
        assert re.search(r" within 30 minutes at https://book.example/admin/setup/[0-9a-f]{32}$", link)


@pytest.fixture
def bare(each_empty_environ: dict[str, str]) -> Iterator[Shell]:
    """A book without tables."""
    app = guestbook.create_app(each_empty_environ)
    yield Shell(app.test_cli_runner())
    with app.app_context():
        db.engine.dispose()


def test_without_tables_every_command_says_how_to_make_them(bare: Shell) -> None:
    for arguments in (*COMMANDS, ("cron", "-v")):
        result = bare.runner.invoke(args=list(arguments))
        assert (result.exit_code, result.stdout, result.stderr) == (1, "", MISSING), arguments


AWAY = {
    "sqlite-wal": "sqlite:////dev/null/book.db",
    "postgresql": "postgresql+psycopg://me:hunter2@127.0.0.1:1/book",
    "mariadb": "mysql+pymysql://me:hunter2@127.0.0.1:1/book",
}


@pytest.mark.parametrize("mode", AWAY)
def test_a_database_that_is_away_ends_with_75_and_a_line_without_password(mode: str, tmp_path: Path) -> None:
    app = guestbook.create_app(settings_for(tmp_path, AWAY[mode]))
    for arguments in (*COMMANDS, ("init-db",)):
        result = app.test_cli_runner().invoke(args=list(arguments))
        assert (result.exit_code, result.stdout) == (75, ""), (arguments, result.output)
        assert re.fullmatch(r"The database cannot be used now: .*\n", result.stderr)
        assert "hunter2" not in result.stderr
    result = app.test_cli_runner().invoke(args=["cron", "-v"])
    assert (result.exit_code, result.stdout) == (75, "")
    assert result.stderr.startswith("Traceback (most recent call last):\n")
    assert result.stderr.splitlines()[-1].startswith("The database cannot be used now: ")


@pytest.mark.parametrize("mode", ["postgresql", "mariadb"])
def test_a_server_without_the_database_is_away_and_lacks_no_tables(mode: str, tmp_path: Path) -> None:
    need(mode)
    url = databases.make_url(databases.server(mode)).set(database="nobody_made_this")
    app = guestbook.create_app(settings_for(tmp_path, url.render_as_string(hide_password=False)))
    result = app.test_cli_runner().invoke(args=["status"])
    assert (result.exit_code, result.stdout) == (75, "")
    assert "nobody_made_this" in result.stderr


@pytest.mark.usefixtures("app")
def test_a_book_older_than_the_program_ends_with_1_and_what_to_do(forked: Process) -> None:
    with database.write(db.engine) as connection:
        connection.exec_driver_sql("ALTER TABLE passes RENAME COLUMN host TO old")
    for arguments in (("status",), ("cron",)):
        code, said, complaint = forked(*arguments)
        assert (code, said) == (1, "")
        assert re.fullmatch(
            "The tables are older than the program: .*flask --app guestbook upgrade\n", complaint
        )


@pytest.mark.usefixtures("app")
def test_a_value_that_the_database_refuses_ends_with_1_and_one_line(forked: Process) -> None:
    with database.write(db.engine) as connection:
        connection.exec_driver_sql("CREATE UNIQUE INDEX one ON webhooks (url)")
    add = ("webhooks", "add", "https://receiver.example/")
    assert forked(*add)[0] == 0
    code, said, complaint = forked(*add)
    assert (code, said) == (1, "")
    assert re.fullmatch(r"The database refused a value, so nothing was changed: .*\n", complaint)


@pytest.mark.parametrize("arguments", [("status",), ("--help",), ("webhooks", "list"), ("cron", "--help")])
def test_a_wrong_setting_ends_with_1_and_one_line(forked: Process, arguments: tuple[str, ...]) -> None:
    code, said, complaint = forked(*arguments, TIMEOUT="soon")
    assert (code, said) == (1, "")
    why = "GUESTBOOK_TIMEOUT is 'soon': it must be a number of seconds from 0.1 to 300."
    assert complaint == f"Error: {why}\n"


def everything(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from everything(command, (*path, name))


def test_every_command_and_option_has_help_and_every_list_and_show_takes_json(app: Flask) -> None:
    assert len(list(everything(app.cli))) >= 20
    for path, command in everything(app.cli):
        assert command.help, path
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, (path, option.name)
        if path[-1] in ("list", "show"):
            assert "--json" in [name for option in command.params for name in option.opts], path


@pytest.mark.usefixtures("app")
def test_a_non_ascii_book_is_printed_where_the_locale_is_c(process: Process) -> None:
    factories.sign("Grüße 🎈")
    code, said, complaint = process("comments", "list", "--json")
    assert (code, complaint) == (0, "")
    assert json.loads(said)[0]["message"] == "Grüße 🎈"
