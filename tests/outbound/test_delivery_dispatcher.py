"""A drain of the outbox: fairness among webhooks, also beside many that hang, pauses, and costs."""

import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Connection, event, update
from sqlalchemy.exc import DBAPIError

from guestbook.comments import comment_actions
from guestbook.lib import clock, retry_policy
from guestbook.lib.current_process import StopFlag
from guestbook.lib.retry_policy import PAUSE_CAP, PAUSE_FIRST
from guestbook.outbound import attempt_recorder, delivery_tasks
from guestbook.outbound.attempt_recorder import Tally
from guestbook.outbound.delivery_dispatcher import SMALL_TICK, ClaimedTasks, Dispatcher
from guestbook.outbound.delivery_tasks import Outcome
from guestbook.outbound.worker_pool import START_CAP
from guestbook.queue import claims
from guestbook.settings import Settings
from guestbook.storage import database
from guestbook.storage.models import DELIVERIES, Webhook
from tests.support import amount, databases, factories
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.processes import quickest
from tests.support.receiver import HANG, OK, Answer, Receiver

CONCURRENCY = 32
CAP = CONCURRENCY // 4  # requests at once to one webhook
EACH = 30  # deliveries to each of twenty webhooks
AT_ONCE = ",".join(["0"] * 40)  # a retry schedule without waits


def drain(book: Book, seconds: float = 20) -> Tally:
    """Send what is due from this process."""
    dispatch = Dispatcher(book.engine, book.settings, concurrency=CONCURRENCY)
    return dispatch.run(until=time.monotonic() + seconds, stay=False, stop=StopFlag())


@pytest.mark.parametrize("server", [True, False])
def test_on_a_server_a_lease_has_a_margin_for_a_host_whose_clock_is_ahead(
    book: Book, monkeypatch: pytest.MonkeyPatch, server: bool
) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    book.webhook("https://receiver.example")
    book.publish()
    settings = replace(book.settings, database_url="mariadb://" if server else "sqlite://")
    [(_, [task], *_)] = database.write_with_retry(
        book.engine, Dispatcher(book.engine, settings, concurrency=1).claim
    )
    lease = retry_policy.lease(settings.timeout)
    assert task.leased_until == now + lease
    assert book.delivery().due_at == now + lease + (claims.CLOCK_SKEW if server else timedelta())


def test_a_claim_takes_a_probe_of_an_unreachable_webhook_and_what_a_rate_limit_lets_begin(book: Book) -> None:
    def hook(path: str, **columns: int | str) -> str:
        hook_id = book.webhook(f"https://receiver.example/{path}", **columns)
        book.stock(hook_id, 5)
        return hook_id

    expected = {  # how many are claimed, and how many of these have a slot
        hook("free"): (5, 0),
        hook("one", rate="1/s"): (1, 1),
        hook("many", rate="4/s"): (START_CAP, START_CAP),  # What waited for a thread would use its slot late.
        hook("nearly", unreachable_in_a_row=retry_policy.PAUSE_AFTER - 1): (5, 0),
        hook("unreachable", unreachable_in_a_row=retry_policy.PAUSE_AFTER): (1, 0),
    }
    dispatcher = Dispatcher(book.engine, book.settings, concurrency=16)
    claimed = database.write_with_retry(book.engine, dispatcher.claim)
    found = {row[0]: (len(row[1]), sum(task.slot is not None for task in row[1])) for row in claimed}
    assert found == expected
    # The next tick begins with another webhook, under another token.
    with database.write(book.engine) as connection:
        connection.execute(update(DELIVERIES).values(claimed_by=None, due_at=clock.now()))
        connection.execute(update(Webhook).values(rate_log=None, next_slot_at=None))
    again = database.write_with_retry(book.engine, dispatcher.claim)
    assert [row[0] for row in again] == [*[row[0] for row in claimed][1:], claimed[0][0]]
    assert {row[1][0].token for row in claimed}.isdisjoint(row[1][0].token for row in again)


def test_what_is_claimed_of_an_erased_comment_is_dropped_and_nothing_else(book: Book) -> None:
    book.webhook("https://receiver.example")
    erased, other = book.sign("erase me"), book.sign("keep me")
    dispatcher = Dispatcher(book.engine, book.settings, concurrency=1)
    for tasks in database.write_with_retry(book.engine, dispatcher.claim):
        dispatcher.pool.load(*tasks)
    factories.change(erased, comment_actions.delete)
    dispatcher._drop_erased()
    assert [task.comment_id for task in dispatcher.pool.take_back()] == [other]


# --- one webhook beside the others


@pytest.mark.parametrize("each_environ", databases.KINDS, indirect=True)
def test_two_hanging_webhooks_of_twenty_do_not_hold_up_the_other_eighteen(
    each_book: Book, each_environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    environ = {**each_environ, "GUESTBOOK_TIMEOUT": "4"}
    fast = [f"/{number}" for number in range(18)]
    for path in fast:
        receiver.answer(path, Answer(delay=0.02))
        each_book.webhook(receiver.url(path))
    each_book.publish(EACH)
    forks.run(environ, "cron")
    alone = _seconds_for(receiver, fast, 0)
    hanging = {path: each_book.webhook(receiver.url(path)) for path in ("/hangs1", "/hangs2")}
    for path in hanging:
        receiver.answer(path, HANG)

    def seconds_beside() -> float:
        before = Counter(request.path for request in receiver.requests)
        for webhook_id in hanging.values():
            each_book.unpause(webhook_id)
        each_book.publish(EACH)
        running = forks.start(environ, "cron")
        for path in hanging:
            receiver.wait_for(before[path] + 1, path)
        for path in fast:
            receiver.wait_for(before[path] + EACH, path)
        running.kill()
        each_book.expire()
        return _seconds_for(receiver, fast, before[fast[0]])

    assert quickest(seconds_beside, 2 * alone) < 2 * alone
    assert max(receiver.most_at_once(path) for path in fast) <= CAP
    assert max(receiver.most_at_once(path) for path in hanging) <= 2


def test_requests_in_flight_to_a_webhook_reach_its_cap_and_no_more(book: Book, receiver: Receiver) -> None:
    receiver.answer("/", Answer(delay=0.02))
    book.webhook(receiver.url())
    book.publish(200)
    assert drain(book).processed == 200
    assert receiver.most_at_once("/") == CAP


def test_a_receiver_that_begins_to_hang_costs_few_timeouts(book: Book, receiver: Receiver) -> None:
    book.settings = replace(book.settings, timeout=0.5)
    receiver.answer("/", *[OK] * 50, HANG)
    webhook_id = book.webhook(receiver.url())
    book.publish(200)
    drain(book)
    row = book.webhook_row(webhook_id)
    assert row.paused_until > clock.now()
    hung = len(receiver.requests) - 50
    assert 5 <= hung <= CAP + 4  # those in flight when it began, and then one at a time
    assert (row.failures_in_a_row, row.unreachable_in_a_row) == (hung, 5)
    assert book.leased() == 0


# --- a webhook that cannot be reached


def test_five_failures_to_connect_pause_a_webhook_and_one_success_reopens_it(
    each_book: Book, each_environ: dict[str, str], forks: Forks
) -> None:
    """Each pass is a process of its own, so the database alone remembers the pause."""
    environ = {**each_environ, "GUESTBOOK_RETRY_SCHEDULE": AT_ONCE}
    with Receiver() as down:
        pass
    webhook_id = each_book.webhook(down.url())
    each_book.publish(12)
    _pass_makes(each_book, forks, environ, attempts=5)
    row = each_book.webhook_row(webhook_id)
    assert (row.failures_in_a_row, row.unreachable_in_a_row) == (5, 5)
    assert 0.8 * PAUSE_FIRST - 10 < (row.paused_until - clock.now()).total_seconds() <= 1.2 * PAUSE_FIRST

    _pass_makes(each_book, forks, environ, attempts=5)  # nothing is sent while it is paused
    each_book.unpause(webhook_id)
    _pass_makes(each_book, forks, environ, attempts=6)  # one probes it
    longer = each_book.webhook_row(webhook_id)
    wait = (longer.paused_until - clock.now()).total_seconds()
    assert 1.6 * PAUSE_FIRST - 10 < wait <= min(2.4 * PAUSE_FIRST, PAUSE_CAP)
    assert each_book.statuses() == {"new": 12}

    each_book.unpause(webhook_id)
    with Receiver(port=down.port) as up:
        up.answer("/", Answer(delay=0.05))
        forks.run(environ, "cron")
        assert len(up.requests) == 12
        assert up.requests[1].at - up.requests[0].at >= 0.05  # the probe was alone
    row = each_book.webhook_row(webhook_id)
    assert (row.paused_until, row.unreachable_in_a_row, row.failing_since) == (None, 0, None)
    assert each_book.statuses() == {"processed": 12}
    each_book.check()


def test_disabling_a_webhook_stops_what_is_queued_for_it(book: Book, receiver: Receiver) -> None:
    receiver.answer("/", Answer(delay=0.3))
    webhook_id = book.webhook(receiver.url())
    book.publish(400)
    sending = threading.Thread(target=drain, args=(book,), daemon=True)
    sending.start()
    receiver.wait_for(30)
    with database.write(book.engine) as connection:
        now = clock.now()
        change = update(Webhook).where(Webhook.id == webhook_id)
        connection.execute(change.values(disabled_at=now, disabled_reason="by_hand"))
    sent = len(receiver.requests)
    sending.join(20)
    assert not sending.is_alive()
    # Those that began before a tick saw it, and ticks of a busy machine are late.
    assert len(receiver.requests) - sent <= 3 * CAP
    assert book.leased() == 0
    assert book.statuses()["new"] == 400 - len(receiver.requests)


def test_a_clock_that_is_set_forward_doubles_no_request_that_was_not_under_way(
    book: Book, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All leases are over then, also those of tasks that wait for a thread."""
    webhooks, threads, real, ahead = 20, 4, clock.now, [timedelta(0)]
    monkeypatch.setattr(clock, "now", lambda: real() + ahead[0])
    for number in range(webhooks):
        receiver.answer(f"/{number}", Answer(delay=0.1))
        book.webhook(receiver.url(f"/{number}"))
    book.publish(4)
    dispatch = Dispatcher(book.engine, book.settings, concurrency=threads)
    run = partial(dispatch.run, until=time.monotonic() + 60, stay=False, stop=StopFlag())
    sending = threading.Thread(target=run, daemon=True)
    sending.start()
    receiver.wait_for(threads)
    ahead[0] = timedelta(hours=1)
    sending.join(60)
    assert book.statuses() == {"processed": 4 * webhooks}
    assert len(receiver.requests) <= 4 * webhooks + threads
    book.check()


def test_what_could_not_be_recorded_is_followed_by_no_further_request(book: Book, receiver: Receiver) -> None:
    receiver.answer("/", OK, HANG)
    book.webhook(receiver.url())
    book.publish(200)
    dispatch = Dispatcher(book.engine, book.settings, concurrency=CONCURRENCY)
    with book.engine.connect() as connection:
        connection.exec_driver_sql("DROP TABLE attempts")
        connection.commit()
    with pytest.raises(DBAPIError):
        dispatch.run(until=time.monotonic() + 20, stay=False, stop=StopFlag())
    receiver.release()
    tried, deadline = 0, time.monotonic() + 10
    while dispatch.pool.busy and time.monotonic() < deadline:
        dispatch.pool.wait(0.1)
        tried += len(dispatch.pool.collect())
    # Some of the 16 claimed ones were in flight; the waiting ones are not even tried.
    assert not dispatch.pool.busy
    assert tried <= 3 * START_CAP


# --- what it costs


def test_an_idle_look_for_work_takes_no_write_lock(each_book: Book, receiver: Receiver) -> None:
    """Counts write transactions (BEGIN IMMEDIATE on SQLite) and every statement."""
    each_book.webhook(receiver.url())
    each_book.publish()
    drain(each_book)
    words, writers = Counter[str](), Counter[bool]()

    def note(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        words[statement.split()[0]] += 1

    def count(connection: Connection) -> None:
        writers["write_until" in connection.get_execution_options()] += 1

    event.listen(each_book.engine, "before_cursor_execute", note)
    event.listen(each_book.engine, "begin", count)
    dispatch = Dispatcher(each_book.engine, each_book.settings, concurrency=4)
    dispatch.run(until=time.monotonic() + 0.5, stay=True, stop=StopFlag())
    assert words["SELECT"] > 0
    assert words.keys() <= {"SELECT", "BEGIN", "LISTEN", "UNLISTEN"}
    assert writers[False] > 0
    assert writers[True] == 0


def test_a_pass_records_and_claims_little_at_once_while_visitors_write(
    book: Book, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        book.stock(book.webhook(receiver.url(f"/{number}"), events="comment.deleted"), 200)
    recorded, claimed = list[int](), list[int]()
    record, claim = attempt_recorder.record, Dispatcher.claim

    def count_record(connection: Connection, outcomes: Sequence[Outcome], settings: Settings) -> Tally:
        recorded.append(len(outcomes))
        return record(connection, outcomes, settings)

    def count_claim(self: Dispatcher, connection: Connection) -> list[ClaimedTasks]:
        claims = claim(self, connection)
        claimed.append(sum(len(tasks) for _, tasks, *_ in claims))
        return claims

    monkeypatch.setattr(attempt_recorder, "record", count_record)
    monkeypatch.setattr(Dispatcher, "claim", count_claim)
    dispatch = Dispatcher(book.engine, book.settings, concurrency=32)
    dispatch.run(until=time.monotonic() + 30, stay=False, stop=StopFlag(), after_tick=lambda: book.sign())
    assert book.statuses() == {"processed": 800}
    assert sum(recorded) == sum(claimed) == 800
    assert max(recorded) <= SMALL_TICK
    assert max(claimed) <= SMALL_TICK


@pytest.mark.timeout(200)
def test_a_long_backlog_costs_little_memory_and_its_claims_stay_as_fast(
    book: Book, environ: dict[str, str], forks: Forks, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, webhooks = amount.backlog(), 8
    book.note_passes()  # or this pass would not prune
    for number in range(webhooks):
        book.stock(book.webhook(receiver.url(f"/{number}")), rows // webhooks)
    began = time.monotonic()
    running = forks.start(environ, "cron", "--max-seconds", "150", point="measured")
    assert running.wait(180) == 0
    seconds = time.monotonic() - began
    assert book.statuses() == {"processed": rows}
    assert Counter(request.path for request in receiver.requests).most_common()[-1][1] == rows // webhooks
    measured = json.loads(running.printed)
    with capsys.disabled():
        print(
            f"\n{rows} rows in {seconds:.1f} s: memory grew by {measured['grown']:.1f} MB, "
            f"claims {measured['early']:.2f} ms a row at first, {measured['late']:.2f} ms at last"
        )
    assert measured["grown"] < 22 + 0.0002 * rows  # MB: a pass that keeps its rows needs 1 KB for each
    assert measured["late"] < 3 * measured["early"] + 0.1


def _pass_makes(book: Book, forks: Forks, environ: dict[str, str], *, attempts: int) -> None:
    """Run a pass, and expect so many attempts in all afterwards."""
    running = forks.run(environ, "cron")
    assert running.printed == ""
    assert len(book.attempts()) == attempts


def _seconds_for(receiver: Receiver, paths: list[str], first: int) -> float:
    """Return the time from the first of these requests to the last, from that number on at each path."""
    moments = [request.at for path in paths for request in receiver.at(path)[first:]]
    return max(moments) - min(moments)


def deliver_beside_hanging(book: Book, receiver: Receiver, count: int, **columns: object) -> list[str]:
    """Send to `/`, which has answered before, and to so many that hang. Return the paths in their order."""
    book.settings = replace(book.settings, timeout=6)
    book.webhook(receiver.url())
    book.publish()
    drain(book)
    for number in range(count):
        receiver.answer(f"/hangs{number}", HANG)
        book.webhook(receiver.url(f"/hangs{number}"), **columns)
    book.publish()
    stop = StopFlag()
    dispatch = Dispatcher(book.engine, book.settings, concurrency=CONCURRENCY)
    run = partial(dispatch.run, until=time.monotonic() + 60, stay=False, stop=stop)
    sending = threading.Thread(target=run, daemon=True)
    sending.start()
    receiver.wait_for(2, "/")
    stop.set()
    paths = [request.path for request in receiver.requests[1:]]
    for number in range(count):
        receiver.answer(f"/hangs{number}", OK)
    receiver.release()
    sending.join(30)
    assert not sending.is_alive()
    assert book.leased() == 0
    return paths


def test_any_number_of_webhooks_that_hang_leave_threads_to_one_that_has_answered_before(
    each_book: Book, receiver: Receiver
) -> None:
    paths = deliver_beside_hanging(each_book, receiver, 2 * CONCURRENCY)
    assert "/" in paths[: CONCURRENCY * 3 // 4 + 1], "no time-out was waited for"


def test_pauses_that_end_together_leave_half_of_the_threads_to_the_others(
    book: Book, receiver: Receiver
) -> None:
    """They hang still, and one request probes each."""
    failures = {"unreachable_in_a_row": 6, "failures_in_a_row": 6, "failing_since": clock.now()}
    paths = deliver_beside_hanging(book, receiver, 2 * CONCURRENCY, paused_until=clock.now(), **failures)
    assert "/" in paths[: CONCURRENCY // 2 + 1], "no time-out was waited for"


def test_a_webhook_has_answered_before_if_its_newest_delivery_that_has_ended_says_so(
    each_book: Book, receiver: Receiver
) -> None:
    each_book.settings = replace(each_book.settings, timeout=0.5, retry_schedule=(0,))
    receiver.answer("/hangs", HANG)
    receiver.answer("/fails", Answer(500))
    for path in ("/hangs", "/fails", "/works"):
        each_book.webhook(receiver.url(path), name=path)
    each_book.publish()
    drain(each_book)
    each_book.webhook(receiver.url("/new"), name="/new")
    each_book.publish()
    with each_book.engine.connect() as connection:
        found = {
            row.name: row.answered_before for row in delivery_tasks.open_with_due(connection, clock.now())
        }
    assert {name for name, answered_before in found.items() if answered_before} == {"/fails", "/works"}
    assert len(found) == 4


def test_with_a_concurrency_of_one_a_pass_sends_without_starting_any_thread(
    each_book: Book, each_environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    receiver.answer("/bad", Answer(500))
    by_name = f"http://localhost:{receiver.port}"  # a name needs a look-up, an address does not
    each_book.webhook(f"{by_name}/good")
    each_book.webhook(f"{by_name}/bad")
    each_book.publish(20)
    done = forks.start(each_environ, "cron", "--concurrency", "1", point="without_threads")
    assert (done.wait(), done.printed) == (0, "")
    assert receiver.most_at_once("/good") == receiver.most_at_once("/bad") == 1
    assert each_book.statuses() == {"processed": 20, "new": 20}
    assert each_book.leased() == 0
    assert len(receiver.at("/good")) == 20
    assert len(receiver.at("/bad")) == len(each_book.attempts()) - 20
    each_book.check()
