"""A comment on hold: its link, the end of it, and one reminder for all that wait."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from guestbook.background import whole_pass
from guestbook.comments import comment_actions, comment_form, events_and_reminders
from guestbook.comments.comment_form import Draft
from guestbook.lib import clock, validate
from guestbook.storage import database, preferences
from guestbook.storage.database import db
from guestbook.storage.models import Hold
from tests.support import factories

HELD = factories.HELD
LONGEST = comment_form.read({
    **{"name": "😀" * 80, "website": "https://a.example/" + "😀" * 480, "message": "😀" * 4000},
    **{"place": "😀" * 60, "mood": "😀" * 40, "note": "😀" * 20},
})  # fmt: skip
pytestmark = pytest.mark.usefixtures("app")


def sent(event: str, webhook_id: str | None = None) -> list[dict[str, Any]]:
    """The data of that event's deliveries, the oldest first."""
    rows = [row for row in factories.deliveries() if row.event == event]
    return [json.loads(row.payload)["data"] for row in rows if webhook_id in (None, row.webhook_id)]


def held_webhook(**values: Any) -> str:
    events = "comment.created comment.published comments.waiting"
    return factories.webhook(**{"events": events, "moderation_links_since": clock.now(), **values})


def moved(comment_id: str, *statuses: str) -> None:
    for status in statuses:
        factories.change(comment_id, comment_actions.move, status)


def hold_of(comment_id: str) -> Hold:
    db.session.rollback()
    return db.session.get_one(Hold, comment_id)


def waited(by: timedelta, *comment_ids: str) -> None:
    """Let comments be held since longer ago."""
    with database.write(db.engine) as connection:
        for row in connection.execute(select(Hold).where(Hold.comment_id.in_(comment_ids))).all():
            times = {"held_at": row.held_at - by, "remind_at": row.remind_at and row.remind_at - by}
            connection.execute(update(Hold).where(Hold.comment_id == row.comment_id).values(times))


def test_only_webhooks_whose_owner_wants_it_get_the_link() -> None:
    with_links, without = held_webhook(), held_webhook(moderation_links_since=None)
    comment_id = factories.sign(verdict=HELD)
    [linked], [plain] = sent("comment.created", with_links), sent("comment.created", without)
    token = linked["moderation"]["url"].rpartition("/")[2]
    found = events_and_reminders.read_link(token, factories.settings().secret_keys)
    assert found.comment_id == comment_id == linked["comment"]["id"]
    assert timedelta(days=6) < found.expires_at - clock.now() <= timedelta(days=7)
    assert "moderation" not in plain
    assert linked | {"moderation": None} == plain | {"moderation": None}


def test_only_what_is_told_of_a_held_comment_has_a_link() -> None:
    held_webhook()
    comment_id = factories.sign()
    moved(comment_id, "held", "published")
    told = sent("comment.created") + sent("comment.published")
    assert (len(told), any("moderation" in one for one in told)) == (3, False)


def test_with_the_longest_comment_the_payload_stays_under_20_kb() -> None:
    assert not LONGEST.errors
    factories.written(lambda session: preferences.save(session, {"title": "😀" * preferences.TITLE_LIMIT}))
    held_webhook()
    page = "https://a.example/".ljust(validate.PAGE_LIMIT, "x")
    factories.written(
        lambda session: comment_actions.sign(session, LONGEST, HELD, settings=factories.settings(), page=page)
    )
    [delivery] = factories.deliveries()
    assert "moderation" in json.loads(delivery.payload)["data"]
    assert len(delivery.payload.encode()) < 20_000


@pytest.mark.parametrize("status", ["published", "spam", "trash"])
def test_a_decision_anywhere_ends_the_hold_and_another_hold_begins_anew(status: str) -> None:
    comment_id = factories.sign(verdict=HELD)
    before = hold_of(comment_id)
    assert (before.decided_at, before.action) == (None, None)
    assert before.remind_at == before.held_at + timedelta(days=1)
    waited(timedelta(hours=1), comment_id)
    since = hold_of(comment_id).held_at
    moved(comment_id, status)
    ended = hold_of(comment_id)
    assert (ended.remind_at, ended.action) == (None, None)
    assert ended.decided_at is not None
    moved(comment_id, "held")
    again = hold_of(comment_id)
    assert (again.decided_at, again.action) == (None, None)
    assert again.held_at > since


# --- the reminder


def test_after_a_day_a_pass_reminds_once_of_all_that_have_waited_half_as_long() -> None:
    webhook_id = held_webhook()
    plain = held_webhook(moderation_links_since=None)
    oldest, along, young = (factories.sign(verdict=HELD) for _ in range(3))
    waited(timedelta(hours=23, minutes=50), oldest)
    waited(timedelta(hours=13), along)
    factories.run_pass()
    assert sent("comments.waiting") == []
    waited(timedelta(minutes=11), oldest)
    factories.run_pass()
    factories.run_pass()
    [linked], [without] = sent("comments.waiting", webhook_id), sent("comments.waiting", plain)
    waiting = linked["waiting"]
    assert waiting["count"] == 3  # all that wait
    assert waiting["since"] == clock.to_text(hold_of(oldest).held_at)
    assert [one["id"] for one in waiting["comments"]] == [oldest, along]
    for one in waiting["comments"]:
        token = one.pop("moderation")["url"].rpartition("/")[2]
        found = events_and_reminders.read_link(token, factories.settings().secret_keys)
        assert (found.comment_id, found.held_at) == (one["id"], hold_of(one["id"]).held_at)
    assert waiting == without["waiting"]
    assert hold_of(young).remind_at is not None
    assert hold_of(along).remind_at is None


def test_the_next_reminder_tells_of_those_alone_that_were_in_none() -> None:
    held_webhook()
    first, second = factories.sign(verdict=HELD), factories.sign(verdict=HELD)
    waited(timedelta(days=1), first)
    factories.run_pass()
    waited(timedelta(days=1), first, second)
    factories.run_pass()
    told = [one["waiting"] for one in sent("comments.waiting")]
    named = [(one["count"], [row["id"] for row in one["comments"]]) for one in told]
    assert named == [(2, [first]), (2, [second])]


def test_of_what_was_decided_or_deleted_nobody_is_reminded() -> None:
    held_webhook()
    decided, deleted = factories.sign(verdict=HELD), factories.sign(verdict=HELD)
    waited(timedelta(days=2), decided, deleted)
    moved(decided, "trash")
    factories.change(deleted, comment_actions.delete)
    factories.run_pass()
    assert sent("comments.waiting") == []
    assert hold_of(decided).remind_at is None


def test_a_flood_is_one_reminder_without_words_and_under_20_kb() -> None:
    held_webhook()
    flood = [factories.sign_draft(Draft("Secret name", None, "Secret words", {}), HELD) for _ in range(15)]
    waited(timedelta(days=1), *flood)
    factories.run_pass()
    [delivery] = [row for row in factories.deliveries() if row.event == "comments.waiting"]
    waiting = json.loads(delivery.payload)["data"]["waiting"]
    assert (waiting["count"], len(waiting["comments"])) == (15, 10)
    assert "Secret" not in delivery.payload
    assert len(delivery.payload.encode()) < 20_000
    assert all(hold_of(one).remind_at is None for one in flood)


def test_a_reminder_from_before_a_clock_jump_does_not_wait_for_years() -> None:
    held_webhook()
    comment_id = factories.sign(verdict=HELD)
    waited(timedelta(days=-400), comment_id)
    factories.run_pass()
    assert len(sent("comments.waiting")) == 1


def test_rows_of_retention_go_seven_days_after_the_decision() -> None:
    kept, old, held = (factories.sign(verdict=HELD) for _ in range(3))
    moved(kept, "published")
    moved(old, "published")
    with database.write(db.engine) as connection:
        ago: datetime = clock.now() - timedelta(days=7, minutes=1)
        connection.execute(update(Hold).where(Hold.comment_id == old).values(decided_at=ago))
    whole_pass.prune(db.engine, factories.settings(), until=float("inf"))
    assert set(db.session.scalars(select(Hold.comment_id))) == {kept, held}
