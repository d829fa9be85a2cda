"""Deliveries that a receiver fetches: leased, committed under their own token, never sent by a pass."""

from datetime import timedelta

import pytest
from flask import Flask
from standardwebhooks import Webhook as Verifier

from guestbook.lib import clock
from guestbook.outbound import pulled_deliveries
from guestbook.outbound.pulled_deliveries import PulledResult, Replaced, Taken
from guestbook.queries import cron_status
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Webhook
from guestbook.storage.models.delivery import PULL_URL
from tests.support import factories

LATER = timedelta(seconds=61)


@pytest.fixture
def hook(each_app: Flask) -> str:  # noqa: ARG001  it lives in the app's context
    return factories.webhook(PULL_URL)


def take(
    hook: str, limit: int = 10, taker: str = "laptop", replaced: Replaced | None = None
) -> tuple[str, list[Taken]]:
    with database.writing() as session:
        webhook = session.get_one(Webhook, hook)
        token = pulled_deliveries.new_token(taker)
        return token, pulled_deliveries.take(
            session.connection(), webhook, factories.settings(), token, limit, replaced
        )


def commit(hook: str, token: str, *results: PulledResult) -> int:
    with database.writing() as session:
        webhook = session.get_one(Webhook, hook)
        return pulled_deliveries.commit(session.connection(), webhook, factories.settings(), token, results)


def pass_time(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + by)


def test_what_is_taken_is_signed_and_nobody_else_gets_it_meanwhile(hook: str) -> None:
    factories.sign("Grüße 🎈")
    [row] = factories.deliveries()
    _, [taken] = take(hook)
    assert (taken.id, taken.event, taken.payload) == (row.id, "comment.created", row.payload)
    assert taken.headers["X-Guestbook-Attempt"] == "1"
    assert Verifier(factories.the(Webhook, hook).secret).verify(taken.payload, taken.headers)
    assert take(hook)[1] == []


def test_a_success_is_final_and_leaves_an_attempt(hook: str) -> None:
    factories.sign()
    token, [taken] = take(hook)
    assert commit(hook, token, PulledResult(taken.id, ok=True, status_code=204, milliseconds=7)) == 1
    [row], [attempt] = factories.deliveries(), factories.attempts()
    assert (row.status, row.attempts, row.last_status_code) == ("processed", 1, 204)
    assert (attempt.status_code, attempt.error, attempt.milliseconds) == (204, None, 7)


def test_a_failure_comes_again_by_the_schedule_until_it_is_given_up(hook: str) -> None:
    factories.sign()
    tries = len(factories.settings().retry_schedule)
    for number in range(1, tries + 1):
        token, [taken] = take(hook)
        assert taken.headers["X-Guestbook-Attempt"] == str(number)
        assert commit(hook, token, PulledResult(taken.id, ok=False, error="My program is away.")) == 1
        [row] = factories.deliveries()
        assert row.status == ("new" if number < tries else "failed")
        assert take(hook)[1] == []
        factories.all_due()
    assert row.last_error == "My program is away."
    assert factories.the(Webhook, hook).failures_in_a_row == tries


def test_a_lease_that_ran_out_is_handed_out_again_and_the_late_commit_changes_no_row(
    hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.sign()
    old_token, [taken] = take(hook)
    pass_time(monkeypatch, LATER)
    token, [again] = take(hook)
    assert again.id == taken.id
    assert commit(hook, old_token, PulledResult(taken.id, ok=True)) == 0
    assert factories.deliveries()[0].status == "new"
    assert commit(hook, token, PulledResult(again.id, ok=True)) == 1
    assert commit(hook, token, PulledResult(again.id, ok=True)) == 0
    assert len(factories.attempts()) == 1


def test_a_receiver_that_was_started_again_takes_over_at_once(hook: str) -> None:
    factories.sign()
    factories.sign()
    old_token, [first] = take(hook, limit=1)
    again = Replaced("laptop", pulled_deliveries.new_token("laptop"))
    late_token, [second] = take(hook)  # a request that began after the new start is nobody's past
    token, [taken] = take(hook, replaced=again)
    assert (taken.id, taken.headers["X-Guestbook-Attempt"]) == (first.id, "1")
    assert commit(hook, old_token, PulledResult(first.id, ok=True)) == 0
    assert commit(hook, token, PulledResult(first.id, ok=True)) == 1
    assert commit(hook, late_token, PulledResult(second.id, ok=True)) == 1


def test_a_request_that_began_before_the_new_start_is_taken_over_from_too(hook: str) -> None:
    waiting = pulled_deliveries.new_token("laptop")
    again = Replaced("laptop", pulled_deliveries.new_token("laptop"))
    factories.sign()
    with database.writing() as session:
        webhook = session.get_one(Webhook, hook)
        assert pulled_deliveries.take(session.connection(), webhook, factories.settings(), waiting, 5)
    assert not pulled_deliveries.anything_pending(db.session(), hook, clock.now(), None)
    assert pulled_deliveries.anything_pending(db.session(), hook, clock.now(), again)
    db.session.rollback()
    assert len(take(hook, replaced=again)[1]) == 1


def test_nobody_takes_over_from_others_or_before_a_retry_is_due(hook: str) -> None:
    factories.sign()
    token, [taken] = take(hook, taker="raspberry")
    again = Replaced("laptop", pulled_deliveries.new_token("laptop"))
    assert take(hook, replaced=again)[1] == []
    other = factories.webhook(PULL_URL)
    assert take(other, taker="raspberry", replaced=Replaced("raspberry", "f" * 32))[1] == []
    assert commit(hook, token, PulledResult(taken.id, ok=False)) == 1
    assert take(hook, replaced=Replaced("raspberry", "f" * 32))[1] == []


def test_no_webhook_commits_for_another(hook: str) -> None:
    other = factories.webhook(PULL_URL)
    factories.sign()
    token, [taken] = take(hook)
    assert commit(other, token, PulledResult(taken.id, ok=True)) == 0
    assert commit(hook, token, PulledResult("0" * 32, ok=True)) == 0


@pytest.mark.usefixtures("hook")
def test_passes_leave_it_alone_and_nothing_counts_as_late(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.sign()
    pass_time(monkeypatch, timedelta(hours=1))
    assert factories.run_pass().processed == 0
    assert factories.deliveries()[0].claims == 0
    assert cron_status.oldest_due(db.session(), clock.now()) is None
