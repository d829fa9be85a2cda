"""Look through deliveries, inbox, comments and audit log: filters, and pages by keyset, as quick in old age.

An index answers status, webhook and time. These cost nothing more in a book of years. For the rest, an event
or a word, a page looks at some thousand rows and says how far back it has come.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, ClassVar, Generic, Self, TypeVar
from urllib.parse import quote_plus

from sqlalchemy import ColumnElement, Select, and_, literal, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, defer, joinedload

from guestbook.lib import ids
from guestbook.lib.text import clean_line
from guestbook.storage.comment_fields import COMMENT_FIELDS
from guestbook.storage.models import (
    AuditEntry,
    Bin,
    BinRequest,
    Comment,
    Delivery,
    Hold,
    InboundEvent,
    ReceiverLink,
    Source,
    Token,
    Webhook,
)
from guestbook.storage.models.delivery import QUEUE_STATUSES

SCANNED_ROWS = 5000  # One page looks at so many rows.
SCANNED_PAYLOADS = 500  # Each payload in the inbox may hold a megabyte.
SEARCHED = [getattr(Comment, name) for name in COMMENT_FIELDS]
# The words for people, as they are typed, each with the status in the table.
DELIVERY_WORDS = {"waiting": "new", "retrying": "new", "delivered": "processed", "given-up": "failed"}
INBOUND_WORDS = {"waiting": "new", "processed": "processed", "failed": "failed"}
TRIED = {"waiting": False, "retrying": True}  # The table has one status for both.
LETTERS, WORDS = 200, 10  # A search is cut there: each word costs a look at every row.

Condition = ColumnElement[bool]
M = TypeVar("M")
L = TypeVar(
    "L", AuditEntry, Bin, BinRequest, Comment, Delivery, InboundEvent, ReceiverLink, Source, Token, Webhook
)


@dataclass(frozen=True, slots=True)
class RowPage(Generic[M]):
    """Some rows, newest first, and where the next page goes on."""

    rows: list[M]
    older: str | None  # Before this id there may be more; None at the end.
    looked_to: datetime | None = None  # It looked back so far, if that is why the page is not full.


@dataclass(frozen=True, slots=True)
class QueueFilter(ABC):
    """Which rows of a queue; None is all."""

    status: str | None = None  # A stored one, or a word for people.
    event: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None  # It is looked for in the payload and in what became of it.
    words: ClassVar[Mapping[str, str]]  # the words for people, each with the stored status
    model: ClassVar[type[Delivery] | type[InboundEvent]]
    left_out: ClassVar[tuple[InstrumentedAttribute[Any], ...]]  # A page does not read them: they may be long.

    @classmethod
    def statuses(cls) -> tuple[str, ...]:
        """Return all that `status` may be."""
        return tuple(dict.fromkeys((*cls.words, *QUEUE_STATUSES)))

    @property
    def word(self) -> str | None:
        """Return the status as the word for people; `new` stays where it has two of them."""
        fitting = [word for word, stored in self.words.items() if stored == self.status]
        return fitting[0] if len(fitting) == 1 else self.status

    def without_search(self) -> Self:
        """Return a filter for the same time and owner alone, which an index answers."""
        names = {"status", "event", "text", "sender", "external_id"} & {one.name for one in fields(self)}
        return replace(self, **dict.fromkeys(names))

    def page(self, session: Session, before: str | None = None, limit: int = 50) -> RowPage[Any]:
        """Return a page of these rows."""
        model: Any = self.model
        query = select(model).where(self.fast()).options(*map(defer, self.left_out))
        look = SCANNED_PAYLOADS if self.text and model is InboundEvent else SCANNED_ROWS
        return _page(session, model, query, self.slow(), before, limit, look)

    def fast(self) -> Condition:
        """Return the conditions that one index answers."""
        return and_(True, *_between(self.model, self.since, self.until), *self._indexed()[:1])

    def slow(self) -> list[Condition]:
        """Return the conditions for which rows must be looked at."""
        return [*self._indexed()[1:], *self._searched()]

    def condition(self) -> Condition:
        """Return all conditions as one."""
        return and_(self.fast(), *self.slow())

    @abstractmethod
    def _indexed(self) -> list[Condition]:
        """Return the conditions that have an index; the index of the first one is used."""

    @abstractmethod
    def _searched(self) -> Iterator[Condition]:
        """Yield the conditions that have no index."""

    def _by_status_and_owner(
        self, owner: InstrumentedAttribute[str], owner_id: str | None
    ) -> list[Condition]:
        of_owner = [owner == owner_id] if owner_id else []
        if self.status is None:
            return of_owner
        stored = self.words.get(self.status, self.status)
        if stored == "processed" and owner_id:  # There are many of these.
            return [*of_owner, self.model.status == stored]
        # Not bound: for a value that it does not know, PostgreSQL would plan to read past all others.
        return [self.model.status == literal(stored, literal_execute=True), *of_owner]


@dataclass(frozen=True, slots=True)
class Deliveries(QueueFilter):
    """Which deliveries; None is all."""

    webhook_id: str | None = None
    comment_id: str | None = None
    words = DELIVERY_WORDS
    model = Delivery
    left_out = (Delivery.payload,)

    def _indexed(self) -> list[Condition]:
        about_comment = [Delivery.comment_id == self.comment_id] if self.comment_id else []
        return [*about_comment, *self._by_status_and_owner(Delivery.webhook_id, self.webhook_id)]

    def _searched(self) -> Iterator[Condition]:
        if self.status in TRIED:
            yield (Delivery.attempts > 0) == TRIED[self.status]
        if self.event:
            yield Delivery.event == self.event
        if self.text:
            escaped = json.dumps(self.text, ensure_ascii=False)[1:-1]  # It stands so in the payload.
            said = _has(self.text, Delivery.payload, Delivery.last_error)
            yield said | _has(escaped, Delivery.payload)


@dataclass(frozen=True, slots=True)
class InboundEvents(QueueFilter):
    """Which inbound events; None is all. The event `issues` is `issues.opened` too."""

    source_id: str | None = None
    external_id: str | None = None
    sender: str | None = None  # A part of it is enough.
    words = INBOUND_WORDS
    model = InboundEvent
    left_out = (InboundEvent.headers, InboundEvent.payload)

    def _indexed(self) -> list[Condition]:
        conditions = self._by_status_and_owner(InboundEvent.source_id, self.source_id)
        if self.external_id:  # The index has the sources first, and there are few of them.
            every = InboundEvent.source_id.in_(select(Source.id))
            conditions.insert(0, every & (InboundEvent.external_id == self.external_id))
        return conditions

    def _searched(self) -> Iterator[Condition]:
        if self.event:
            with_action = InboundEvent.event.istartswith(f"{self.event}.", autoescape=True)
            yield (InboundEvent.event == self.event) | with_action
        if self.sender:
            yield _has(self.sender, InboundEvent.sender)
        if self.text:
            inside = [_has(spelling, InboundEvent.payload) for spelling in _spellings(self.text)]
            yield or_(_has(self.text, InboundEvent.error, InboundEvent.note), *inside)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries of the audit log; None is all."""

    action: str | None = None
    actor: str | None = None  # The kind of the actor.
    since: datetime | None = None
    until: datetime | None = None

    def page(self, session: Session, before: str | None = None, limit: int = 50) -> RowPage[AuditEntry]:
        """Return a page of these entries."""
        query = select(AuditEntry).where(*_between(AuditEntry, self.since, self.until))
        slow = [AuditEntry.action == self.action] if self.action else []
        slow += [AuditEntry.actor == self.actor] if self.actor else []
        return _page(session, AuditEntry, query, slow, before, limit)


def comments(
    session: Session,
    status: str | None,
    words: str | None = None,
    before: str | None = None,
    limit: int = 50,
    after: str | None = None,
    page: str | None = None,
) -> RowPage[Comment]:
    """Return a page of comments of that status, or of all, that have each of the words somewhere.

    `page` is that of a website.
    """
    # With all that a list shows, in one query.
    query = select(Comment).options(joinedload(Comment.reply), joinedload(Comment.origin))
    if status:
        query = query.where(Comment.status == status)
    if after:
        query = query.where(Comment.id > after)
    if page:
        query = query.where(Comment.page == page)
    wanted = clean_line((words or "")[:LETTERS]).split()[:WORDS]  # PostgreSQL refuses a NUL.
    slow = [_has(word, *SEARCHED) for word in wanted]
    return _page(session, Comment, query, slow, before, limit)


def with_webhook_names(
    session: Session, which: Condition, limit: int = 20, last: InstrumentedAttribute[Any] = Delivery.id
) -> list[tuple[Delivery, str]]:
    """Return the latest of these deliveries by that column, each with the name of its webhook."""
    query = select(Delivery, Webhook.name).join(Webhook, Webhook.id == Delivery.webhook_id).where(which)
    query = query.options(defer(Delivery.payload)).order_by(last.desc()).limit(limit)
    return [(row, name) for row, name in session.execute(query)]


def row_page(
    session: Session, model: type[L], before: str | None, limit: int, *which: Condition
) -> RowPage[L]:
    """Return a page of those rows."""
    query = select(model).where(*which)
    if issubclass(model, BinRequest):
        query = query.options(defer(model.headers), defer(model.body))  # They may be 300 kB each.
    return _page(session, model, query, [], before, limit)


def _page(
    session: Session,
    model: type[L],
    query: Select[L],
    slow: list[Condition],
    before: str | None,
    limit: int,
    look: int | None = None,
) -> RowPage[L]:
    query, edge = query.order_by(model.id.desc()), None
    if before:
        query = query.where(model.id < before)
    if slow:
        ids_only = query.with_only_columns(model.id)
        edge = session.scalar(ids_only.offset((look or SCANNED_ROWS) - 1).limit(1))
    if edge:
        query = query.where(model.id >= edge)
    rows = list(session.scalars(query.where(*slow).limit(limit + 1)))
    if len(rows) > limit:
        return RowPage(rows[:limit], rows[limit - 1].id)
    return RowPage(rows, edge, ids.moment_of(edge) if edge else None)


def _between(model: Any, since: datetime | None, until: datetime | None) -> list[Condition]:
    """Return the conditions for rows of that time, which the ids answer."""
    begun = [model.id >= ids.first_of(since)] if since else []
    return begun + ([model.id < ids.first_of(until)] if until else [])


def _spellings(text: str) -> set[str]:
    """Return how a word may stand in a payload: as it is, in JSON of either kind, or in a form."""
    in_json = {json.dumps(text, ensure_ascii=ascii_alone)[1:-1] for ascii_alone in (True, False)}
    return {text, quote_plus(text, errors="replace"), *in_json}


def _has(words: str, *columns: InstrumentedAttribute[Any]) -> Condition:
    return or_(*(column.icontains(words, autoescape=True) for column in columns))


def oldest_waiting_comment(session: Session) -> datetime | None:
    """Return since when the comment that has waited longest is held; None when none waits."""
    query = select(Hold.held_at).where(Hold.decided_at.is_(None)).order_by(Hold.held_at)
    return session.scalar(query.limit(1))
