"""deliveries backfill: it says how many, asks, and sends."""

import sys
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from guestbook.cli import deliveries, output
from guestbook.comments import backfill as backfilling
from guestbook.comments.backfill import BackfillRange
from guestbook.lib import clock
from guestbook.outbound import webhooks
from guestbook.storage import database
from guestbook.storage.models import Comment
from tests.cli.conftest import Shell
from tests.support import factories

BOTH = "comment.created comment.published"


class Terminal:
    """Python's `sys`, but for a standard input that says whether it is a terminal."""

    def __init__(self, isatty: Callable[[], bool]) -> None:
        self.stdin = SimpleNamespace(isatty=isatty)

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)


def test_it_says_how_many_and_asks_on_a_terminal_alone(shell: Shell) -> None:
    factories.sign()
    hook = factories.webhook(events=BOTH, name="Index")
    result = shell.result("deliveries", "backfill", hook[:30], "--since", "1d")
    counted = "The webhook has not had 2 events about 1 comment: 1 comment.created, 1 comment.published.\n"
    assert (result.exit_code, result.stdout) == (1, counted)
    assert result.stderr == "Error: Nothing was sent. Add --yes to send them without a question.\n"
    assert factories.deliveries() == []
    assert shell("deliveries", "backfill", "Index", "--since", "1d", "--dry-run") == counted
    assert factories.deliveries() == []
    said = shell("deliveries", "backfill", "Index", "--since", "1d", "--yes")
    assert said == f"{counted}Made 2 deliveries. Sending begins with the next pass.\n"
    assert [row.event for row in factories.deliveries()] == BOTH.split()
    assert shell("deliveries", "backfill", "Index", "--since", "1d", "--yes") == (
        "There is nothing to send.\nLeft out, because it has deliveries of them: 2 events.\n"
    )


@pytest.mark.parametrize(("answer", "code", "count"), [("n", 1, 0), ("y", 0, 1)])
def test_the_answer_counts(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, count: int
) -> None:
    factories.sign()
    factories.webhook(name="Index")
    monkeypatch.setattr(output, "sys", Terminal(lambda: True))
    given = ["deliveries", "backfill", "Index", "--since", "1d"]
    result = shell.runner.invoke(args=given, input=f"{answer}\n")
    assert "Send 1 event to Index? [y/N]" in result.output
    assert (result.exit_code, len(factories.deliveries())) == (code, count)


def test_a_webhook_that_is_deleted_before_the_answer_gets_a_sentence(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.sign()
    hook = factories.webhook(name="Index")

    def is_terminal() -> bool:
        webhooks.delete(database.db.engine, hook)
        return True

    monkeypatch.setattr(output, "sys", Terminal(is_terminal))
    result = shell.runner.invoke(args=["deliveries", "backfill", "Index", "--since", "1d"], input="y\n")
    assert result.exit_code == 1
    assert result.stderr.endswith("Error: The webhook was deleted meanwhile.\n")


def test_as_json_it_names_the_numbers(shell: Shell) -> None:
    factories.sign()
    hook = factories.webhook(events=BOTH, disabled_at=clock.now(), disabled_reason="by_hand")
    given = ("deliveries", "backfill", hook, "--since", "2020-01-01")
    found = shell.json(*given, "--dry-run")
    assert found == {
        "webhook_id": hook,
        "since": "2020-01-01T00:00:00.000Z",
        "comments": 1,
        "events": {"comment.created": 1, "comment.published": 1},
        "there_already": 0,
        "maybe_pruned": 0,
        "more": False,
        "created": 0,
    }
    assert "Add --yes" in shell.refused(*given, "--json")
    assert shell.json(*given, "--yes") == found | {"created": 2}


def test_a_question_counts_to_a_limit_and_a_dry_run_all(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfilling, "READ_TOGETHER", 1)
    monkeypatch.setattr(deliveries, "COUNT_LIMIT", 1)
    monkeypatch.setattr(deliveries, "SOME", BackfillRange(deliveries=2))
    for _ in range(3):
        factories.sign()
    factories.webhook(name="Index")
    given = ("deliveries", "backfill", "Index", "--since", "1d")
    assert shell(*given, "--dry-run").startswith("The webhook has not had 3 events about 3 comments")
    result = shell.result(*given)
    assert result.stdout == "There are more than 1 events that the webhook has not had.\n"
    assert shell.json(*given, "--yes")["more"] is True
    assert len(factories.deliveries()) == 3


def test_it_says_where_they_wait_and_what_is_left_out(shell: Shell) -> None:
    comment_id = factories.sign()
    factories.webhook(name="Off", disabled_at=clock.now(), disabled_reason="by_hand")
    factories.webhook("pull:", name="Pulled")
    factories.webhook(name="Old", created_at=clock.now() - timedelta(days=100))
    said = shell("deliveries", "backfill", "Off", "--since", "1d", "--yes")
    assert said.endswith("\nMade 1 delivery. Sending begins when the webhook is enabled.\n")
    assert "A listener fetches what waits." in shell(
        "deliveries", "backfill", "Pulled", "--since", "1d", "--yes"
    )
    with database.writing() as session:
        comment = session.get_one(Comment, comment_id)
        comment.created_at = comment.announced_at = clock.now() - timedelta(days=50)
    said = shell("deliveries", "backfill", "Old", "--since", "90d")
    assert said == (
        "There is nothing to send.\n"
        "Left out, because their deliveries to it may have been pruned: 1 event.\n"
        "--pruned-too sends them as well.\n"
    )


def test_wrong_words_are_refused(shell: Shell) -> None:
    factories.webhook(name="Pings", events="ping")
    assert "Missing option '--since'" in shell.refused("deliveries", "backfill", "Pings", code=2)
    assert "is no time such as" in shell.refused("deliveries", "backfill", "Pings", "--since", "soon", code=2)
    assert "No webhook has the id" in shell.refused("deliveries", "backfill", "Nobody", "--since", "1d")
    said = shell.refused("deliveries", "backfill", "Pings", "--since", "1d")
    assert said.startswith("Error: This webhook gets ping. Past events are comment.created, ")
