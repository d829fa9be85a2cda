"""deliveries: list, show, redeliver."""

import json
from datetime import timedelta

import pytest

from guestbook.lib import clock
from guestbook.queue import redelivery
from guestbook.storage.database import db
from guestbook.storage.models import Delivery
from tests.cli.conftest import Shell
from tests.support import factories

HOUR = timedelta(hours=1)
COLUMNS = {
    "id", "event_id", "webhook_id", "comment_id", "sequence", "event", "payload", "status", "attempts",
    "claims", "schedule_start", "due_at", "claimed_by", "created_at", "finished_at", "last_status_code",
    "last_error", "erased_at",
}  # fmt: skip


@pytest.fixture
def hook(shell: Shell) -> str:  # noqa: ARG001
    return factories.webhook(name="Chat")


def test_an_empty_list_says_so(shell: Shell) -> None:
    assert shell("deliveries", "list") == "No deliveries yet.\n"
    assert shell.json("deliveries", "list") == []


@pytest.mark.parametrize("option", ["--text=x", "--status=failed", "--since=1h"])
def test_an_empty_list_of_what_was_sought_does_not_say_that_there_is_nothing(
    shell: Shell, option: str
) -> None:
    assert shell("deliveries", "list", option) == "No such delivery.\n"


def test_the_list_is_newest_first_with_the_last_answer(shell: Shell, hook: str) -> None:
    old = factories.delivery(
        hook, status="failed", last_error="The receiver answered 500.", last_status_code=500
    )
    new = factories.delivery(hook, status="processed", last_status_code=202)
    lines = shell("deliveries", "list").splitlines()
    assert lines[0].split() == ["ID", "EVENT", "WEBHOOK", "STATUS", "ATTEMPTS", "DUE", "LAST", "ANSWER"]
    assert lines[1].split() == [new, "comment.created", "Chat", "processed", "0", "-", "202"]
    assert lines[2].startswith(old)
    assert lines[2].endswith("The receiver answered 500.")
    assert [row["id"] for row in shell.json("deliveries", "list")] == [new, old]
    assert set(shell.json("deliveries", "list")[0]) == COLUMNS - {"payload"}


def test_the_list_can_be_narrowed(shell: Shell, hook: str) -> None:
    other = factories.webhook()
    mine = [factories.delivery(hook, status=status) for status in ("new", "failed", "processed", "failed")]
    factories.delivery(other, status="failed")

    def ids(*options: str) -> list[str]:
        return [row["id"] for row in shell.json("deliveries", "list", *options)]

    assert ids("--status", "failed", "--webhook", hook) == [mine[3], mine[1]]
    assert ids("--webhook", hook, "--limit", "2") == [mine[3], mine[2]]
    assert len(ids("--status", "failed")) == 3
    assert "No webhook has the id or the name 0123." in shell.refused(
        "deliveries", "list", "--webhook", "0123"
    )
    assert "No webhook has the id or the name ''." in shell.refused("deliveries", "list", "--webhook", "")
    for wrong in (
        *(("--status", "sent"), ("--limit", "0"), ("--limit", "ten"), ("--limit", "10001")),
        *(("--event", "comment"), ("--since", "soon"), ("--until", "soon")),
    ):
        assert "Usage: " in shell.refused("deliveries", "list", *wrong, code=2)


def test_the_list_has_the_filters_of_the_page(shell: Shell, hook: str) -> None:
    old = clock.now() - timedelta(days=3)
    ping = factories.delivery(hook, event="ping", status="failed", last_error="The receiver is 100% off.")
    other = factories.delivery(hook, created_at=old, payload='{"message": "Gr\u00fc\u00dfe"}')

    def ids(*options: str) -> list[str]:
        return [row["id"] for row in shell.json("deliveries", "list", *options)]

    assert ids("--event", "ping") == [ping]
    assert ids("--since", "2d") == [ping]
    assert ids("--until", "2d") == [other]
    assert ids("--text", "100%") == [ping]
    assert ids("--text", "Gr\u00fc\u00dfe", "--webhook", hook) == [other]
    assert ids("--text", "x\0y") == ids("--event", "ping", "--until", "2d") == []


def test_show_tells_the_payload_and_every_attempt(shell: Shell, hook: str) -> None:
    key = factories.delivery(hook, attempts=2, claims=2)
    factories.attempt(key)
    factories.attempt(key, number=2, triggered_by="redelivery", status_code=None, error="Lost.")
    said = shell("deliveries", "show", key[:31])
    assert "\nAttempt 1 (schedule)\n" in said
    assert "\nAttempt 2 (redelivery)\n" in said
    assert "oops" in said
    assert said.count("\nResponse headers\nServer  s\n") == 2
    assert "\nPayload\n{" in said
    document = shell.json("deliveries", "show", key)
    assert set(document) == COLUMNS | {"attempts_made"}
    assert [made["number"] for made in document["attempts_made"]] == [1, 2]
    assert document["attempts_made"][0]["response_headers"] == {"Server": "s"}
    assert document["attempts_made"][0]["request_headers"] == {"webhook-id": "x"}
    assert said.count("\nRequest headers\nwebhook-id  x\n") == 2


HOSTILE = "\x1b]0;title\x07\x9b31mred\x7f\u202eback\r\nline 🎈"


def test_what_a_receiver_answers_is_inert_on_a_terminal(shell: Shell, hook: str) -> None:
    key = factories.delivery(hook, attempts=1, claims=1, last_error=HOSTILE)
    factories.attempt(key, response_body=HOSTILE, response_headers={HOSTILE: HOSTILE}, error=HOSTILE)
    for arguments in (("show", key), ("list",), ("show", key, "--json"), ("list", "--json")):
        said = shell("deliveries", *arguments)
        assert all(letter.isprintable() or letter == "\n" for letter in said)
        assert "🎈" in said
    document = shell.json("deliveries", "show", key)
    assert document["attempts_made"][0]["response_body"] == HOSTILE


def test_redeliver_makes_them_due_again(shell: Shell, hook: str) -> None:
    one, two = factories.delivery(hook, status="failed"), factories.delivery(hook, status="processed")
    assert shell("deliveries", "redeliver", one[:31]) == "Will redeliver 1 delivery with the next pass.\n"
    assert shell("deliveries", "redeliver", one, two, two) == (
        "Will redeliver 2 deliveries with the next pass.\n"
    )
    assert {row.status for row in factories.deliveries()} == {"new"}


def test_redeliver_with_one_id_that_is_none_does_nothing(shell: Shell, hook: str) -> None:
    one = factories.delivery(hook, status="failed")
    assert "No delivery has the id 0000." in shell.refused("deliveries", "redeliver", one, "0000")
    assert factories.one().status == "failed"


def test_redeliver_leaves_alone_what_a_pass_is_sending(shell: Shell, hook: str) -> None:
    one = factories.delivery(hook, claimed_by="a pass", claims=1, due_at=clock.now() + HOUR)
    said = shell("deliveries", "redeliver", one)
    assert said.splitlines() == [
        "Will redeliver 0 deliveries with the next pass.",
        "Left alone, because a pass is sending it now: 1 delivery.",
    ]


def test_redeliver_says_what_a_listener_fetches(shell: Shell, hook: str) -> None:
    pulled, pushed = factories.webhook("pull:"), factories.delivery(hook, status="failed")
    one = factories.delivery(pulled, status="failed")
    leased = factories.delivery(pulled, claimed_by="a listener", claims=1, due_at=clock.now() + HOUR)
    assert shell("deliveries", "redeliver", one, leased).splitlines() == [
        "Will redeliver 1 delivery to a listener.",
        "Left alone, because a listener has it now: 1 delivery.",
    ]
    assert shell("deliveries", "redeliver", one, pushed).splitlines() == [
        "Will redeliver 2 deliveries with the next pass.",
        "Among them, because a listener fetches them: 1 delivery.",
    ]


def test_redeliver_says_when_the_webhook_must_be_enabled_first(shell: Shell) -> None:
    hook = factories.webhook(name="Chat", disabled_at=clock.now(), disabled_reason="gone")
    factories.delivery(hook, status="failed")
    note = "The webhook Chat is disabled: what is for it waits until it is enabled."
    assert note in shell("deliveries", "redeliver", factories.one().id).splitlines()
    factories.delivery(hook, status="failed")
    assert note in shell("deliveries", "redeliver", "--failed").splitlines()


def test_redeliver_failed_takes_those_and_can_be_narrowed(
    shell: Shell, hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redelivery, "REQUEUE_BATCH", 2)
    other, now = factories.webhook(), clock.now()
    for hours in range(5):
        factories.delivery(hook, status="failed", created_at=now - (hours + 0.5) * HOUR)
    factories.delivery(other, status="failed")
    factories.delivery(hook, status="processed")

    def would(*options: str) -> str:
        return shell("deliveries", "redeliver", "--failed", "--dry-run", *options)

    assert would() == "Would redeliver 6 deliveries.\n"
    assert would("--webhook", other) == "Would redeliver 1 delivery.\n"
    assert would("--webhook", hook, "--since", "3h") == "Would redeliver 3 deliveries.\n"
    assert would("--since", clock.to_text(now - HOUR)) == "Would redeliver 2 deliveries.\n"
    assert {row.status for row in factories.deliveries()} == {"failed", "processed"}
    said = shell("deliveries", "redeliver", "--failed", "--webhook", hook)
    assert said == "Will redeliver 5 deliveries with the next pass.\n"
    assert sorted(row.status for row in factories.deliveries()) == ["failed"] + ["new"] * 5 + ["processed"]


def test_a_dry_run_of_ids_changes_nothing(shell: Shell, hook: str) -> None:
    key = factories.delivery(hook, status="failed")
    assert shell("deliveries", "redeliver", key, "--dry-run") == "Would redeliver 1 delivery.\n"
    assert factories.one().status == "failed"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("0123", "--failed"),
        ("0123", "--since", "1h"),
        ("0123", "--webhook", "01"),
        ("--failed", "--since", "yesterday"),
        ("--failed", "--since", "99999999999d"),
        ("--failed", "--since", "-1h"),
        ("--failed", "--since", ""),
    ],
)
def test_redeliver_wants_ids_or_failed(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert "Usage: " in shell.refused("deliveries", "redeliver", *arguments, code=2)


def test_the_json_is_one_document(shell: Shell, hook: str) -> None:
    factories.delivery(hook, payload=json.dumps({"name": "Zoë"}))
    assert json.loads(shell.json("deliveries", "show", factories.one().id)["payload"]) == {"name": "Zoë"}
    assert db.session.get(Delivery, "0") is None
