"""Lists and `show` on a terminal: short ids, relative times, colours, and lines that fit. Else all of it."""

import re

import pytest
import wcwidth
from flask import Flask

from guestbook.cli import output
from guestbook.lib import clock
from tests.cli.conftest import Shell, Terminal
from tests.support import factories

WIDE = ["漢字の掲示板", "👩‍👩‍👧‍👦 family", "e\u0301cole", "한국어", "❤️ heart", "नमस्ते", "plain"]
HOSTILE = "\x1b]0;title\x07\x9b31m\u202eback\r\nline"
COLOUR = re.compile("\x1b\\[[0-9;]*m")


@pytest.fixture
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let commands in this process take standard output for a terminal of a hundred columns."""
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    return monkeypatch


def widest(printed: str) -> int:
    return max(wcwidth.wcswidth(line) for line in COLOUR.sub("", printed).splitlines())


def fill_book() -> str:
    """Store a row of each list with long and hostile texts, and return the id of the delivery."""
    factories.sign(HOSTILE * 50, name="ए" * 60)
    webhook_id = factories.webhook(name="漢" * 40, url=f"https://receiver.example/{'x' * 300}")
    source_id = factories.source(name="n" * 80)
    factories.inbound(source_id, status="failed", error=HOSTILE * 9, sender="s" * 60, event="e" * 60)
    long_error = "The receiver could not be reached. " * 9
    return factories.delivery(webhook_id, status="failed", last_error=long_error, event="webhook.recovered")


@pytest.mark.parametrize("columns", [80, 100, 120, 200])
def test_every_list_fits_the_terminal_and_a_wider_one_shows_more(
    shell: Shell, wide_terminal: pytest.MonkeyPatch, columns: int
) -> None:
    fill_book()
    for noun in ("webhooks", "sources", "deliveries", "inbox", "comments"):
        wide_terminal.setenv("COLUMNS", str(columns))
        said = shell(noun, "list")
        assert columns - 1 <= widest(said) <= columns or noun == "sources", noun
        assert "\x1b" not in said


def test_a_terminal_gets_short_ids_and_relative_times_and_a_program_all_of_it(
    shell: Shell, wide_terminal: pytest.MonkeyPatch
) -> None:
    row_id = fill_book()
    [line] = shell("deliveries", "list").splitlines()[1:]
    assert (line.split()[0], line[-1]) == (row_id[-6:], "…")
    assert " just now " in shell("comments", "list")
    wide_terminal.undo()
    [line] = shell("deliveries", "list").splitlines()[1:]
    assert line.startswith(f"{row_id}  ")
    assert line.endswith("The receiver could not be reached.")
    assert clock.to_text(clock.now())[:13] in shell("comments", "list")


def test_states_have_colours_on_a_terminal_alone_unless_they_are_not_wanted(
    app: Flask, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert app
    fill_book()
    code, said = terminal("deliveries", "list")
    assert (code, widest(said) <= 80) == (0, True)
    assert re.search("\x1b\\[31mfailed *\x1b", said)
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            assert "\x1b" not in terminal("deliveries", "list")[1], name


def test_show_has_groups_without_empty_rows_and_nothing_that_a_terminal_obeys(
    shell: Shell, wide_terminal: pytest.MonkeyPatch
) -> None:
    row_id = fill_book()
    said = shell("deliveries", "show", row_id)
    assert wide_terminal
    assert re.search("\n\nResult\nstatus +failed\n", said)
    assert " (just now)" in said
    for absent in ("None", " -\n", "claims", "\x1b"):
        assert absent not in said
    [comment] = shell.json("comments", "list")
    said = shell("comments", "show", comment["id"])
    assert "\nMessage\n" in said
    assert "Note to you" not in said
    assert not set(said) & set("\x1b\x07\x9b\u202e\r")


def test_columns_stand_under_one_another_whatever_the_names_are(shell: Shell) -> None:
    for name in WIDE:
        factories.webhook(name=name)
    heading, *lines = shell("webhooks", "list").splitlines()
    place = heading.index("STATE")
    assert len(lines) == len(WIDE)
    for line in lines:
        assert wcwidth.wcswidth(line.partition(" healthy")[0] + " ") == place, line
