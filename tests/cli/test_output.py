"""Tables on a terminal: they fit, and their columns stand under one another whatever is in them."""

import pytest
import wcwidth

from guestbook.cli import output
from guestbook.lib import display_width
from tests.cli.conftest import Shell
from tests.support import factories

WIDE = ["漢字の掲示板", "👩‍👩‍👧‍👦 family", "e\u0301cole", "한국어", "❤️ heart", "नमस्ते", "plain"]


def test_columns_stand_under_one_another_whatever_the_names_are(shell: Shell) -> None:
    for name in WIDE:
        factories.webhook(name=name)
    heading, *lines = shell("webhooks", "list").splitlines()
    place = heading.index("STATE")
    assert len(lines) == len(WIDE)
    for line in lines:
        assert wcwidth.wcswidth(line.partition(" healthy")[0] + " ") == place, line


def test_the_list_of_webhooks_and_of_sources_fits_a_hundred_columns(shell: Shell) -> None:
    events = "comment.created comment.published comment.deleted comment.replied webhook.disabled"
    factories.webhook(name="漢" * 40, url=f"https://receiver.example/{'x' * 300}", events=events)
    factories.webhook(name="n" * 80, url=f"https://{'y' * 60}.example/", events=events)
    factories.source(name="漢" * 40)
    for kind in ("webhooks", "sources"):
        lines = shell(kind, "list").splitlines()
        assert max(wcwidth.wcswidth(line) for line in lines) <= 100
        assert len(lines) == (3 if kind == "webhooks" else 2)
    assert "…" in shell("webhooks", "list")


def test_ids_in_the_list_are_as_long_as_tells_them_apart(shell: Shell) -> None:
    ids = [
        factories.webhook(id=start + "0" * (32 - len(start))) for start in ("a" * 9 + "b", "a" * 9 + "c", "d")
    ]
    listed = [line.split()[0] for line in shell("webhooks", "list").splitlines()[1:]]
    assert listed == [one[:10] for one in sorted(ids)]
    assert [shell.json("webhooks", "show", one)["id"] for one in listed] == sorted(ids)
    assert output.id_length([]) == output.id_length(["a" * 32]) == 8


@pytest.mark.parametrize("text", [*WIDE, "", "x" * 30])
def test_what_is_cut_is_no_wider_than_it_may_be(text: str) -> None:
    for columns in (1, 5, 10, 30):
        assert display_width.of(display_width.cut(text, columns)) <= columns
        assert wcwidth.wcswidth(display_width.fill(display_width.cut(text, columns), columns)) == columns
    assert display_width.cut(text, 30) == text
