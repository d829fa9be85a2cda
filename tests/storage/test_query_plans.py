"""With 40,000 final rows each question still goes by its index, on every database."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import current_app
from sqlalchemy import Connection, select, text

import guestbook
from guestbook.background import whole_pass
from guestbook.comments import backfill
from guestbook.comments.backfill import BackfillReport, BackfillRules
from guestbook.lib import clock
from guestbook.outbound.delivery_tasks import open_with_due
from guestbook.queries import cron_status, filtered_lists, public_comments, statistics
from guestbook.queries.filtered_lists import Deliveries, InboundEvents
from guestbook.queue import claims, comment_order, deleted_comments, redelivery
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
    PAGE,
    WITH_DELIVERIES,
    explain,
    explain_prepared,
    goes_by_index,
    seen_about,
)

MOMENT = clock.now() - timedelta(hours=1)  # between final rows, whose ids are made up, and those that are due
BY_ID = "PRIMARY|deliveries_pkey|sqlite_autoindex_deliveries_1"
COMMENTS_BY_ID = "PRIMARY|comments_pkey|sqlite_autoindex_comments_1"
PUBLISHED = "comments_by_status|PRIMARY|comments_pkey"
INBOUND_BY_ID = "PRIMARY|inbound_events_pkey|sqlite_autoindex_inbound_events_1"
INBOUND_BY_SOURCE = f"inbound_events_by_source|{INBOUND_BY_ID}"
INBOUND_BY_STATUS = "inbound_events_by_status|inbound_events_by_end"
ONCE = "inbound_events_once|sqlite_autoindex_inbound_events_2"
HALF, NUMBER, MIDDLE = f"{FINAL // 2:032d}", f"{10:032d}", COMMENTS // 2
DAY_OF_MOMENT: dict[str, Any] = {"since": MOMENT, "until": MOMENT + timedelta(days=1)}
MINUTE = timedelta(minutes=1)
COLUMNS = ("id", "sequence", "payload")
Question = Callable[[str], object]  # It is asked with the id of the webhook.


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


def on_connection(ask: Callable[[Connection], object]) -> Question:
    """Make a question of one that is asked over a connection, in a transaction that is rolled back."""

    def put(_: str) -> object:
        with db.engine.connect() as connection:
            return ask(connection)

    return put


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


def erased(_: str) -> object:
    with database.write(db.engine) as connection:
        return deleted_comments.erase(connection, WITH_DELIVERIES, clock.now(), MINUTE)


def first_due(_: str) -> object:
    with Poller(db.engine) as watch:
        return watch.next_due()


def selected(sql: str, **parameters: object) -> list[tuple[Any, ...]]:
    """Select as on a server, where SQLAlchemy sees the statement."""
    return [tuple(row) for row in db.session.execute(text(sql), parameters)]


def past_comments() -> Any:
    some = Comment.id > f"{MIDDLE:032d}", Comment.id <= f"{MIDDLE + 100:032d}"
    return backfill.with_events(db.session(), clock.from_text(LONG_AGO), *some)


def sent_before_backfill(webhook_id: str) -> object:
    webhook, rules = db.session.get_one(Webhook, webhook_id), BackfillRules(MOMENT, factories.settings())
    return [backfill.missing_events(db.session(), webhook, past_comments(), rules, BackfillReport())]


def old_deliveries(connection: Connection) -> object:
    [(table, processed), *_rest] = whole_pass.conditions(factories.settings(), clock.now())
    return connection.execute(table.select().where(processed).limit(row_changes.BATCH_SIZE)).all()


def forecast(model: Any, wanted: Any) -> object:
    return redelivery.forecast(db.session(), model, wanted.condition(), clock.now())


def deliveries(before: str | None = None, *, mine: bool = False, **wanted: Any) -> Question:
    """Ask for a page of deliveries, or of those of the webhook."""
    return lambda webhook_id: (
        Deliveries(**wanted, **({"webhook_id": webhook_id} if mine else {})).page(db.session(), before).rows
    )


def inbox(before: str | None = None, *, ours: bool = False, **wanted: Any) -> Question:
    """Ask for a page of inbound events, or of those of our source."""
    return lambda _: (
        InboundEvents(**wanted, **({"source_id": our_source()} if ours else {}))
        .page(db.session(), before)
        .rows
    )


def our_source() -> str:
    return db.session.scalars(select(Source.id).where(Source.name == "ours")).one()


# Each with its table, the indexes that may answer it, and how it is asked.
OFTEN: dict[str, tuple[str, str, Question]] = {
    "claim": ("deliveries", "deliveries_by_due", lambda hook: on_connection(
        lambda one: claims.claim(one, DELIVERIES, COLUMNS, hook, now=clock.now(), limit=16))(hook)),
    "claim_in_inbox": ("inbound_events", "inbound_events_by_due", on_connection(
        lambda one: claims.claim(one, INBOUND, ("id",), our_source(), now=clock.now(), limit=16))),
    "leased": ("deliveries", f"deliveries_by_status|{BY_ID}", leased),
    "first_due": ("deliveries", "deliveries_by_due", first_due),
    "open_webhooks": ("deliveries", "deliveries_by_due", on_connection(
        lambda one: open_with_due(one, clock.now()))),
    "oldest_due": ("deliveries", "deliveries_by_due",
        lambda _: cron_status.oldest_due(db.session(), clock.now())),
    "first_page": ("comments", PUBLISHED, lambda _: filtered_lists.comments(db.session(), "published").rows),
    "later_page": ("comments", PUBLISHED,
        lambda _: filtered_lists.comments(db.session(), "published", before=f"{MIDDLE:032d}").rows),
    "page_of_website": ("comments", "comments_by_page",
        lambda _: filtered_lists.comments(db.session(), "published", page=PAGE).rows),
    "next_of_backfill": ("comments", COMMENTS_BY_ID,
        lambda _: backfill.next_comments(db.session(), f"{MIDDLE:032d}")),
    "events_of_backfill": ("comments", f"comments_by_status|{COMMENTS_BY_ID}", lambda _: past_comments()),
    "sent_before_backfill": ("deliveries", "deliveries_by_comment", sent_before_backfill),
    "older_deliveries": ("deliveries", BY_ID, deliveries(HALF)),
    "deliveries_by_status": ("deliveries", "deliveries_by_status", deliveries(HALF, status="failed")),
    "deliveries_by_webhook": ("deliveries", f"deliveries_by_webhook|{BY_ID}", deliveries(HALF, mine=True)),
    "deliveries_by_time": ("deliveries", BY_ID, deliveries(**DAY_OF_MOMENT)),
    "whole_inbox": ("inbound_events", INBOUND_BY_ID, inbox(HALF)),
    "inbox_by_status": ("inbound_events", "inbound_events_by_status", inbox(HALF, status="failed")),
    "inbox_by_source": ("inbound_events", INBOUND_BY_SOURCE, inbox(HALF, ours=True)),
    "inbox_by_time": ("inbound_events", INBOUND_BY_ID, inbox(**DAY_OF_MOMENT)),
    "inbox_by_number": ("inbound_events", ONCE, inbox(external_id=NUMBER)),
}  # fmt: skip
QUESTIONS: dict[str, tuple[str, str, Question]] = {
    **OFTEN,
    "held_back": ("deliveries", "deliveries_by_comment", held_back),
    "retried": ("deliveries", "deliveries_by_comment", on_connection(
        lambda one: [comment_order.next_due(one, WITH_DELIVERIES)])),
    "deleted_since": ("deliveries", BY_ID, lambda _: [comment_order.is_over(db.session(), NUMBER)]),
    "redelivered": ("deliveries", f"deliveries_by_status|deliveries_by_finish|deliveries_by_comment|{BY_ID}",
        lambda _: forecast(Delivery, Deliveries(status="failed"))),
    "first_page_for_readers": ("comments", PUBLISHED,
        lambda _: public_comments.page(selected, None, 20).rows),
    "later_page_for_readers": ("comments", PUBLISHED,
        lambda _: public_comments.page(selected, f"{MIDDLE:032d}", 20).rows),
    "page_of_website_for_readers": ("comments", "comments_by_page",
        lambda _: public_comments.page(selected, None, 20, PAGE).rows),
    "later_of_website_for_readers": ("comments", "comments_by_page",
        lambda _: public_comments.page(selected, f"{MIDDLE + 150:032d}", 20, PAGE).rows),
    "count_of_website": ("comments", "comments_by_page",
        lambda _: [public_comments.count(selected, PAGE)]),
    "all_of_website": ("comments", "comments_by_page",
        lambda _: filtered_lists.comments(db.session(), None, page=PAGE).rows),
    "failed_deliveries": ("deliveries", "deliveries_by_status",
        lambda _: current_app.test_cli_runner().invoke(args="deliveries list --status failed").output),
    "old_deliveries": ("deliveries", "deliveries_by_finish", on_connection(old_deliveries)),
    "most_by_status": ("deliveries", f"deliveries_by_status|{BY_ID}", deliveries(HALF, status="processed")),
    "by_status_and_time": ("deliveries", f"deliveries_by_status|{BY_ID}",
        deliveries(status="new", since=MOMENT)),
    "by_webhook_and_time": ("deliveries", f"deliveries_by_webhook|{BY_ID}",
        deliveries(mine=True, since=MOMENT)),
    "by_event": ("deliveries", BY_ID, deliveries(HALF, event="comment.created")),
    "by_words": ("deliveries", f"deliveries_by_webhook|{BY_ID}", deliveries(HALF, mine=True, text="{")),
    "erased_comment": ("deliveries", "deliveries_by_comment", erased),
    "erased_inbound": ("inbound_events", f"inbound_events_by_comment|{ONCE}", erased),
    "erased_lately": ("deliveries", "deliveries_by_finish", on_connection(
        lambda one: [deleted_comments.lately(one, clock.now() - 2 * MINUTE)])),
    "most_of_inbox": ("inbound_events", f"inbound_events_by_status|{INBOUND_BY_ID}",
        inbox(HALF, status="processed")),
    "by_source_and_status": ("inbound_events", INBOUND_BY_SOURCE, inbox(HALF, ours=True, status="processed")),
    "by_source_and_number": ("inbound_events", ONCE, inbox(ours=True, external_id=NUMBER, status="failed")),
    "inbox_by_words": ("inbound_events", INBOUND_BY_SOURCE, inbox(HALF, ours=True, text="{", event="push")),
    "waiting_in_inbox": ("inbound_events", INBOUND_BY_STATUS,
        lambda _: statistics.count_some(db.session(), InboundEvent.status == "new", InboundEvent)),
    "reprocessed_in_inbox": ("inbound_events", INBOUND_BY_STATUS,
        lambda _: forecast(InboundEvent, InboundEvents(status="failed"))),
}  # fmt: skip


def statement_of(name: str, webhook_id: str) -> tuple[str, Any]:
    table, _, ask = QUESTIONS[name]
    with seen_about(table, "UPDATE" if name == "leased" else "SELECT") as seen:
        answer = ask(webhook_id)
    db.session.remove()
    assert answer
    assert len(seen) >= 1
    return seen[0]


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_question_goes_by_its_index(name: str, hook: str) -> None:
    table, index, _ = QUESTIONS[name]
    plan = explain(*statement_of(name, hook))
    assert goes_by_index(plan, table, index), plan


@pytest.mark.parametrize("name", OFTEN)
def test_it_does_in_a_generic_plan_too(name: str, hook: str) -> None:
    if db.engine.dialect.name != "postgresql":
        return  # the others have no such plans
    table, index, _ = QUESTIONS[name]
    plan = explain_prepared(*statement_of(name, hook))
    assert goes_by_index(plan, table, index), plan


@pytest.mark.parametrize("name", ["claim", "leased", "first_due", "open_webhooks", "oldest_due"])
def test_it_finds_earlier_ones_about_the_comment_by_their_index(name: str, hook: str) -> None:
    statement = statement_of(name, hook)
    plans = [explain(*statement)]
    if db.engine.dialect.name == "postgresql":
        plans.append(explain_prepared(*statement))
    for plan in plans:
        assert goes_by_index(plan, "earlier", "deliveries_by_comment"), plan


def test_a_full_scan_would_be_seen(hook: str) -> None:  # noqa: ARG001
    placeholder = "?" if db.engine.dialect.name == "sqlite" else "%s"
    statement = f"SELECT * FROM deliveries WHERE last_error = {placeholder}"
    assert not goes_by_index(explain(statement, ("x",)), "deliveries", "deliveries_by_due")
