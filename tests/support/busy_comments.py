"""Comments to which much happens while webhooks about them are sent, and a check of what arrived."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from sqlalchemy import update
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
        rows = self._store.deliveries()
        places = {row.event_id: Arrival(row.sequence, row.event) for row in rows}
        arrived: dict[tuple[str, str], list[Arrival]] = defaultdict(list)
        came = set()
        for line in sorted(lines, key=lambda line: line.at):
            comment_id = line.json["data"]["comment"]["id"]  # The rows forget it when the comment is deleted.
            arrived[webhooks[line.path], comment_id].append(places[line.event_id])
            came.add((webhooks[line.path], line.event_id))
        for pair, order in arrived.items():
            numbers = [place.sequence for place in order]
            assert numbers == sorted(numbers), f"out of order: {pair}"
        for row in rows:
            assert row.status != "new", row
            if row.status == "processed":
                assert (row.webhook_id, row.event_id) in came, f"lost: {row}"
            if row.event == END:  # nothing that was superseded comes after it
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


def webhooks(store: Book, receiver: Receiver, count: int) -> dict[str, str]:
    """Add webhooks that hear of everything; return their ids by path."""
    paths = [f"/{number}" for number in range(count)]
    return {path: store.webhook(receiver.url(path), events=ALL) for path in paths}
