"""admin set-password, setup-link and reset-second-factor; tokens; audit."""

import csv
import io
import json
import os
import pty
import re
import subprocess
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from guestbook.auth import api_tokens, login, second_factor
from guestbook.lib import clock, ids
from guestbook.storage.database import db, write
from guestbook.storage.models import AUDIT_LOG
from tests.cli.conftest import FLASK, Shell
from tests.cli.test_webhooks import TIME
from tests.support import factories
from tests.support.owner import keep_second_factor

PASSWORD = "correct horse battery"
MADE = re.compile(r"[a-z]{5}(-[a-z]{5}){4}\n")


def piped(runner: FlaskCliRunner, typed: str | bytes, *options: str) -> tuple[int, str, str]:
    result = runner.invoke(args=["admin", "set-password", *options], input=typed)
    db.session.remove()
    return result.exit_code, result.stdout, result.stderr


def opens(password: str) -> bool:
    """Whether the owner gets in with it, from a network that has not tried before."""
    address = f"192.0.2.{os.urandom(1)[0]}"
    try:
        login.log_in(password, address=address, browser="", settings=factories.settings())
    except login.WrongPassword:
        return False
    return True


def logins() -> int:
    db.session.rollback()
    return len(login.logins(db.session()))


@pytest.fixture(autouse=True)
def _context(app: Flask) -> None:
    """The app's context is around each test."""
    assert app


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\nand more\n"])
def test_the_first_line_piped_in_is_the_password_with_its_blanks(runner: FlaskCliRunner, end: str) -> None:
    said = "The password is set. Everyone who was logged in must log in again.\n"
    assert piped(runner, f"  {PASSWORD} {end}") == (0, said, "")
    assert (opens(f"  {PASSWORD} "), opens(PASSWORD)) == (True, False)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "No password came in. Run this on a terminal, pipe the password in, or add --random."),
        ("é" * 100_000, "The password must have 10 to 1,000 characters."),
        (b"pass\xe9 in Latin-1\n", "The password must be text in UTF-8, without NUL."),
    ],
)
def test_what_will_not_do_gets_one_sentence_and_changes_nothing(
    runner: FlaskCliRunner, typed: str | bytes, sentence: str
) -> None:
    assert (piped(runner, PASSWORD)[0], opens(PASSWORD)) == (0, True)
    code = 1 if sentence.startswith("No password") else 2
    assert piped(runner, typed) == (code, "", f"Error: {sentence}\n")
    assert (logins(), opens(PASSWORD)) == (1, True)


def test_random_prints_the_password_and_nothing_else(runner: FlaskCliRunner) -> None:
    code, made, said = piped(runner, "", "--random")
    assert (code, said) == (0, "The password is set. Everyone who was logged in must log in again.\n")
    assert MADE.fullmatch(made)
    assert opens(made.strip())
    assert piped(runner, "", "--random")[1] != made


def test_a_random_password_has_seventy_bits_at_least() -> None:
    letters = len(login.CONSONANTS) ** 3 * len(login.VOWELS) ** 2
    assert letters**login.PASSWORD_WORDS > 2**70
    assert len({login.random_password() for _ in range(100)}) == 100


def test_once_sets_the_first_password_and_no_other(shell: Shell) -> None:
    made = shell("admin", "set-password", "--random", "--once")
    assert MADE.fullmatch(made)
    assert opens(made.strip())
    assert shell("admin", "set-password", "--random", "--once") == ""
    assert shell("admin", "set-password", "--once") == ""
    assert logins() == 1


def test_a_terminal_is_asked_twice_and_shows_nothing(environ: dict[str, str]) -> None:
    leader, terminal = pty.openpty()
    command = [FLASK, "--app", "guestbook", "admin", "set-password"]
    settings = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environ}
    with subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, env=settings, start_new_session=True
    ) as process:
        os.close(terminal)
        shown = b""
        for prompt in (b"New password: ", b"Once more: "):
            while prompt not in shown:
                shown += os.read(leader, 1000)
            os.write(leader, PASSWORD.encode() + b"\n")
        while b"log in again" not in shown:
            shown += os.read(leader, 1000)
        assert process.wait(20) == 0
    os.close(leader)
    assert PASSWORD.encode() not in shown
    assert opens(PASSWORD)


def test_tokens_stay_good_and_are_named_unless_they_are_revoked_too(runner: FlaskCliRunner) -> None:
    factories.written(lambda session: [api_tokens.add(session, name) for name in ("One", "Two")])
    said = piped(runner, PASSWORD)[1]
    assert "2 API tokens can still be used. To revoke all of them, add --revoke-tokens.\n" in said
    assert len(api_tokens.all_of(db.session())) == 2
    assert "Revoked 2 API tokens.\n" in piped(runner, PASSWORD, "--revoke-tokens")[1]
    assert api_tokens.all_of(db.session()) == []
    code, made, said = piped(runner, "", "--random", "--revoke-tokens")
    assert (code, "Revoked 0 API tokens.\n" in said) == (0, True)
    assert MADE.fullmatch(made), "the password alone, so that a script can read it"


def test_an_owner_who_lost_phone_and_codes_has_the_shell(runner: FlaskCliRunner, shell: Shell) -> None:
    keep_second_factor()
    assert piped(runner, PASSWORD)[0] == 0
    with pytest.raises(login.CodeNeeded):
        opens(PASSWORD)
    said = "The second factor is removed. The password is enough to log in.\n"
    assert shell("admin", "reset-second-factor") == said
    assert second_factor.read(db.session()) is None
    assert opens(PASSWORD)
    assert "was off already" in shell("admin", "reset-second-factor")


def test_the_link_to_a_new_book_is_printed_until_it_has_a_password(
    runner: FlaskCliRunner, shell: Shell, client: FlaskClient
) -> None:
    first = shell("admin", "setup-link").strip()
    second = json.loads(shell("admin", "setup-link", "--json"))["url"]
    assert re.fullmatch(r"https://book.example(/admin/setup/[0-9a-f]{32})", second)
    paths = [link.removeprefix("https://book.example") for link in (first, second)]
    assert [client.get(path).status_code for path in paths] == [200, 200]
    assert piped(runner, PASSWORD)[0] == 0
    assert client.get(paths[1]).status_code == 410
    refused = runner.invoke(args=["admin", "setup-link"])
    said = "Error: The book has a password. Set another: flask --app guestbook admin set-password\n"
    assert (refused.exit_code, refused.stderr) == (1, said)
    assert "setup-link" not in runner.invoke(args=["init-db"]).output


VALUE = re.compile(r"^gbk_[\w-]{43}$", re.MULTILINE)


def test_add_prints_the_token_and_no_command_prints_it_again(shell: Shell) -> None:
    said = shell("tokens", "add", "Backup")
    [value] = VALUE.findall(said)
    assert api_tokens.find(db.session(), value)
    [row] = shell.json("tokens", "list")
    assert f"Added token {row['id']}." in said
    made = {"id": row["id"], "created_at": row["created_at"], "expires_at": None, "last_used_at": None}
    assert row == {"name": "Backup", "scope": "manage", **made}
    assert TIME.fullmatch(row["created_at"])
    assert "gbk_" not in shell("tokens", "list")


def test_the_list_shows_what_a_token_may_do_and_when_it_ends(shell: Shell) -> None:
    shell("tokens", "add", "Reader", "--scope", "read", "--expires", "90d")
    shell("tokens", "add", "Moderator", "--scope", "moderate", "--expires", "2999-01-31")
    reader, moderator = shell.json("tokens", "list")
    assert (reader["scope"], moderator["scope"]) == ("read", "moderate")
    left = clock.from_text(reader["expires_at"]) - clock.now()
    assert timedelta(days=89) < left <= timedelta(days=90)
    assert moderator["expires_at"] == "2999-01-31T00:00:00.000Z"
    assert moderator["expires_at"] in shell("tokens", "list").splitlines()[2]


def entry(days: int, **values: object) -> None:
    at = clock.now() - timedelta(days=days)
    shared = {"actor": "admin", "action": "added", "object": "bin", "number": 1}
    with write(db.engine) as connection:
        made = ids.first_of(at)[:12] + ids.new()[12:]
        connection.execute(AUDIT_LOG.insert().values(**{"id": made, "at": at, **shared, **values}))


def test_commands_are_in_it_with_what_was_typed(shell: Shell) -> None:
    hook = factories.webhook(name="Chat")
    for verb in ("disable", "enable", "rotate-secret", "show --secret", "update --name Room", "delete"):
        shell("webhooks", *verb.split(), hook)
    source = factories.source(verify="github", secret="s" * 24, name="Robot")
    for words in (f"sources show {source} --secret", "bins add b", "tokens add T --scope read", "cron-url"):
        shell(*words.split())
    rows = shell.json("audit")
    assert {row["actor"] for row in rows} == {"command"}
    assert [(row["actor_name"], row["action"], row["object"], row["object_name"]) for row in rows] == [
        ("cron-url", "added", "cron_address", None),
        ("tokens add", "added", "token", "T"),
        ("bins add", "added", "bin", "b"),
        ("sources show", "revealed", "source", "Robot"),
        ("webhooks delete", "deleted", "webhook", "Room"),
        ("webhooks update", "changed", "webhook", "Room"),
        ("webhooks show", "revealed", "webhook", "Chat"),
        ("webhooks rotate-secret", "rotated", "webhook", "Chat"),
        ("webhooks enable", "enabled", "webhook", "Chat"),
        ("webhooks disable", "disabled", "webhook", "Chat"),
    ]
    assert list(rows[0]) == [column.name for column in AUDIT_LOG.columns]
    shell("sources", "show", factories.source(), "--secret")  # It has no secret to reveal.
    table = shell("audit")
    assert (len(table.splitlines()), "webhooks rotate-secret" in table) == (11, True)


def test_it_is_filtered(shell: Shell) -> None:
    entry(0, object_name="new")
    entry(10, object_name="old", action="deleted", actor="token")

    def names(*options: str) -> list[str]:
        return [row["object_name"] for row in shell.json("audit", *options)]

    assert names() == ["new", "old"]
    assert names("--since", "2d") == names("--actor", "admin") == names("--limit", "1") == ["new"]
    assert names("--until", "2d") == names("--action", "deleted") == ["old"]
    assert shell("audit", "--actor", "command") == "No such entry.\n"


def test_an_export_has_all_and_a_table_the_newest(shell: Shell) -> None:
    for number in range(60):
        entry(number)
    assert len(shell.json("audit")) == 60
    assert len(shell("audit").splitlines()) == 51
    assert len(shell("audit", "--csv").splitlines()) == 61


def test_csv_is_for_spreadsheets_and_runs_no_formula(shell: Shell) -> None:
    entry(0, object_name='=1+1 "x", y', detail="é🦋", number=7)
    [row] = csv.DictReader(io.StringIO(shell("audit", "--csv")))
    assert row["object_name"] == '\'=1+1 "x", y'
    assert (row["detail"], row["number"], row["actor_id"]) == ("é🦋", "7", "")
    assert list(row) == [column.name for column in AUDIT_LOG.columns]


def test_hostile_names_are_harmless_on_a_terminal(shell: Shell) -> None:
    entry(0, object_name="\x1b[31mred", actor_name="a\nb")
    said = shell("audit")
    assert ("\x1b" in said, len(said.splitlines())) == (False, 2)
    assert json.loads(shell("audit", "--json"))[0]["object_name"] == "\x1b[31mred"
