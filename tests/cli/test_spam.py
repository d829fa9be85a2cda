"""The commands about spam, and the reasons in those about comments."""

import json

import pytest
from flask.testing import FlaskCliRunner

from guestbook.comments import submission
from guestbook.comments.spam import comment_facts
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock
from guestbook.storage.database import writing
from tests.support import factories

REASONS = ("It gives a telephone number.", "It is written in Greek, which no comment in the book is.")


def out(runner: FlaskCliRunner, *words: str) -> str:
    done = runner.invoke(args=words)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_an_empty_book(runner: FlaskCliRunner) -> None:
    assert out(runner, "spam", "show") == (
        "No comment was refused at the form in the last 30 days.\n\nThe score has learned nothing yet.\n"
    )
    assert json.loads(out(runner, "spam", "show", "--json")) == {
        "refused": [],
        "held_until": None,
        "learned_good": 0,
        "learned_spam": 0,
        "learned_words": 0,
    }


def test_what_was_refused_and_learned_is_shown_and_can_be_forgotten(runner: FlaskCliRunner) -> None:
    submission.count_refusal("rate")
    runner.invoke(args=["comments", "spam", factories.sign("Lanterns for sale")])
    runner.invoke(args=["comments", "approve", factories.sign("Herring")])
    shown = out(runner, "spam", "show")
    assert "Too many comments from one network" in shown
    assert (
        "from 1 comment of spam and 1 other comment. It holds comments once it knows 30 of each kind."
        in shown
    )
    assert json.loads(out(runner, "status", "--json"))["refused_comments_in_30_days"] == {"rate": 1}
    assert "1 rate" in out(runner, "status")
    assert out(runner, "spam", "forget").startswith("Forgot ")
    assert "nothing yet" in out(runner, "spam", "show")


def test_a_flood_can_be_seen_and_ended(runner: FlaskCliRunner) -> None:
    with writing() as session:
        for _ in range(2):
            comment_facts.pass_one(session.connection(), factories.settings().secret_key, clock.now(), 1)
    assert "A flood came, so all comments are held until 20" in out(runner, "spam", "show")
    assert json.loads(out(runner, "status", "--json"))["held_by_a_flood_until"]
    assert out(runner, "spam", "end-flood") == "New comments are published again.\n"
    assert json.loads(out(runner, "spam", "show", "--json"))["held_until"] is None


@pytest.mark.parametrize("status", ["published", "held", "spam"])
def test_a_comment_is_shown_with_every_reason(runner: FlaskCliRunner, status: str) -> None:
    comment_id = factories.sign("Hello\nthere", verdict=Classification(status, REASONS))
    shown = out(runner, "comments", "show", comment_id[:30])
    assert all(line in shown.splitlines() for line in (*REASONS, "Hello", "there"))
    document = json.loads(out(runner, "comments", "show", comment_id, "--json"))
    assert (document["reasons"], document["status"]) == (list(REASONS), status)
    [listed] = json.loads(out(runner, "comments", "list", "--json"))
    assert listed["reasons"] == list(REASONS)
