"""Comments to which much happens while webhooks about them are sent, and a check of what arrived."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from guestbook.comments import comment_actions
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES, Webhook
from tests.support import factories
from tests.support.book import Book
from tests.support.receiver import Receiver, Request

ALL = "comment.created comment.published comment.replied comment.deleted"
END = "comment.deleted"
VERDICTS = (Classification("published"), Classification("published"), Classification("held", ("why",)))
MOST_COMMENTS = 12  # at a time, so that much happens to each


class Arrival(NamedTuple):
    """The place of an event that arrived."""

    sequence: int
    event: str


class BusyComments:
    """Does one thing after the other, as visitors and the owner would, and knows which event is which."""

    def __init__(self, store: Book, seed: int) -> None:
        self._store = store
        self._luck = random.Random(seed)
        self._words = 0
        self._alive: list[str] = []
        self.events: dict[str, tuple[str, Arrival]] = {}  # by event id: its comment and place

    def act(self) -> None:
        """Do something to a comment."""
        if len(self._alive) < MOST_COMMENTS or self._luck.random() < 0.1:
            verdict = self._luck.choice(VERDICTS)
            self._written(lambda session: self._sign(session, verdict))
            return
        comment_id = self._luck.choice(self._alive)
        what = self._luck.choice(("reply", "reply", "held", "published", "published", "trash", "delete"))
        self._written(lambda session: self._change(session, comment_id, what), comment_id)
        if what == "delete":
            self._alive.remove(comment_id)

    def all_due(self) -> None:
        """Let the time come for all that waits, once nobody sends."""
        with database.write(self._store.engine) as connection:
            waits = DELIVERIES.c.status == "new"
            connection.execute(update(DELIVERIES).where(waits).values(due_at=clock.now(), claimed_by=None))
            connection.execute(update(Webhook).values(paused_until=None))

    def check(self, lines: Iterable[Request], webhooks: dict[str, str]) -> int:
        """Assert that each receiver heard of each comment in order; return how many events arrived.

        `webhooks` has the webhooks' ids by path.
        """
        arrived: dict[tuple[str, str], list[Arrival]] = defaultdict(list)
        for line in sorted(lines, key=lambda line: line.at):
            comment_id, place = self.events[line.event_id]
            arrived[webhooks[line.path], comment_id].append(place)
        for pair, places in arrived.items():
            assert [place.sequence for place in places] == sorted(place.sequence for place in places), pair
        for row in self._store.deliveries():
            comment_id, place = self.events[row.event_id]
            places = arrived[row.webhook_id, comment_id]
            assert row.status != "new", row
            if row.status == "processed":
                assert place in places, row
            if place.event == END:  # nothing that was superseded comes after it
                assert row.status == "processed" or row.erased_at, row
        return sum(map(len, arrived.values()))

    def _sign(self, session: Session, verdict: Classification) -> str:
        self._words += 1
        draft = Draft("Ada", None, f"Hello {self._words}", {})
        signed = comment_actions.sign(session, draft, verdict, settings=self._store.settings)
        return signed.id

    def _change(self, session: Session, comment_id: str, what: str) -> str:
        [comment] = comment_actions.lock(session, [comment_id])
        if what == "reply":
            self._words += 1
            comment_actions.reply(session, comment, f"Thanks {self._words}", self._store.settings)
        elif what == "delete":
            comment_actions.delete(session, comment, self._store.settings)
        else:
            comment_actions.move(session, comment, what, self._store.settings)
        return comment_id

    def _written(self, do: Callable[[Session], str], known: str | None = None) -> None:
        def once() -> str:
            return factories.written(lambda session: do(session))

        comment_id = database.retry_conflicts(once)
        db.session.remove()
        if known is None:
            self._alive.append(comment_id)
        self._learn(comment_id)

    def _learn(self, comment_id: str) -> None:
        columns = DELIVERIES.c.event_id, DELIVERIES.c.sequence, DELIVERIES.c.event
        query: Any = select(*columns).where(DELIVERIES.c.event_id.not_in(self.events))
        with self._store.engine.connect() as connection:
            for event_id, sequence, event in connection.execute(query):
                self.events[event_id] = comment_id, Arrival(sequence, event)


def webhooks(store: Book, receiver: Receiver, count: int) -> dict[str, str]:
    """Add webhooks that hear of everything; return their ids by path."""
    paths = [f"/{number}" for number in range(count)]
    return {path: store.webhook(receiver.url(path), events=ALL) for path in paths}
