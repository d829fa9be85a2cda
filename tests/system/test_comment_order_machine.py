"""A property test of the order: whatever happens to a comment, its events reach each receiver in order.

A request arrives while the lease of its delivery lasts, also when its pass is killed afterwards.
"""

import json
from collections import defaultdict
from datetime import timedelta
from typing import NamedTuple

import pytest
from flask import Flask
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from sqlalchemy import select

from guestbook.comments import comment_actions
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock
from guestbook.outbound import delivery_tasks
from guestbook.outbound.delivery_tasks import DeliveryTask, Outcome
from guestbook.queue import redelivery
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Delivery
from guestbook.storage.models.comment import KNOWN_STATUSES
from tests.support import factories
from tests.support.amount import examples
from tests.system import outbox_machine
from tests.system.outbox_machine import VERDICTS, Clock, OutboxMachine

ALL = "comment.created comment.published comment.replied comment.deleted"
KINDS = st.sampled_from(["success", "success", "failure", "abort", "unsent"])
END = "comment.deleted"


class Place(NamedTuple):
    """Where an event belongs: one webhook hears of one comment."""

    webhook_id: str
    comment_id: str
    sequence: int
    event: str


class Order(OutboxMachine):
    """The steps that may happen in any order, and what each receiver has seen."""

    EVENTS = (ALL, "comment.created comment.deleted", "comment.created comment.published")

    def __init__(self, turned: Clock) -> None:
        super().__init__(turned)
        self.places: dict[str, Place] = {}
        self.seen: dict[tuple[str, str], list[Place]] = defaultdict(list)
        self.redelivered: set[tuple[str, str]] = set()
        self.comments: list[str] = []  # as of the last look
        self.gone: set[str] = set()  # comments that were deleted for good

    # --- the steps

    @rule(verdict=st.sampled_from(VERDICTS))
    def sign(self, verdict: Classification) -> None:
        if len(self.comments) < 2:  # so that much happens to each
            factories.sign(verdict=verdict)
            self._learn()

    @precondition(lambda self: self.comments)
    @rule(data=st.data(), status=st.sampled_from(["published", "held", "trash", "spam", "restore"]))
    def move(self, data: st.DataObject, status: str) -> None:
        with database.writing() as session:
            [comment] = comment_actions.lock(session, [data.draw(st.sampled_from(self.comments))])
            comment_actions.move(
                session, comment, comment.home if status == "restore" else status, factories.settings()
            )
        self._learn()

    @precondition(lambda self: self.comments)
    @rule(data=st.data(), words=st.sampled_from(["Thanks", "Thank you"]))
    def reply(self, data: st.DataObject, words: str) -> None:
        with database.writing() as session:
            [comment] = comment_actions.lock(session, [data.draw(st.sampled_from(self.comments))])
            comment_actions.reply(session, comment, words, factories.settings())
        self._learn()

    @precondition(lambda self: self.comments)
    @rule(data=st.data())
    def delete_for_good(self, data: st.DataObject) -> None:
        comment_id = data.draw(st.sampled_from(self.comments))
        with database.writing() as session:
            [comment] = comment_actions.lock(session, [comment_id])
            comment_actions.delete(session, comment, factories.settings())
        self.gone.add(comment_id)
        self._learn(comment_id)

    @precondition(lambda self: self.places)
    @rule(data=st.data())
    def redeliver(self, data: st.DataObject) -> None:
        wanted = data.draw(
            st.lists(st.sampled_from(sorted(self.places)), min_size=1, max_size=3, unique=True)
        )
        groups = redelivery.forecast(db.session(), Delivery, Delivery.id.in_(wanted), clock.now())
        with database.writing() as session:
            free = [row.id for row in redelivery.make_due(session, Delivery, wanted, clock.now())]
        assert len(free) == redelivery.total(groups)
        self.redelivered |= {self.places[row_id][:2] for row_id in free}

    @rule(limit=st.integers(1, 4))
    def claim(self, limit: int) -> None:
        with db.engine.connect() as connection:
            due = {hook.id for hook in delivery_tasks.open_with_due(connection, clock.now())}
        # A webhook with nothing to claim would keep a pass from its end.
        assert {task.receiver.webhook_id for task in self.take(limit)} == due

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """Let a pass record some of what it holds: sent with an answer, or given back unsent."""
        self.record([self._sent(task, data.draw(KINDS)) for task in self.some_held(data)])

    @precondition(lambda self: self.held)
    @rule(data=st.data(), was_sent=st.booleans())
    def kill(self, data: st.DataObject, was_sent: bool) -> None:
        held = data.draw(st.sampled_from(self.held))
        self.held.remove(held)
        for one in held if was_sent else ():
            self._sent(one, "success")

    @rule(seconds=st.sampled_from([1, 10, 100, 1000]))
    def time_goes_on(self, seconds: int) -> None:
        self.clock.moment += timedelta(seconds=seconds)

    # --- what holds after each

    @invariant()
    def all_holds(self) -> None:
        """Look at the tables once: for all that must hold, and for the next step."""
        query = select(Comment.id, Comment.last_sequence, Comment.status).order_by(Comment.id)
        with db.engine.connect() as connection:
            found = connection.execute(query).all()
        rows = self.rows()
        self.comments = [row.id for row in found]
        for comment in found:  # the numbers of a comment have no gap
            mine = {place.sequence for place in self.places.values() if place.comment_id == comment.id}
            assert mine == set(range(1, comment.last_sequence + 1))
        ended: dict[tuple[str, str], int] = defaultdict(int)
        for place in self.places.values():
            if place.event == END:
                ended[place[:2]] = max(ended[place[:2]], place.sequence)
        for key, place in self.places.items():  # nothing waits that a deletion has superseded
            if place.sequence < ended[place[:2]]:
                assert rows[key].status != "new", place
                assert rows[key].status == "processed" or not rows[key].payload, place
        known = {row.id for row in found if row.status in KNOWN_STATUSES}
        # Of a deleted comment only its deletion waits, and what is stored has its number.
        for row in rows.values():
            place = self.places[row.id]
            assert row.status != "new" or place.event == END or place.comment_id in known, place
            assert row.erased_at or json.loads(row.payload)["data"]["sequence"] == place.sequence

    def teardown(self) -> None:
        """In the end each receiver has been sent the newest state last."""
        self.send_all(self._deliver, timedelta(hours=2))
        rows = self.rows()
        newest: dict[tuple[str, str], Place] = {}
        for row in rows.values():
            place = self.places[row.id]
            if row.status == "processed":
                newest[place[:2]] = max(newest.get(place[:2], place), place, key=lambda one: one.sequence)
        for pair, place in newest.items():
            assert self.seen[pair][-1].sequence >= place.sequence, (self.seen[pair], place)

    # --- helpers

    def _deliver(self, held: list[DeliveryTask]) -> None:
        self.record([self._sent(task, "success") for task in held])

    def _sent(self, task: DeliveryTask, kind: str) -> Outcome:
        """Let a request arrive, if its lease still lasts, and check that it may."""
        if kind == "unsent" or clock.now() >= self.until[task.token]:
            return Outcome(task)
        place = self.places[task.id]
        seen = self.seen[place[:2]]
        for row in self.rows().values():
            other = self.places[row.id]
            if other[:2] == place[:2] and other.sequence < place.sequence:
                assert row.status != "new", (other, place)
        ended = max((past.sequence for past in seen if past.event == END), default=0)
        assert place.sequence >= ended, (seen, place)
        if place[:2] not in self.redelivered:
            assert place.sequence >= max((past.sequence for past in seen), default=0), (seen, place)
        if place.comment_id in self.gone and any(past.event == END for past in seen):
            assert place.event == END or place.sequence > ended
        seen.append(place)
        return self.outcome(task, kind)

    def _learn(self, comment_id: str | None = None) -> None:
        """Note where new deliveries belong. Those of a comment that has just gone do not say it."""
        for row in self.rows().values():
            if row.id not in self.places:
                mine = row.comment_id or comment_id
                assert mine
                self.places[row.id] = Place(row.webhook_id, mine, row.sequence, row.event)


def test_whatever_happens_the_events_about_a_comment_keep_their_order(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox_machine.run(app, monkeypatch, Order, examples=examples(20), steps=50)
