"""A pass records the deliveries, the attempts and the webhooks' health."""

import logging
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from standardwebhooks import Webhook as Verifier, WebhookVerificationError

from guestbook.lib import clock
from guestbook.outbound import attempt_recorder, delivery_tasks
from guestbook.outbound.attempt_recorder import Tally
from guestbook.outbound.delivery_tasks import Outcome
from guestbook.outbound.response_policy import OK, RETRY, Decision
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, Webhook
from guestbook.storage.models.delivery import TIME_BOUNDS, AttemptCount
from tests.support import factories
from tests.support.book import Book
from tests.support.receiver import Answer, Receiver

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def hook(app: Flask, receiver: Receiver) -> str:  # noqa: ARG001
    return factories.webhook(receiver.url("/hook"))


def change(row_id: str, **values: Any) -> None:
    with database.writing() as session:
        row = session.get_one(Webhook, row_id)
        for name, value in values.items():
            setattr(row, name, value)


def answered(receiver: Receiver, *answers: Answer) -> Tally:
    """Sign the book, let the receiver answer so, and run a pass."""
    receiver.answer("/hook", *answers)
    factories.sign()
    return factories.run_pass()


@pytest.mark.usefixtures("hook")
def test_a_success_is_final_and_written_down_with_its_answer(receiver: Receiver) -> None:
    answered(receiver, Answer(202, body="danke ✓".encode(), headers={"X-Who": "me"}))
    row = factories.one()
    assert (row.status, row.attempts, row.claims) == ("processed", 1, 1)
    assert (row.last_status_code, row.last_error) == (202, None)
    assert row.finished_at is not None
    [attempt] = factories.attempts(row.id)
    assert (attempt.number, attempt.triggered_by) == (1, "schedule")
    assert (attempt.status_code, attempt.error) == (202, None)
    assert attempt.response_body == "danke ✓"
    assert attempt.response_headers is not None
    assert attempt.response_headers["X-Who"] == "me"
    assert attempt.request_headers["webhook-id"] == row.event_id
    assert row.created_at <= attempt.started_at <= row.finished_at


@pytest.mark.usefixtures("each_app")
def test_an_answer_is_stored_as_it_came_whatever_its_characters(receiver: Receiver) -> None:
    odd = '{"a": "\\\\u0041", b}, NULL \\ \\N \'%s\' :id\n\t\r\x01 ✓ \U0001f600 \u2028'
    factories.webhook(receiver.url("/hook"))
    answered(receiver, Answer(500, body=odd.encode()), Answer(200, body=b""))
    [attempt] = factories.attempts(factories.one().id)
    assert attempt.response_body == odd
    assert (attempt.status_code, attempt.error) == (500, "The receiver answered 500.")


def test_after_a_rotation_both_secrets_verify_until_the_old_one_ends(hook: str, receiver: Receiver) -> None:
    old = factories.the(Webhook, hook).secret
    factories.written(lambda session: session.get_one(Webhook, hook).rotate_secret(clock.now()))
    new = factories.the(Webhook, hook).secret
    answered(receiver, Answer())
    change(hook, previous_secret_expires_at=clock.now() - SECOND)
    answered(receiver, Answer())
    during, after = receiver.requests
    for secret in (old, new):
        Verifier(secret).verify(during.body, during.headers)
    Verifier(new).verify(after.body, after.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(old).verify(after.body, after.headers)
    assert " " not in after.headers["webhook-signature"]


def test_a_failure_waits_for_the_next_step_of_the_schedule(hook: str, receiver: Receiver) -> None:
    answered(receiver, Answer(500, body=b"oops"))
    row = factories.one()
    assert (row.status, row.attempts, row.last_status_code) == ("new", 1, 500)
    assert row.last_error == "The receiver answered 500."
    assert row.due_at is not None
    assert 3.5 * SECOND <= row.due_at - clock.now() <= 6 * SECOND
    webhook = factories.the(Webhook, hook)
    assert (webhook.failures_in_a_row, webhook.unreachable_in_a_row) == (1, 0)
    assert webhook.failing_since is not None


def test_a_used_up_schedule_ends_as_failed_and_is_counted(app: Flask, hook: str, receiver: Receiver) -> None:
    app.config["GUESTBOOK"] = replace(factories.settings(), retry_schedule=(0.0,))
    tally = answered(receiver, Answer(500))
    assert factories.one().status == "failed"
    assert (tally.failed, dict(tally.given_up)) == (1, {("one", hook): 1})


@pytest.mark.parametrize("answer", [Answer(410), Answer(400, headers={"Webhook-Delivery": "disable"})])
def test_a_receiver_that_is_gone_disables_its_webhook_and_the_delivery_waits(
    hook: str, receiver: Receiver, answer: Answer
) -> None:
    tally = answered(receiver, answer)
    webhook = factories.the(Webhook, hook)
    assert webhook.disabled_reason == "gone"
    assert factories.one().status == "new"
    assert tally.disabled == ["webhook one was disabled: its receiver is gone, or asked us to stop"]
    factories.sign()
    factories.all_due()
    factories.run_pass()
    assert len(receiver.requests) == 1


def test_gone_at_the_end_of_the_schedule_waits_too(app: Flask, hook: str, receiver: Receiver) -> None:
    app.config["GUESTBOOK"] = replace(factories.settings(), retry_schedule=(0.0,))
    answered(receiver, Answer(410), Answer())
    assert factories.one().status == "new"
    factories.written(lambda session: session.get_one(Webhook, hook).enable())
    factories.run_pass()
    assert factories.one().status == "processed"


def test_abort_message_fails_that_delivery_at_once_and_only_that(hook: str, receiver: Receiver) -> None:
    answered(receiver, Answer(400, headers={"webhook-delivery": "abort-message"}))
    assert factories.one().status == "failed"
    assert "and asked for no further attempt" in str(factories.one().last_error)
    assert factories.the(Webhook, hook).disabled_at is None
    answered(receiver, Answer())
    assert [row.status for row in factories.deliveries()] == ["failed", "processed"]


def test_abort_message_with_a_success_is_processed_with_a_note(hook: str, receiver: Receiver) -> None:
    answered(receiver, Answer(202, headers={"webhook-delivery": "abort-message"}))
    row = factories.one()
    assert (row.status, row.due_at, row.attempts, row.last_status_code) == ("processed", None, 1, 202)
    note = "Delivered; the receiver asked for no further attempt (webhook-delivery: abort-message)."
    assert row.last_error == note
    assert factories.the(Webhook, hook).failures_in_a_row == 0


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize(
    ("retry_after", "low", "high"),
    [
        ("7200", 7200, 7200),
        ("600.5", 600.5, 600.5),
        ("in 90 minutes", 5400 - 5, 5400),
        ("99999999999", 86400, 86400),
    ],
)
def test_retry_after_is_a_floor_for_the_delivery_and_a_pause_for_the_webhook(
    hook: str, receiver: Receiver, status: int, retry_after: str, low: float, high: float
) -> None:
    if retry_after == "in 90 minutes":
        retry_after = format_datetime(clock.now() + 90 * 60 * SECOND, usegmt=True)
    answered(receiver, Answer(status, headers={"Retry-After": retry_after}))
    paused_until = factories.the(Webhook, hook).paused_until
    assert paused_until is not None
    assert (low - 10) * SECOND <= paused_until - clock.now() <= high * SECOND
    due_at = factories.one().due_at
    assert due_at is not None
    assert abs(due_at - paused_until) <= SECOND
    factories.sign()
    factories.run_pass()
    assert len(receiver.requests) == 1


def test_the_others_hear_once_that_a_webhook_fails_and_recovers(hook: str, receiver: Receiver) -> None:
    events = "webhook.failing webhook.recovered"
    factories.webhook(receiver.url("/other"), name="other", events=events)
    factories.webhook(receiver.url("/third"), name="third", events="webhook.disabled")
    receiver.answer("/hook", Answer(500), Answer(500), Answer(200))
    receiver.answer("/other", Answer(500), Answer(200))  # its own failure is of such an event: nobody hears
    change(hook, events=f"comment.created {events}")
    factories.sign()
    for _ in range(5):
        factories.run_pass()
        factories.all_due()
    told = [(row.event, row.status) for row in factories.deliveries() if row.event != "comment.created"]
    assert told == [("webhook.failing", "processed"), ("webhook.recovered", "processed")]
    bodies = [request.json["data"]["webhook"] for request in receiver.at("/other")]
    failing = {"id": hook, "name": "one", "reason": "The receiver answered 500."}
    assert bodies == [failing, failing, {**failing, "reason": None}]
    assert receiver.at("/third") == []


def test_five_days_and_ten_failures_disable_a_webhook_and_the_others_hear_of_it(
    hook: str, receiver: Receiver, book: Book
) -> None:
    book.note_passes()
    wants = factories.webhook(receiver.url("/other"), name="other", events="webhook.disabled")
    factories.webhook(receiver.url("/third"), name="third", events="comment.deleted")
    change(
        hook,
        failures_in_a_row=9,
        failing_since=clock.now() - 5 * DAY,
        events="comment.created webhook.disabled",
    )
    tally = answered(receiver, Answer(500))
    webhook = factories.the(Webhook, hook)
    assert (webhook.disabled_reason, webhook.failures_in_a_row) == ("failing", 10)
    assert tally.disabled == ["webhook one was disabled: it has had no success for five days"]
    announced = [row for row in factories.deliveries() if row.event == "webhook.disabled"]
    assert [row.webhook_id for row in announced] == [wants]
    [request] = receiver.at("/other")
    assert request.json["data"]["webhook"] == {"id": hook, "name": "one", "reason": "failing"}
    assert (receiver.at("/third"), len(receiver.at("/hook"))) == ([], 1)


def test_of_two_outcomes_of_a_delivery_only_that_under_its_lease_is_recorded(hook: str) -> None:
    """A pass has both when the first lease ended while the request was under way."""
    row_id, now = factories.delivery(hook, claims=2, claimed_by="pass.2"), clock.now()
    receiver = delivery_tasks.of_webhook(factories.the(Webhook, hook), {}, now)
    row = factories.one()
    late, mine = (
        Outcome(
            delivery_tasks.delivery_task(row, token, 0.0, receiver),
            now,
            status_code=status,
            decision=decision,
        )  # type: ignore[arg-type]  # it has the columns
        for token, status, decision in (("pass.1", 500, RETRY), ("pass.2", 200, OK))
    )
    for both in ([late, mine], [mine, late]):
        with database.write(db.engine) as connection, connection.begin_nested() as trial:
            tally = attempt_recorder.record(connection, both, factories.settings())
            assert (tally.processed, tally.retried, tally.late) == (1, 0, 1)
            trial.rollback()
    with database.write(db.engine) as connection:
        attempt_recorder.record(connection, [late, mine], factories.settings())
    assert (factories.one().status, factories.one().attempts) == ("processed", 1)
    assert [attempt.status_code for attempt in factories.attempts(row_id)] == [200]


def outcomes(hook: str, *ends: tuple[int, Decision, int]) -> list[Outcome]:
    """Return outcomes of one delivery each, that were sent under the lease of this pass."""
    now = clock.now()
    receiver = delivery_tasks.of_webhook(factories.the(Webhook, hook), {}, now)
    token = {"claimed_by": "pass.1", "claims": 3, "attempts": 2, "schedule_start": 1}
    rows = [factories.the(Delivery, factories.delivery(hook, **token)) for _ in ends]
    return [
        Outcome(
            delivery_tasks.delivery_task(row, "pass.1", 0.0, receiver),
            now,
            milliseconds=milliseconds,
            status_code=status,
            decision=decision,
            error=None if decision is OK else "No.",
        )
        for row, (status, decision, milliseconds) in zip(rows, ends, strict=True)
    ]


def test_the_tally_and_the_counts_of_a_webhook_hold_each_outcome(hook: str) -> None:
    steps = replace(factories.settings(), retry_schedule=(0.0, 0.0, 3600.0))
    first = TIME_BOUNDS[0]
    ends = ((200, OK, first), (200, OK, 5), (500, RETRY, 5), (500, RETRY, 9**9), (502, RETRY, 5))
    some = outcomes(hook, *ends)
    with database.write(db.engine) as connection:
        tally = attempt_recorder.record(connection, some, steps)
    assert (tally.processed, tally.retried, tally.late, tally.failed) == (2, 3, 0, 0)
    # They have made two attempts since the schedule began anew after one.
    assert all(
        2800 * SECOND < row.due_at - clock.now() < 4400 * SECOND
        for row in factories.deliveries()
        if row.due_at
    )
    last = outcomes(hook, (500, RETRY, 5), (500, RETRY, 5))
    last[1].host_limit = "few"
    with database.write(db.engine) as connection:
        ended = attempt_recorder.record(connection, last, replace(steps, retry_schedule=(0.0,)))
    assert (ended.failed, ended.host_limit) == (2, "few")
    assert [result for _, result in ended.recorded] == ["given up", "given up"]
    found = factories.read(lambda session: list(session.scalars(select(AttemptCount))))
    counts = {(row.outcome, row.bound): (row.number, row.milliseconds) for row in found}
    expected = {("processed", first): (2, first + 5), ("retried", first): (2, 10), ("retried", 0): (1, 9**9)}
    assert counts == expected | {("failed", first): (2, 10)}
    total, other = Tally(), Tally(late=2, disabled=["x"], local_error="no route", host_limit="few")
    for one in (tally, ended, other, tally, ended):
        total.add(one)
    assert (total.processed, total.retried, total.late, total.failed) == (4, 6, 2, 4)
    assert (total.local_error, total.host_limit, total.disabled) == ("no route", "few", ["x"])


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize("ago", [60, -3600])
def test_what_was_not_sent_is_due_as_before_but_now_if_the_clock_was_set_back(
    hook: str, as_text: bool, ago: int
) -> None:
    [outcome] = outcomes(hook, (200, OK, 5))
    was, now = clock.now() - ago * SECOND, clock.now()
    outcome.task.due_at = clock.to_text(was) if as_text else was
    with database.write(db.engine) as connection:
        attempt_recorder.record(connection, [Outcome(outcome.task)], factories.settings())
    row = factories.one()
    assert (row.status, row.claimed_by, row.attempts) == ("new", None, 2)
    assert row.due_at is not None
    assert (now <= row.due_at <= clock.now()) if as_text and ago < 0 else row.due_at == was


def test_each_outcome_is_logged_with_its_fields(hook: str, caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("a pass")
    good, bad = outcomes(hook, (200, OK, 5), (500, RETRY, 7))
    tally = Tally(recorded=[(good, "processed"), (bad, "given up")])
    with caplog.at_level(logging.WARNING, "a pass"):
        attempt_recorder.log_outcomes(log, tally)
    assert caplog.records == []
    with caplog.at_level(logging.INFO, "a pass"):
        attempt_recorder.log_outcomes(log, tally)
    assert caplog.messages == [
        f"{good.task.id} comment.created to one: processed (5 ms).",
        f"{bad.task.id} comment.created to one: given up (7 ms). No.",
    ]
    fields = ("delivery_id", "webhook_id", "event", "attempt", "status_code", "milliseconds")
    assert [tuple(vars(record)[name] for name in fields) for record in caplog.records] == [
        (good.task.id, hook, "comment.created", 3, 200, 5),
        (bad.task.id, hook, "comment.created", 3, 500, 7),
    ]


@pytest.mark.usefixtures("each_app")
def test_the_most_hostile_answer_is_stored_in_every_database(receiver: Receiver) -> None:
    hook = factories.webhook(receiver.url("/hook"))
    headers = {f"ä{number}\x01": "\x1b" * 1900 for number in range(8)}  # six times as long as JSON
    answered(receiver, Answer(500, headers=headers, body=b'\\\x1b"\xc2\x9b' * 9000))
    row = factories.one()
    assert (row.status, row.attempts) == ("new", 1)
    [attempt] = factories.attempts()
    assert attempt.response_headers
    assert len((attempt.response_body or "").encode()) <= 16 * 1024
    assert factories.the(Webhook, hook).failures_in_a_row == 1
