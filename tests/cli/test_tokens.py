"""tokens: add, list, revoke."""

import re
from datetime import timedelta

import pytest

from guestbook.auth import api_tokens
from guestbook.lib import clock
from guestbook.storage.database import db
from tests.cli.conftest import Shell
from tests.cli.test_webhooks import TIME

VALUE = re.compile(r"^gbk_[\w-]{43}$", re.MULTILINE)


def opens(value: str) -> bool:
    return api_tokens.find(db.session(), value) is not None


def test_add_prints_the_token_and_no_command_prints_it_again(shell: Shell) -> None:
    said = shell("tokens", "add", "Backup")
    [value] = VALUE.findall(said)
    assert opens(value)
    [row] = shell.json("tokens", "list")
    assert f"Added token {row['id']}." in said
    assert set(row) == {"id", "name", "created_at", "scope", "expires_at", "last_used_at"}
    assert (row["scope"], row["expires_at"], row["last_used_at"]) == ("manage", None, None)
    assert row["name"] == "Backup"
    assert TIME.fullmatch(row["created_at"])
    assert "gbk_" not in shell("tokens", "list")


def test_add_gives_the_same_as_json(shell: Shell) -> None:
    row = shell.json("tokens", "add", "Backup")
    assert set(row) == {"id", "name", "created_at", "scope", "expires_at", "last_used_at", "token"}
    assert opens(row["token"])


@pytest.mark.parametrize("name", ["", "   ", "\u200b", "x" * 81])
def test_a_name_that_says_nothing_or_too_much_is_refused(shell: Shell, name: str) -> None:
    said = shell.refused("tokens", "add", name, code=2)
    assert said == "Error: The name must have 1 to 80 characters.\n"
    assert shell.json("tokens", "list") == []


def test_an_empty_list_says_what_to_do(shell: Shell) -> None:
    assert shell("tokens", "list") == "No tokens yet. Add one: flask --app guestbook tokens add NAME\n"


def test_a_token_that_is_revoked_opens_nothing_and_the_others_do(shell: Shell) -> None:
    first, second = (shell.json("tokens", "add", name) for name in ("One", "Two"))
    assert shell("tokens", "revoke", first["id"]) == f"Revoked token {first['id']}.\n"
    db.session.rollback()
    assert (opens(first["token"]), opens(second["token"])) == (False, True)
    assert (
        shell.refused("tokens", "revoke", first["id"])
        == f"Error: No token has the id or the name {first['id']}.\n"
    )


@pytest.mark.parametrize("key", ["", "%", "a" * 33, "é", "../x"])
def test_what_is_no_id_is_refused(shell: Shell, key: str) -> None:
    assert (
        shell.refused("tokens", "revoke", "--", key) == f"Error: No token has the id or the name {key!r}.\n"
    )


def test_an_id_may_be_cut_short(shell: Shell) -> None:
    row = shell.json("tokens", "add", "One")
    assert row["id"] in shell("tokens", "revoke", row["id"][:20])
    assert shell.json("tokens", "list") == []


def test_the_list_shows_what_a_token_may_do_and_when_it_ends(shell: Shell) -> None:
    shell("tokens", "add", "Reader", "--scope", "read", "--expires", "90d")
    shell("tokens", "add", "Moderator", "--scope", "moderate", "--expires", "2999-01-31")
    reader, moderator = shell.json("tokens", "list")
    assert (reader["scope"], moderator["scope"]) == ("read", "moderate")
    left = clock.from_text(reader["expires_at"]) - clock.now()
    assert timedelta(days=89) < left <= timedelta(days=90)
    assert moderator["expires_at"] == "2999-01-31T00:00:00.000Z"
    heading, *lines = shell("tokens", "list").splitlines()
    assert heading.split("  ")[0] == "ID"
    assert "SCOPE" in heading
    assert "2999-01-31T00:00:00.000Z" in lines[1]


@pytest.mark.parametrize(
    ("expires", "sentence"),
    [
        ("soon", "'soon' is no time such as 2026-01-31, 90m, 6h or 2d."),
        ("9" * 9 + "d", "is no time such as"),
        ("0d", "A token must expire in the future, such as in 90d."),
        ("2020-01-31", "A token must expire in the future, such as in 90d."),
    ],
)
def test_an_end_that_is_no_time_or_is_past_is_refused(shell: Shell, expires: str, sentence: str) -> None:
    assert sentence in shell.refused("tokens", "add", "One", "--expires", expires, code=2)
    assert shell.json("tokens", "list") == []
