"""comments: list, show, approve, hold, spam, trash, restore, reply, delete; and what spam shows."""

import json
import re

import pytest
from flask import Flask

from guestbook.comments.spam import spam_report
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock
from guestbook.storage.comment_fields import COMMENT_FIELDS
from guestbook.storage.database import writing
from guestbook.storage.models import Comment
from tests.cli.conftest import Shell
from tests.support import factories

COLUMNS = {"id", *COMMENT_FIELDS, "status", "reason", "reasons"} | {
    *("created_at", "number", "page", "reply", "url", "decisions")
}
HELD = Classification("held", ("It holds 9 links.",))


def test_the_list_is_newest_first_in_one_line_each(shell: Shell) -> None:
    old, new = factories.sign("Hello\n\nagain"), factories.sign("x" * 100, verdict=HELD)
    lines = shell("comments", "list").splitlines()
    assert lines[0].split() == ["ID", "WHEN", "STATUS", "NAME", "MESSAGE"]
    assert re.fullmatch(f"{new} .* held .*{'x' * 100}", lines[1])
    assert re.fullmatch(f"{old} .* Hello again", lines[2])
    rows = shell.json("comments", "list")
    assert [set(row) for row in rows] == [COLUMNS, COLUMNS]
    assert rows[0]["reason"] == "It holds 9 links."


def test_the_list_can_be_narrowed(shell: Shell) -> None:
    held = factories.sign(verdict=HELD)
    factories.sign()
    assert shell.ids("comments", "list", "--status", "held") == [held]
    assert len(shell.json("comments", "list", "--limit", "1")) == 1
    factories.alter(Comment, held, page="https://a.example/one")
    assert shell.ids("comments", "list", "--page", "https://A.example/one#x") == [held]
    assert shell("comments", "list", "--page", "https://a.example/") == "There is no such comment.\n"
    for wrong in (("--page", "/one"), ("--status", "new"), ("--limit", "0")):
        assert "Usage: " in shell.refused("comments", "list", *wrong, code=2)


def test_the_list_can_be_searched(shell: Shell) -> None:
    factories.sign("Hello")
    one, two = factories.sign("100% good"), factories.sign("good", name="100% Ada")
    assert shell.ids("comments", "list", "--search", "100% GOOD") == [two, one]
    assert shell.json("comments", "list", "--search", "good", "--status", "spam") == []
    assert shell("comments", "list", "--search", "nothing") == "There is no such comment.\n"


def test_what_somebody_wrote_is_inert_on_a_terminal(shell: Shell) -> None:
    hostile = "\x1b[2Ja\x9b31m\u202eb\x7f"
    factories.sign(hostile, name=hostile)
    for said in (shell("comments", "list"), shell("comments", "list", "--json")):
        assert all(letter.isprintable() or letter == "\n" for letter in said)
    assert shell.json("comments", "list")[0]["message"] == hostile


def test_delete_removes_and_tells(shell: Shell) -> None:
    factories.webhook(events="comment.deleted")
    one, two, three = (factories.sign(str(number)) for number in range(3))
    assert shell("comments", "delete", one[:31], one, two) == "Deleted 2 comments.\n"
    sent = [json.loads(row.payload)["data"]["comment"]["id"] for row in factories.deliveries()]
    assert sorted(sent) == sorted([one, two])
    assert shell.refused("comments", "delete", three, "0000") == "Error: No comment has the id 0000.\n"
    assert shell.ids("comments", "list") == [three]
    assert shell("comments", "delete", three) == "Deleted 1 comment.\n"


@pytest.mark.parametrize(
    ("command", "said", "status"),
    [
        ("approve", "Published", "published"),
        ("hold", "Held", "held"),
        ("spam", "Marked as spam", "spam"),
        ("trash", "Moved to the trash:", "trash"),
        ("restore", "Restored", "held"),
    ],
)
def test_comments_are_moved_by_command(shell: Shell, command: str, said: str, status: str) -> None:
    one, two = factories.sign(verdict=HELD), factories.sign(verdict=HELD)
    assert shell("comments", command, one, two[:31], one) == f"{said} 2 comments.\n"
    assert {row["status"] for row in shell.json("comments", "list")} == {status}
    assert shell("comments", command, one) == f"{said} 1 comment.\n"
    assert shell.refused("comments", command, "zz") == "Error: No comment has the id zz.\n"
    assert "Usage: " in shell.refused("comments", command, code=2)


def reply_to(shell: Shell, comment_id: str) -> str | None:
    [row] = [row for row in shell.json("comments", "list") if row["id"] == comment_id]
    return str(row["reply"]["message"]) if row["reply"] else None


def test_reply_answers_changes_the_answer_and_takes_it_away(shell: Shell) -> None:
    comment_id = factories.sign()
    factories.webhook(events="comment.replied")
    for words, said, kept in (
        ("Thank you", "Replied.", "Thank you"),
        ("Thanks", "Replied.", "Thanks"),
        ("--remove", "Removed the reply.", None),
    ):
        assert shell("comments", "reply", comment_id[:31], words) == f"{said}\n"
        assert reply_to(shell, comment_id) == kept
    sent = [json.loads(row.payload)["data"]["reply"]["message"] for row in factories.deliveries()]
    assert sent == ["Thank you", "Thanks"]


def test_reply_reads_standard_input(app: Flask, shell: Shell) -> None:
    comment_id = factories.sign()
    said = app.test_cli_runner().invoke(args=["comments", "reply", comment_id, "-"], input="Two\nlines\n")
    assert (said.exit_code, said.output) == (0, "Replied.\n")
    assert reply_to(shell, comment_id) == "Two\nlines"


@pytest.mark.parametrize("wrong", [(), ("",), (" ",), ("Text", "--remove")])
def test_reply_wants_a_text_or_remove_and_not_both(shell: Shell, wrong: tuple[str, ...]) -> None:
    comment_id = factories.sign()
    shell("comments", "reply", comment_id, "Hello")
    assert "or --remove" in shell.refused("comments", "reply", comment_id, *wrong, code=2)
    assert reply_to(shell, comment_id) == "Hello"


REASONS = ("It gives a telephone number.", "It is written in Greek, which no comment in the book is.")


def test_an_empty_book(shell: Shell) -> None:
    assert shell("spam", "show") == (
        "No comment was refused at the form in the last 30 days.\n\nThe score has learned nothing yet.\n"
    )
    learned = dict.fromkeys(("learned_good", "learned_spam", "learned_words"), 0)
    assert shell.json("spam", "show") == {"refused": [], "held_until": None, **learned}


def test_what_was_refused_and_learned_is_shown_and_can_be_forgotten(shell: Shell) -> None:
    spam_report.count_refusal("rate")
    shell("comments", "spam", factories.sign("Lanterns for sale"))
    shell("comments", "approve", factories.sign("Herring"))
    shown = shell("spam", "show")
    assert "Too many comments from one network" in shown
    assert (
        "from 1 comment of spam and 1 other comment. It holds comments once it knows 30 of each kind."
        in shown
    )
    assert shell.json("status")["refused_comments_in_30_days"] == {"rate": 1}
    assert "1 rate" in shell("status")
    assert shell("spam", "forget").startswith("Forgot ")
    assert "nothing yet" in shell("spam", "show")


def test_a_flood_can_be_seen_and_ended(shell: Shell) -> None:
    with writing() as session:
        for _ in range(2):
            spam_report.pass_one(session.connection(), factories.settings().secret_key, clock.now(), 1)
    assert "A flood came, so all comments are held until 20" in shell("spam", "show")
    assert shell.json("status")["held_by_a_flood_until"]
    assert shell("spam", "end-flood") == "New comments are published again.\n"
    assert shell.json("spam", "show")["held_until"] is None


def test_a_comment_is_shown_with_every_reason(shell: Shell) -> None:
    comment_id = factories.sign("Hello\nthere", verdict=Classification("spam", REASONS))
    shown = shell("comments", "show", comment_id[:30])
    assert all(line in shown.splitlines() for line in (*REASONS, "Hello", "there"))
    document = shell.json("comments", "show", comment_id)
    assert (document["reasons"], document["status"]) == (list(REASONS), "spam")
    [listed] = shell.json("comments", "list")
    assert listed["reasons"] == list(REASONS)
