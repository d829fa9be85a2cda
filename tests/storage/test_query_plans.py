"""With 40,000 final rows each question still goes by its index, on every database."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import current_app
from sqlalchemy import select, text

import guestbook
from guestbook.background import housekeeping
from guestbook.comments import backfill
from guestbook.comments.backfill import BackfillReport, BackfillRules
from guestbook.lib import clock
from guestbook.outbound.delivery_tasks import open_with_due
from guestbook.queries import cron_status, filtered_lists, public_comments, statistics
from guestbook.queue import claims, comment_order, erasure, redelivery
from guestbook.queue.poller import Poller
from guestbook.storage import database, row_changes
from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES, INBOUND, Comment, Delivery, InboundEvent, Source, Webhook
from tests.conftest import need, settings_for
from tests.support import databases, factories, query_plans
from tests.support.query_plans import (
    COMMENTS,
    FINAL,
    LONG_AGO,
    WITH_DELIVERIES,
    explain,
    explain_prepared,
    goes_by_index,
    seen_about,
)

MOMENT = clock.now() - timedelta(hours=1)  # between final rows, whose ids are made up, and those that are due
BY_ID = "PRIMARY|deliveries_pkey|sqlite_autoindex_deliveries_1"
COMMENTS_BY_ID = "PRIMARY|comments_pkey|sqlite_autoindex_comments_1"
INBOUND_BY_ID = "PRIMARY|inbound_events_pkey|sqlite_autoindex_inbound_events_1"
ONCE = "inbound_events_once|sqlite_autoindex_inbound_events_2"
Question = Callable[[str], object]


@pytest.fixture(scope="module", params=["sqlite-wal", "postgresql", "mariadb"])
def hook(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A book with many rows and a webhook for which a few are due."""
    if request.param != "sqlite-wal":
        need(request.param)
    folder: Path = tmp_path_factory.mktemp("plans")
    with databases.fresh(request.param, folder) as url:
        app = guestbook.create_app(settings_for(folder, url))
        with app.app_context():
            database.create_tables(db.engine)
            yield query_plans.fill()
            db.session.remove()
            db.engine.dispose()


COLUMNS = ("id", "sequence", "payload")

# --- the questions that are asked often


def claim(webhook_id: str) -> object:
    with database.write(db.engine) as connection:
        return claims.claim(connection, DELIVERIES, COLUMNS, webhook_id, now=clock.now(), limit=16)


def claim_in_inbox(_: str) -> object:
    with database.write(db.engine) as connection:
        return claims.claim(connection, INBOUND, ("id",), our_source(), now=clock.now(), limit=16)


def leased(webhook_id: str) -> object:
    now = clock.now()
    with db.engine.connect() as connection, connection.begin() as transaction:
        rows = claims.claim(connection, DELIVERIES, COLUMNS, webhook_id, now=now, limit=16)
        taken = claims.lease(connection, DELIVERIES, rows, now=now, until=now, token="a pass")
        transaction.rollback()
    return taken


def held_back(webhook_id: str) -> object:
    with database.write(db.engine) as connection:
        comment_order.hold_back(connection, {(WITH_DELIVERIES, webhook_id): (1, clock.now())})
    return True


def retried(_: str) -> object:
    with db.engine.connect() as connection:
        return [comment_order.next_due(connection, WITH_DELIVERIES)]


def deleted_since(_: str) -> object:
    return [comment_order.is_over(db.session(), f"{10:032d}")]


def redelivered(_: str) -> object:
    wanted = filtered_lists.Deliveries(status="failed")
    return redelivery.forecast(db.session(), Delivery, wanted.condition(), clock.now())


def first_due(_: str) -> object:
    with Poller(db.engine) as watch:
        return watch.next_due()


def open_webhooks(_: str) -> object:
    with db.engine.connect() as connection:
        return open_with_due(connection, clock.now())


def oldest_due(_: str) -> object:
    return cron_status.oldest_due(db.session(), clock.now())


def first_page(_: str) -> object:
    return filtered_lists.comments(db.session(), "published").rows


def later_page(_: str) -> object:
    return filtered_lists.comments(db.session(), "published", before=f"{COMMENTS // 2:032d}").rows


def first_page_for_readers(_: str) -> object:
    return public_comments.page(selected, None, 20).rows


def later_page_for_readers(_: str) -> object:
    return public_comments.page(selected, f"{COMMENTS // 2:032d}", 20).rows


def selected(sql: str, **parameters: object) -> list[tuple[Any, ...]]:
    """Select as on a server, where SQLAlchemy sees the statement."""
    return [tuple(row) for row in db.session.execute(text(sql), parameters)]


def next_of_backfill(_: str) -> object:
    return backfill.next_comments(db.session(), f"{COMMENTS // 2:032d}")


def events_of_backfill(_: str) -> object:
    return past_comments()


def sent_before_backfill(webhook_id: str) -> object:
    webhook, rules = db.session.get_one(Webhook, webhook_id), BackfillRules(MOMENT, factories.settings())
    return [backfill.missing_events(db.session(), webhook, past_comments(), rules, BackfillReport())]


def past_comments() -> Any:
    middle = COMMENTS // 2
    some = Comment.id > f"{middle:032d}", Comment.id <= f"{middle + 100:032d}"
    return backfill.with_events(db.session(), clock.from_text(LONG_AGO), *some)


def failed_deliveries(_: str) -> object:
    arguments = ["deliveries", "list", "--status", "failed"]
    return current_app.test_cli_runner().invoke(args=arguments).output


def old_deliveries(_: str) -> object:
    with db.engine.connect() as connection:
        [(table, processed), *_rest] = housekeeping.conditions(factories.settings(), clock.now())
        return connection.execute(table.select().where(processed).limit(row_changes.BATCH_SIZE)).all()


def deliveries(name: str, before: str | None = None, *, mine: bool = False, **wanted: Any) -> Question:
    """Name a question for a page of deliveries, or of those of the webhook."""

    def ask(webhook_id: str) -> object:
        only = {"webhook_id": webhook_id} if mine else {}
        return filtered_lists.deliveries(
            db.session(), filtered_lists.Deliveries(**wanted, **only), before
        ).rows

    ask.__name__ = name
    return ask


def inbox(name: str, before: str | None = None, *, ours: bool = False, **wanted: Any) -> Question:
    """Name a question for a page of inbound events, or of those of our source."""

    def ask(_: str) -> object:
        only = {"source_id": our_source()} if ours else {}
        return filtered_lists.inbound_events(
            db.session(), filtered_lists.InboundEvents(**wanted, **only), before
        ).rows

    ask.__name__ = name
    return ask


HALF, NUMBER = f"{FINAL // 2:032d}", f"{10:032d}"
DAY_OF_MOMENT = {"since": MOMENT, "until": MOMENT + timedelta(days=1)}
older_deliveries = deliveries("older_deliveries", HALF)
deliveries_by_status = deliveries("deliveries_by_status", HALF, status="failed")
deliveries_by_webhook = deliveries("deliveries_by_webhook", HALF, mine=True)
deliveries_by_time = deliveries("deliveries_by_time", **DAY_OF_MOMENT)
whole_inbox = inbox("whole_inbox", HALF)
inbox_by_status = inbox("inbox_by_status", HALF, status="failed")
inbox_by_source = inbox("inbox_by_source", HALF, ours=True)
inbox_by_time = inbox("inbox_by_time", **DAY_OF_MOMENT)
inbox_by_number = inbox("inbox_by_number", external_id=NUMBER)


def erased_comment(_: str) -> object:
    with database.write(db.engine) as connection:
        return erasure.erase(connection, WITH_DELIVERIES, clock.now(), timedelta(minutes=1))


def erased_inbound(_: str) -> object:
    return erased_comment(_)


def erased_lately(_: str) -> object:
    with db.engine.connect() as connection:
        return [erasure.lately(connection, clock.now() - timedelta(minutes=2))]


def waiting_in_inbox(_: str) -> object:
    return statistics.count_some(db.session(), InboundEvent.status == "new", InboundEvent)


def reprocessed_in_inbox(_: str) -> object:
    wanted = filtered_lists.InboundEvents(status="failed")
    return redelivery.forecast(db.session(), InboundEvent, wanted.condition(), clock.now())


def our_source() -> str:
    return db.session.scalars(select(Source.id).where(Source.name == "ours")).one()


QUESTIONS: dict[Question, tuple[str, str]] = {
    claim: ("deliveries", "deliveries_by_due"),
    claim_in_inbox: ("inbound_events", "inbound_events_by_due"),
    leased: ("deliveries", f"deliveries_by_status|{BY_ID}"),
    held_back: ("deliveries", "deliveries_by_comment"),
    retried: ("deliveries", "deliveries_by_comment"),
    deleted_since: ("deliveries", BY_ID),
    redelivered: ("deliveries", f"deliveries_by_status|deliveries_by_finish|deliveries_by_comment|{BY_ID}"),
    first_due: ("deliveries", "deliveries_by_due"),
    open_webhooks: ("deliveries", "deliveries_by_due"),
    oldest_due: ("deliveries", "deliveries_by_due"),
    first_page: ("comments", "comments_by_status|PRIMARY|comments_pkey"),
    later_page: ("comments", "comments_by_status|PRIMARY|comments_pkey"),
    first_page_for_readers: ("comments", "comments_by_status|PRIMARY|comments_pkey"),
    later_page_for_readers: ("comments", "comments_by_status|PRIMARY|comments_pkey"),
    next_of_backfill: ("comments", COMMENTS_BY_ID),
    events_of_backfill: ("comments", f"comments_by_status|{COMMENTS_BY_ID}"),
    sent_before_backfill: ("deliveries", "deliveries_by_comment"),
    failed_deliveries: ("deliveries", "deliveries_by_status"),
    old_deliveries: ("deliveries", "deliveries_by_finish"),
    older_deliveries: ("deliveries", BY_ID),
    deliveries_by_status: ("deliveries", "deliveries_by_status"),
    deliveries("most_by_status", HALF, status="processed"): ("deliveries", f"deliveries_by_status|{BY_ID}"),
    deliveries_by_webhook: ("deliveries", f"deliveries_by_webhook|{BY_ID}"),
    deliveries_by_time: ("deliveries", BY_ID),
    deliveries("by_status_and_time", status="new", since=MOMENT): (
        "deliveries",
        f"deliveries_by_status|{BY_ID}",
    ),
    deliveries("by_webhook_and_time", mine=True, since=MOMENT): (
        "deliveries",
        f"deliveries_by_webhook|{BY_ID}",
    ),
    deliveries("by_event", HALF, event="comment.created"): ("deliveries", BY_ID),
    deliveries("by_words", HALF, mine=True, text="{"): ("deliveries", f"deliveries_by_webhook|{BY_ID}"),
    erased_comment: ("deliveries", "deliveries_by_comment"),
    erased_inbound: ("inbound_events", f"inbound_events_by_comment|{ONCE}"),
    erased_lately: ("deliveries", "deliveries_by_finish"),
    whole_inbox: ("inbound_events", INBOUND_BY_ID),
    inbox_by_status: ("inbound_events", "inbound_events_by_status"),
    inbox("most_of_inbox", HALF, status="processed"): (
        "inbound_events",
        f"inbound_events_by_status|{INBOUND_BY_ID}",
    ),
    inbox_by_source: ("inbound_events", f"inbound_events_by_source|{INBOUND_BY_ID}"),
    inbox("by_source_and_status", HALF, ours=True, status="processed"): (
        "inbound_events",
        f"inbound_events_by_source|{INBOUND_BY_ID}",
    ),
    inbox_by_time: ("inbound_events", INBOUND_BY_ID),
    inbox_by_number: ("inbound_events", ONCE),
    inbox("by_source_and_number", ours=True, external_id=NUMBER, status="failed"): ("inbound_events", ONCE),
    inbox("inbox_by_words", HALF, ours=True, text="{", event="push"): (
        "inbound_events",
        f"inbound_events_by_source|{INBOUND_BY_ID}",
    ),
    waiting_in_inbox: ("inbound_events", "inbound_events_by_status|inbound_events_by_end"),
    reprocessed_in_inbox: ("inbound_events", "inbound_events_by_status|inbound_events_by_end"),
}


def statement_of(question: Question, webhook_id: str, table: str) -> tuple[str, Any]:
    with seen_about(table, "UPDATE" if question is leased else "SELECT") as seen:
        answer = question(webhook_id)
    db.session.remove()
    assert answer
    assert len(seen) >= 1
    return seen[0]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.__name__)
def test_the_question_goes_by_its_index(question: Question, hook: str) -> None:
    table, index = QUESTIONS[question]
    plan = explain(*statement_of(question, hook, table))
    assert goes_by_index(plan, table, index), plan


@pytest.mark.parametrize(
    "question",
    [
        claim, claim_in_inbox, leased, first_due, open_webhooks,
        oldest_due, first_page, later_page, next_of_backfill, events_of_backfill, sent_before_backfill,
        older_deliveries, deliveries_by_status, deliveries_by_webhook, deliveries_by_time,
        whole_inbox, inbox_by_status, inbox_by_source, inbox_by_time, inbox_by_number,
    ],
    ids=lambda question: question.__name__,
)  # fmt: skip
def test_it_does_in_a_generic_plan_too(question: Question, hook: str) -> None:
    if db.engine.dialect.name != "postgresql":
        return  # the others have no such plans
    table, index = QUESTIONS[question]
    plan = explain_prepared(*statement_of(question, hook, table))
    assert goes_by_index(plan, table, index), plan


@pytest.mark.parametrize("question", [claim, leased, first_due, open_webhooks, oldest_due])
def test_it_finds_earlier_ones_about_the_comment_by_their_index(question: Question, hook: str) -> None:
    statement = statement_of(question, hook, "deliveries")
    plans = [explain(*statement)]
    if db.engine.dialect.name == "postgresql":
        plans.append(explain_prepared(*statement))
    for plan in plans:
        assert goes_by_index(plan, "earlier", "deliveries_by_comment"), plan


def test_a_full_scan_would_be_seen(hook: str) -> None:  # noqa: ARG001
    placeholder = "?" if db.engine.dialect.name == "sqlite" else "%s"
    statement = f"SELECT * FROM deliveries WHERE last_error = {placeholder}"
    assert not goes_by_index(explain(statement, ("x",)), "deliveries", "deliveries_by_due")
