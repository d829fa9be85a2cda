"""deliveries: list, show, redeliver, backfill; and trigger."""

from datetime import timedelta
from functools import partial

import pytest

from guestbook.comments import comment_actions
from guestbook.lib import clock
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queries import statistics
from guestbook.storage import database
from guestbook.storage.models import Comment
from tests.cli.conftest import Shell, Terminal
from tests.support import factories
from tests.support.receiver import Receiver

HOUR = timedelta(hours=1)
COLUMNS = {
    "id", "event_id", "webhook_id", "comment_id", "sequence", "event", "payload", "status", "attempts",
    "claims", "schedule_start", "due_at", "claimed_by", "created_at", "finished_at", "last_status_code",
    "last_error", "erased_at", "version",
}  # fmt: skip


@pytest.fixture
def hook(shell: Shell) -> str:  # noqa: ARG001
    return factories.webhook(name="Chat")


def test_the_list_is_newest_first_with_the_last_answer(shell: Shell, hook: str) -> None:
    why = "The receiver answered 500."
    old = factories.delivery(hook, status="failed", last_error=why, last_status_code=500)
    new = factories.delivery(hook, status="processed", last_status_code=202)
    lines = shell("deliveries", "list").splitlines()
    assert " ".join(lines[0].split()) == "ID EVENT WEBHOOK STATUS ATTEMPTS DUE ANSWER"
    assert lines[1].split() == [new, "comment.created", "Chat", "delivered", "0", "-", "202"]
    assert (lines[2].startswith(old), lines[2].endswith(why)) == (True, True)
    assert shell.ids("deliveries", "list") == [new, old]
    assert set(shell.json("deliveries", "list")[0]) == COLUMNS - {"payload"}


def test_the_list_has_the_filters_of_the_page(shell: Shell, hook: str) -> None:
    old = clock.now() - timedelta(days=3)
    ping = factories.delivery(hook, event="ping", status="failed", last_error="The receiver is 100% off.")
    other = factories.delivery(hook, created_at=old, payload='{"message": "Gr\u00fc\u00dfe"}')

    ids = partial(shell.ids, "deliveries", "list")
    assert ids("--event", "ping") == ids("--since", "2d") == ids("--text", "100%") == [ping]
    assert ids("--until", "2d") == ids("--text", "Gr\u00fc\u00dfe", "--webhook", hook) == [other]
    assert ids("--text", "x\0y") == ids("--event", "ping", "--until", "2d") == []


def test_show_tells_the_payload_and_every_attempt(shell: Shell, hook: str) -> None:
    key = factories.delivery(hook, attempts=2, claims=2)
    factories.attempt(key)
    factories.attempt(key, number=2, triggered_by="redelivery", status_code=None, error="Lost.")
    said = shell("deliveries", "show", key[:31])
    for part in ("\nAttempt 1 (schedule)\n", "\nAttempt 2 (redelivery)\n", "oops", "\nPayload\n{"):
        assert part in said
    for part in ("\nResponse headers\nServer  s\n", "\nRequest headers\nwebhook-id  x\n"):
        assert said.count(part) == 2
    document = shell.json("deliveries", "show", key)
    assert set(document) == COLUMNS | {"attempts_made"}
    first, second = document["attempts_made"]
    assert (first["number"], second["number"]) == (1, 2)
    assert (first["response_headers"], first["request_headers"]) == ({"Server": "s"}, {"webhook-id": "x"})


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


@pytest.mark.parametrize(("answer", "code", "requests"), [("n", 1, 0), ("y", 0, 2)])
def test_a_receiver_that_lost_its_data_gets_it_again_in_order(
    shell: Shell,  # noqa: ARG001  it makes the book
    terminal: Terminal,
    receiver: Receiver,
    answer: str,
    code: int,
    requests: int,
) -> None:
    factories.webhook(receiver.url(), name="Index", events=BOTH)
    factories.sign("Stays")
    gone = factories.sign("Goes")
    factories.run_pass()
    sent = [request.event_id for request in receiver.requests if b"Stays" in request.body]
    factories.change(gone, comment_actions.delete)
    receiver.requests.clear()
    done, said = terminal(
        "deliveries", "redeliver", "--all", "--webhook", "Index", "--since", "1d", typed=f"{answer}\n"
    )
    assert "Left alone, because the comment was deleted" in said
    assert ("Redeliver 2 deliveries? [y/N]" in said, done) == (True, code)
    factories.run_pass()
    assert [request.event_id for request in receiver.requests] == sent[:requests]


SECOND_TIME = "1 e-mail was sent already, and goes out a second time."


@pytest.mark.parametrize(("answer", "code", "status"), [("n", 1, "processed"), ("y", 0, "new")])
def test_an_e_mail_goes_out_a_second_time_only_after_a_question(
    shell: Shell, terminal: Terminal, answer: str, code: int, status: str
) -> None:
    mail = factories.webhook("mailto:owner@example.org", format="email")
    sent, failed = factories.delivery(mail, status="processed"), factories.delivery(mail, status="failed")
    assert SECOND_TIME in shell("deliveries", "redeliver", sent, "--dry-run")
    done, said = terminal("deliveries", "redeliver", sent, typed=f"{answer}\n")
    assert f"{SECOND_TIME} Redeliver? [y/N]" in said
    assert (done, shell.json("deliveries", "show", sent)["status"]) == (code, status)
    done, said = terminal("deliveries", "redeliver", failed)
    assert (done, "e-mail" in said) == (0, False)


def test_a_script_is_told_of_the_second_e_mail_and_not_asked(shell: Shell) -> None:
    sent = factories.delivery(
        factories.webhook("mailto:owner@example.org", format="email"), status="processed"
    )
    assert shell("deliveries", "redeliver", sent).splitlines() == [
        "Will redeliver 1 delivery with the next pass.",
        SECOND_TIME,
    ]


BOTH = "comment.created comment.published"


def test_it_says_how_many_and_asks_on_a_terminal_alone(shell: Shell) -> None:
    factories.sign()
    hook = factories.webhook(events=BOTH, name="Index")
    result = shell.result("deliveries", "backfill", hook[:30], "--since", "1d")
    counted = "The webhook has not had 2 events about 1 comment: 1 comment.created, 1 comment.published.\n"
    assert (result.exit_code, result.stdout) == (1, counted)
    assert result.stderr == "Error: Nothing was sent. Add --yes to send them without a question.\n"
    assert factories.deliveries() == []
    given = ("deliveries", "backfill", "Index", "--since", "1d")
    assert shell(*given, "--dry-run") == counted
    assert factories.deliveries() == []
    said = shell(*given, "--yes")
    assert said == f"{counted}Made 2 deliveries. Sending begins with the next pass.\n"
    assert [row.event for row in factories.deliveries()] == BOTH.split()
    left = "Left out, because it has deliveries of them: 2 events.\n"
    assert shell(*given, "--yes") == f"There is nothing to send.\n{left}"


@pytest.mark.parametrize(("answer", "code", "count"), [("n", 1, 0), ("y", 0, 1)])
def test_the_answer_counts(shell: Shell, terminal: Terminal, answer: str, code: int, count: int) -> None:
    factories.sign()
    factories.webhook(name="Index")
    done, said = terminal("deliveries", "backfill", "Index", "--since", "1d", typed=f"{answer}\n")
    assert "Send 1 event to Index? [y/N]" in said
    assert (done, len(shell.json("deliveries", "list"))) == (code, count)


def test_as_json_it_names_the_numbers(shell: Shell) -> None:
    factories.sign()
    hook = factories.webhook(events=BOTH, disabled_at=clock.now(), disabled_reason="by_hand")
    given = ("deliveries", "backfill", hook, "--since", "2020-01-01")
    found = shell.json(*given, "--dry-run")
    events = {"comment.created": 1, "comment.published": 1}
    about = {"webhook_id": hook, "since": "2020-01-01T00:00:00.000Z", "comments": 1, "events": events}
    assert found == about | {"there_already": 0, "maybe_pruned": 0, "more": False, "created": 0}
    assert "Add --yes" in shell.refused(*given, "--json")
    assert shell.json(*given, "--yes") == found | {"created": 2}


def test_only_a_dry_run_counts_beyond_a_limit(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "COUNT_LIMIT", 1)
    for _ in range(3):
        factories.sign()
    given = ("deliveries", "backfill", factories.webhook(), "--since", "1d")
    assert shell(*given, "--dry-run").startswith("The webhook has not had 3 events about 3 comments")
    assert shell.result(*given).stdout == "There are more than 1 events that the webhook has not had.\n"


def test_it_says_where_they_wait_and_what_is_left_out(shell: Shell) -> None:
    comment_id = factories.sign()
    factories.webhook(name="Off", disabled_at=clock.now(), disabled_reason="by_hand")
    factories.webhook("pull:", name="Pulled")
    factories.webhook(name="Old", created_at=clock.now() - timedelta(days=100))
    said = shell("deliveries", "backfill", "Off", "--since", "1d", "--yes")
    assert said.endswith("\nMade 1 delivery. Sending begins when the webhook is enabled.\n")
    said = shell("deliveries", "backfill", "Pulled", "--since", "1d", "--yes")
    assert "A listener fetches what waits." in said
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
    for words, code, sentence in (
        (("Pings",), 2, "Missing option '--since'"),
        (("Pings", "--since", "soon"), 2, "is no time such as"),
        (("Nobody", "--since", "1d"), 1, "No webhook has the id"),
        (("Pings", "--since", "1d"), 1, "Error: This webhook gets ping. Past events are comment.created, "),
    ):
        assert sentence in shell.refused("deliveries", "backfill", *words, code=code)


@pytest.mark.parametrize("event", EVENTS)
def test_an_example_of_each_event_goes_where_wanted(shell: Shell, receiver: Receiver, event: str) -> None:
    other = "ping" if event != "ping" else "comment.created"
    for place, wanted in {"/wants": event, "/else": other}.items():
        factories.webhook(receiver.url(place), events=wanted)
    assert shell("trigger", event) == f"1 delivery of {event} will be sent with the next pass.\n"
    factories.run_pass()
    [request] = receiver.requests
    assert (request.path, request.json["type"]) == ("/wants", event)
    assert request.json["data"]["guestbook"]["url"] == factories.settings().base_url


def test_one_webhook_gets_it_whatever_it_wants(shell: Shell) -> None:
    hook = factories.webhook(events="ping")
    factories.webhook()
    shell("trigger", "comment.published", "--webhook", hook[:30])
    assert (factories.one().webhook_id, factories.one().event) == (hook, "comment.published")


def test_a_listener_fetches_its_example(shell: Shell) -> None:
    factories.webhook("pull:", events="ping")
    fetched = "1 delivery of ping will be fetched by a listener.\n"
    assert shell("trigger", "ping") == fetched
    factories.webhook(events="ping")
    assert shell("trigger", "ping") == "1 delivery of ping will be sent with the next pass.\n" + fetched


def test_what_nobody_wants_is_refused(shell: Shell) -> None:
    factories.webhook(events="ping")
    said = shell.refused("trigger", "comment.deleted")
    assert "No webhook wants comment.deleted. Name one with --webhook." in said
    assert "No webhook has the id" in shell.refused("trigger", "ping", "--webhook", "0" * 32)
    said = shell.refused("trigger", "comment.nope", code=2)
    assert "trigger [OPTIONS] EVENT" in said
    assert all(event in said for event in EVENTS)
    assert factories.deliveries() == []
