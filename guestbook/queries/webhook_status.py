"""How webhooks and sources are doing, in words for the owner."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session, defer, load_only

from guestbook.lib import clock, retry_policy
from guestbook.lib.text import counted, for_people
from guestbook.queries import statistics
from guestbook.storage import disk_budget_of_source
from guestbook.storage.models import FIRST_DUE, AttemptCount, Delivery, InboundEvent, Source, Webhook
from guestbook.transport import failure

NEXT_DELIVERIES = 10
NOT_TRIED = "not tried yet"
# Deliveries from before the book counted attempts have no count.
_TRIED = or_(
    exists().where(AttemptCount.webhook_id == Webhook.id),
    exists().where(Delivery.webhook_id == Webhook.id, Delivery.due_at.is_(None), Delivery.attempts > 0),
)
UNREADABLE_WEBHOOK = "Its secrets cannot be decrypted with this secret key"


@dataclass(frozen=True, slots=True)
class WebhookStatus:
    """The status of a webhook. Counts end at COUNT_LIMIT and one, which means more than that."""

    webhook: Webhook
    word: str  # well, failing, paused or disabled
    shown: str  # The word for people, who also see which webhook was not tried yet.
    sentence: str
    waiting: int

    @property
    def fails(self) -> bool:
        """Whether it is not healthy, and not because its owner disabled it."""
        return self.word != "well" and self.webhook.disabled_reason != "by_hand"


def all_of(session: Session, now: datetime) -> list[WebhookStatus]:
    """Return the status of all webhooks, the oldest first."""
    webhooks = session.scalars(select(Webhook).order_by(Webhook.id)).all()
    return [of(session, webhook, now) for webhook in webhooks]


def failing_ones(session: Session, now: datetime) -> list[WebhookStatus]:
    """Return the status of those that are not healthy and that their owner has not disabled."""
    rows = session.scalars(select(Webhook).order_by(Webhook.id)).all()
    unwell = [row for row in rows if word(row, now) != "well"]
    return [one for one in (of(session, row, now) for row in unwell) if one.fails]


def count_states(session: Session, now: datetime) -> Counter[str]:
    """Return how many webhooks are in each status, by the words for people."""
    tried = set(session.scalars(select(Webhook.id).where(_TRIED)))
    return Counter(_shown(word(row, now), row.id in tried) for row in session.scalars(select(Webhook)))


def of(session: Session, webhook: Webhook, now: datetime) -> WebhookStatus:
    """Return the status of one webhook."""
    mine = (Delivery.webhook_id == webhook.id) & Delivery.due_at.is_not(None)
    waiting, state = statistics.count_some(session, mine, Delivery), _state(webhook, now)
    shown = shown_word(session, webhook, now)
    if state == "disabled":
        sentence = _why_disabled(webhook, waiting)
    elif state == "unreadable":
        waits = f": {_wait(waiting, 'for the right secret key')}" if waiting else ", and nothing waits"
        sentence = f"{UNREADABLE_WEBHOOK}{waits}."
    elif state == "paused":
        sentence = _why_paused(webhook, waiting)
    elif state == "failing":
        first_due = session.scalar(select(FIRST_DUE).where(Webhook.id == webhook.id))
        sentence = _why_failing(webhook, now, first_due, waiting)
    elif webhook.is_pulled:
        waits = _wait(waiting, "to be fetched") if waiting else "nothing waits"
        sentence = f"Its receiver fetches the deliveries, and {waits}."
    else:
        waits = _wait(waiting, "to be sent") if waiting else "nothing waits for it"
        so_far = "Nothing was sent to it yet" if shown == NOT_TRIED else "Nothing is wrong"
        sentence = f"{so_far}, and {waits}."
    return WebhookStatus(webhook, word(webhook, now), shown, sentence, waiting)


def word(webhook: Webhook, now: datetime) -> str:
    """Return its status in one word: well, failing, paused or disabled."""
    return _state(webhook, now).replace("unreadable", "paused")


def shown_word(session: Session, webhook: Webhook, now: datetime) -> str:
    """Return its status in the word for people: it is healthy only if something was sent to it."""
    return _shown(
        word(webhook, now), bool(session.scalar(select(Webhook.id).where(_TRIED, Webhook.id == webhook.id)))
    )


def _shown(found: str, was_tried: bool) -> str:
    return NOT_TRIED if found == "well" and not was_tried else for_people(found)


def _state(webhook: Webhook, now: datetime) -> str:
    if webhook.disabled_at:
        return "disabled"
    if webhook.is_unreadable(now):
        return "unreadable"
    if webhook.is_paused(now):
        return "paused"
    return "failing" if webhook.failing_since else "well"


def in_short(webhook: Webhook, now: datetime) -> str:
    """Return its status in a few words, as the API does."""
    why_disabled = {
        "by_hand": "disabled by hand",
        "failing": "disabled: no success for days",
        "gone": "disabled: the receiver said it is gone",
    }
    return {
        "disabled": why_disabled[webhook.disabled_reason or "by_hand"],
        "unreadable": "paused: wrong secret key",
        "paused": f"paused until {clock.to_text(webhook.paused_until or now)}",
        "failing": f"failing since {clock.to_text(webhook.failing_since or now)}",
        "well": "well",
    }[_state(webhook, now)]


def hindrance(webhook: Webhook, now: datetime, what: str = "ping") -> str | None:
    """Say why a ping, or what it is, has to wait, and for how long; None if it is sent now."""
    why = {
        "disabled": f"The webhook is disabled: the {what} waits until it is enabled.",
        "unreadable": f"{UNREADABLE_WEBHOOK}. The {what} waits for the right one.",
        "paused": f"The webhook is paused: the {what} waits until {_clock_time(webhook.paused_until)}.",
    }
    fetched = f"The {what} waits until its receiver fetches it." if webhook.is_pulled else None
    return why.get(_state(webhook, now), fetched)


def _why_disabled(webhook: Webhook, waiting: int) -> str:
    how, why = {
        "by_hand": (" by hand", ""),
        "failing": ("", " because it had no success for five days"),
        "gone": ("", " because its receiver said that it is gone"),
    }[webhook.disabled_reason or "by_hand"]
    since = clock.ago(webhook.disabled_at) if webhook.disabled_at else ""
    waits = "Nothing waits for it" if not waiting else f"Its {_wait(waiting, 'until it is enabled')}"
    return f"Disabled{how} {since}{why}. {waits}."


def _why_paused(webhook: Webhook, waiting: int) -> str:
    until = _clock_time(webhook.paused_until)
    waits = f" Its {_wait(waiting, 'until then')}." if waiting else ""
    if webhook.was_paused_as_unreadable:
        return f"Paused until {until}, because its secrets could not be decrypted. Now they can.{waits}"
    if webhook.unreachable_in_a_row < retry_policy.PAUSE_AFTER:
        return f"Paused until {until}, as the receiver requested.{waits}"
    times = f"{webhook.unreachable_in_a_row} times in a row"
    return (
        f"{_failing(webhook)}. Paused until {until}, because the receiver could not be reached {times}; "
        f"next probe then.{waits}"
    )


def _why_failing(webhook: Webhook, now: datetime, first_due: datetime | None, waiting: int) -> str:
    count = webhook.failures_in_a_row
    failures = f"{_failing(webhook)} ({counted(count, 'failure')} in a row)"
    if first_due is None:
        return f"{failures}; nothing waits, so the next event is the next probe."
    probe = "its receiver may fetch the next one" if webhook.is_pulled else "next probe"
    when = clock.ago(first_due) if first_due > now else "now"
    return f"{failures}; {probe} {when}. Its {_wait(waiting, 'for it')}."


def _failing(webhook: Webhook) -> str:
    if not webhook.failing_since:
        return "Failing"
    age = clock.ago(webhook.failing_since)
    return f"Failing for {age.removesuffix(' ago')}" if age.endswith(" ago") else "Failing since just now"


def _wait(waiting: int, for_what: str) -> str:
    return statistics.waiting_words(waiting, "delivery", "deliveries", for_what)


def _clock_time(moment: datetime | None) -> str:
    return f"{moment:%H:%M} UTC ({clock.ago(moment)})" if moment else ""


def coming_deliveries(session: Session, webhook_id: str) -> Sequence[Delivery]:
    """Return the deliveries that are sent next, the first one first, without their payloads."""
    waiting = select(Delivery).where(Delivery.webhook_id == webhook_id, Delivery.due_at.is_not(None))
    waiting = waiting.options(defer(Delivery.payload)).order_by(Delivery.due_at, Delivery.id)
    return session.scalars(waiting.limit(NEXT_DELIVERIES)).all()


def answer_of(delivery: Delivery) -> str:
    """Return the code of the last answer, or in short why there was none; empty before the first attempt."""
    code, error = delivery.last_status_code, delivery.last_error
    if code is None:
        return failure.in_short(error or "")
    # One that was delivered and is to go out again has no error.
    is_refused = 200 <= code < 300 and error and delivery.status != "processed"
    return f"{code} refused" if is_refused else str(code)


FULL = "Unverified events fill its {} MB. Until a pass makes room, {} is accepted."
LATEST_EVENT = (InboundEvent.id, InboundEvent.status, InboundEvent.error, InboundEvent.received_at)


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The status of a source. Counts end at COUNT_LIMIT and one, which means more than that."""

    source: Source
    word: str  # well, failing, silent or disabled
    sentence: str
    last_at: datetime | None  # when the latest event arrived
    waiting: int

    @property
    def shown(self) -> str:
        """Return the word for people."""
        return for_people(self.word)


def all_sources(session: Session, *, limit: int | None = None) -> list[SourceStatus]:
    """Return the status of all sources or of so many, the oldest first."""
    query = select(Source).order_by(Source.id).limit(limit)
    return [of_source(session, source) for source in session.scalars(query)]


def of_source(session: Session, source: Source) -> SourceStatus:
    """Return the status of one source."""
    mine = InboundEvent.source_id == source.id
    newest = select(InboundEvent).where(mine).order_by(InboundEvent.id.desc()).limit(1)
    latest = session.scalars(newest.options(load_only(*LATEST_EVENT))).first()
    waiting = statistics.count_some(session, mine & InboundEvent.due_at.is_not(None), InboundEvent)
    word, sentence = _source_words(source, latest, waiting)
    if disk_budget_of_source.is_full(source) and waiting:
        still = "nothing more" if source.verify == "none" else "only what it has signed"
        sentence += f" {FULL.format(source.budget_mb, still)}"
    return SourceStatus(source, word, sentence, latest.received_at if latest else None, waiting)


def _source_words(source: Source, latest: InboundEvent | None, waiting: int) -> tuple[str, str]:
    if source.disabled_at:
        waits = _source_wait(waiting, "until it is enabled")
        return "disabled", f"Disabled {clock.ago(source.disabled_at)}: what comes is stored, no more. {waits}"
    if latest is None:
        return "silent", "Nothing has come yet."
    came = clock.ago(latest.received_at)
    if latest.status == "failed":
        return "failing", f"What came {came} failed. {latest.error or ''}".rstrip()
    return "well", f"The latest came {came}. {_source_wait(waiting, 'for the next pass')}"


def _source_wait(waiting: int, for_what: str) -> str:
    words = statistics.waiting_words(waiting, "event", "events", for_what)
    return f"{words[0].upper()}{words[1:]}." if waiting else "Nothing waits."
