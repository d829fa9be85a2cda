"""bins: add, list, show, clear, delete."""

import re
from typing import Any

from guestbook.inbound import request_bins
from guestbook.inbound.request_bins import CapturedRequest
from guestbook.inbound.source_json import BIN_SCHEMA
from guestbook.lib import clock
from guestbook.storage.database import writing
from tests.cli.conftest import Shell

COLUMNS = set(BIN_SCHEMA)
SENT = b'{"a": "\x1b[31m"}'


def added(shell: Shell, *options: str) -> Any:
    return shell.json("bins", "add", *options)


def send(row: Any, body: bytes = SENT) -> None:
    captured = CapturedRequest("PUT", "/a", "b=1", [("Host", "x"), ("X-A", "1")], body, clock.now())
    with writing() as session:
        assert request_bins.capture(session, row["id"], captured)


def test_add_prints_the_url_and_where_to_see_what_came(shell: Shell) -> None:
    said = shell("bins", "add", "Mine")
    [row] = shell.json("bins", "list")
    assert row["name"] == "Mine"
    assert re.search("^https://book[.]example/bin/[0-9A-Za-z_-]{32}$", said, re.MULTILINE)
    assert row["url"] in said.splitlines()
    assert f"flask --app guestbook bins show {row['id']}" in said


def test_add_takes_everything_that_a_bin_has(shell: Shell) -> None:
    row = added(
        shell, "--status", "503", "--body", "Not now", "--type", "application/json", "--delay", "0.5",
        "--fail", "3",
    )  # fmt: skip
    assert set(row) == COLUMNS
    assert (row["name"], row["answer_status"], row["answer_body"]) == ("bin", 503, "Not now")
    assert (row["answer_type"], row["delay_milliseconds"]) == ("application/json", 500)
    assert row["failures_left"] == 3


def test_list_says_how_to_begin_and_then_how_much_each_holds(shell: Shell) -> None:
    assert "flask --app guestbook bins add" in shell("bins", "list")
    one, other = added(shell, "One"), added(shell, "Other")
    send(one)
    send(one)
    rows = shell.json("bins", "list")
    assert [(row["id"], row["requests"]) for row in rows] == [(one["id"], 2), (other["id"], 0)]
    assert set(rows[0]) == COLUMNS | {"requests"}
    assert one["url"] in shell("bins", "list")


def test_show_lists_the_latest_first_and_nothing_that_a_terminal_obeys(shell: Shell) -> None:
    row = added(shell)
    assert "No requests yet." in shell("bins", "show", row["id"])
    send(row)
    send(row, b"\0\xff")
    said = shell("bins", "show", row["id"])
    assert re.search(r"PUT +/a\?b=1 +2 +200 .*\n.*PUT +/a\?b=1 +14 +200 +\{", said)
    assert "\x1b" not in said
    shown = shell.json("bins", "show", row["id"][:20])
    assert set(shown) == COLUMNS | {"requests"}
    binary, text = shown["requests"]
    assert (text["method"], text["path"], text["query"], text["size"]) == ("PUT", "/a", "b=1", len(SENT))
    assert text["headers"] == [{"name": "Host", "value": "x"}, {"name": "X-A", "value": "1"}]
    assert (text["body"], text["encoding"], text["bin_id"]) == (SENT.decode(), "text", row["id"])
    assert (binary["body"], binary["encoding"]) == ("AP8=", "base64")


def test_clear_keeps_the_bin_and_delete_removes_it_too(shell: Shell) -> None:
    one, other = added(shell), added(shell)
    for row in (one, one, other):
        send(row)
    assert shell("bins", "clear", one["id"]) == f"Removed 2 requests from bin {one['id']}.\n"
    assert [row["requests"] for row in shell.json("bins", "list")] == [0, 1]
    assert shell("bins", "delete", other["id"]) == f"Deleted bin {other['id']} and 1 request.\n"
    assert shell.ids("bins", "list") == [one["id"]]
