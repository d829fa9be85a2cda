"""cron, deliver, prune: silent when all is well, one line for what their owner must know."""

from datetime import timedelta

import pytest

from guestbook.lib import clock
from tests.cli.conftest import Process, Shell
from tests.support import factories
from tests.support.receiver import Answer, Receiver


@pytest.mark.parametrize("command", ["cron", "deliver"])
def test_success_an_empty_outbox_and_a_retry_print_nothing(
    shell: Shell, receiver: Receiver, command: str
) -> None:
    assert shell(command) == ""
    factories.webhook(receiver.url("/hook"))
    receiver.answer("/hook", Answer(500), Answer(200))
    for _ in range(2):
        factories.sign()
        assert shell(command) == ""
    assert [row.status for row in factories.deliveries()] == ["new", "processed"]


def test_verbose_tells_what_happens_to_each(shell: Shell, receiver: Receiver) -> None:
    factories.webhook(receiver.url("/hook"), name="Chat\x1b[31m")
    receiver.answer("/hook", Answer(200), Answer(500))
    factories.sign()
    said = shell("cron", "-v")
    assert f"{factories.one().id} comment.created to Chat [31m: processed (" in said
    assert said.endswith("Processed 1, to be retried 0, given up 0.\n")
    factories.sign()
    assert "will be retried at 20" in shell("cron", "--verbose")


def test_what_was_given_up_is_told_in_one_line_a_webhook_without_secrets(
    shell: Shell, receiver: Receiver
) -> None:
    hook = factories.webhook(receiver.url("/hook?token=hunter2"), name="Chat", headers={"X-Token": "hunter2"})
    receiver.answer("/hook?token=hunter2", Answer(400, headers={"webhook-delivery": "abort-message"}))
    for _ in range(3):
        factories.sign()
    result = shell.result("cron")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == (
        "guestbook: 3 deliveries were given up for webhook Chat. "
        f"See: flask --app guestbook deliveries list --status failed --webhook {hook}\n"
    )


def test_a_webhook_that_was_disabled_is_told_in_one_line(shell: Shell, receiver: Receiver) -> None:
    factories.webhook(receiver.url("/hook"), name="Chat")
    receiver.answer("/hook", Answer(410))
    factories.sign()
    result = shell.result("cron")
    assert result.stderr == (
        "guestbook: webhook Chat was disabled: its receiver is gone, or asked us to stop.\n"
    )


def test_deliver_sends_and_cleans_nothing_up(shell: Shell, receiver: Receiver) -> None:
    hook = factories.webhook(receiver.url("/hook"))
    factories.delivery(hook, status="processed", finished_at=clock.now() - timedelta(days=99))
    factories.sign()
    for _ in range(2):
        shell("deliver")
    assert [row.status for row in factories.deliveries()] == ["processed", "processed"]


def test_prune_prints_how_much_it_removed_only_when_asked(shell: Shell) -> None:
    hook = factories.webhook()
    for _ in range(2):
        factories.delivery(hook, status="processed", finished_at=clock.now() - timedelta(days=99))
        assert shell("prune") == ""
        assert factories.deliveries() == []
    factories.delivery(hook, status="failed", finished_at=clock.now() - timedelta(days=99))
    assert shell("prune", "-v") == "Removed 1 row.\n"
    assert shell("prune", "-v") == "Removed 0 rows.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("cron", "--max-seconds", "0"),
        ("cron", "--max-seconds", "soon"),
        ("cron", "--max-seconds", "nan"),
        ("deliver", "--max-seconds", "inf"),
        ("cron", "--concurrency", "0"),
        ("deliver", "--concurrency", "257"),
        ("cron", "now"),
        ("prune", "--all"),
    ],
)
def test_what_is_no_option_is_a_usage_error(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert "Usage: " in shell.refused(*arguments, code=2)


@pytest.mark.usefixtures("app")
def test_it_works_as_a_process_too(process: Process, receiver: Receiver) -> None:
    factories.webhook(receiver.url("/hook"))
    factories.sign("Grüße 🎈")
    assert process("cron") == (0, "", "")
    [request] = receiver.requests
    assert request.json["data"]["comment"]["message"] == "Grüße 🎈"
    assert factories.one().status == "processed"
