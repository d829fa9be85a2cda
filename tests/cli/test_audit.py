"""audit: the log in a shell, as a table, JSON and CSV."""

import csv
import io
import json
from datetime import timedelta

from guestbook.lib import clock, ids
from guestbook.storage.database import db, write
from guestbook.storage.models import AUDIT_LOG
from tests.cli.conftest import Shell
from tests.support import factories


def entry(days: int, **values: object) -> None:
    at = clock.now() - timedelta(days=days)
    shared = {"actor": "admin", "action": "added", "object": "bin", "number": 1}
    with write(db.engine) as connection:
        made = ids.first_of(at)[:12] + ids.new()[12:]
        connection.execute(AUDIT_LOG.insert().values(**{"id": made, "at": at, **shared, **values}))


def test_commands_are_in_it_with_what_was_typed(shell: Shell) -> None:
    hook = factories.webhook(name="Chat")
    shell("webhooks", "disable", hook)
    shell("webhooks", "enable", hook)
    shell("webhooks", "rotate-secret", hook)
    shell("webhooks", "show", hook)
    shell("webhooks", "update", hook, "--name", "Room")
    shell("webhooks", "delete", hook)
    source = factories.source(verify="github", secret="s" * 24, name="Robot")
    shell("sources", "show", source)
    shell("bins", "add", "b")
    shell("tokens", "add", "T", "--scope", "read")
    shell("cron-url")
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
    table = shell("audit")
    assert len(table.splitlines()) == 11
    assert "webhooks rotate-secret" in table


def test_a_source_without_a_secret_reveals_none(shell: Shell) -> None:
    shell("sources", "show", factories.source())
    assert shell.json("audit") == []


def test_it_is_filtered(shell: Shell) -> None:
    entry(0, object_name="new")
    entry(10, object_name="old", action="deleted", actor="token")

    def names(*options: str) -> list[str]:
        return [row["object_name"] for row in shell.json("audit", *options)]

    assert names() == ["new", "old"]
    assert names("--since", "2d") == ["new"]
    assert names("--until", "2d") == ["old"]
    assert names("--action", "deleted") == ["old"]
    assert names("--actor", "admin") == ["new"]
    assert names("--limit", "1") == ["new"]
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
    assert "\x1b" not in shell("audit")
    assert len(shell("audit").splitlines()) == 2
    assert json.loads(shell("audit", "--json"))[0]["object_name"] == "\x1b[31mred"
