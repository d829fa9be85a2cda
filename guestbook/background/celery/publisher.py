"""Publish many messages and wait until the broker has them all: publisher confirms, but not one by one."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kombu.exceptions import KombuError

from guestbook.background.celery.messages import QUEUES, celery_app

CONNECT_WAIT = 5.0  # seconds
CONFIRM_WAIT = 10.0  # seconds
# Nor does any other word from the broker take longer, nor its taking one from us.
PATIENCE = {"read_timeout": CONFIRM_WAIT, "write_timeout": CONFIRM_WAIT}


class BrokerAway(Exception):
    """The broker cannot be used now; the text says why, without the URL and its password."""


@dataclass(frozen=True, slots=True)
class Handover:
    """A row of a webhook's or source's that is given to whoever gets the message."""

    group: str
    id: str
    token: str


class Publisher:
    """A connection whose channel is in confirm mode. Use it as a context manager."""

    def __init__(self, broker_url: str) -> None:
        self._app = celery_app(broker_url)
        self._connection = self._app.connection_for_write(
            connect_timeout=CONNECT_WAIT, transport_options=PATIENCE
        )
        known = *self._connection.connection_errors, *self._connection.channel_errors
        self._faults = (*known, KombuError, OSError)
        self._published = 0
        self._open: set[int] = set()  # published and not yet confirmed, by their number on the channel
        self._refused: set[int] = set()

    def __enter__(self) -> "Publisher":
        """Connect and declare the queues; raises BrokerAway."""
        try:
            self._connection.connect()
            channel: Any = self._connection.channel()
            for queue in QUEUES.values():
                queue(channel).declare()
            channel.confirm_select()
            channel.events["basic_ack"].add(self._note_ack)
            channel.events["basic_nack"].add(self._note_nack)
            self._producer = self._app.amqp.Producer(channel)
        except self._faults as error:
            self._connection.collect()
            raise BrokerAway(_reason(error)) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is BrokerAway:  # it would not take leave of us either
            self._connection.collect()
            return
        with suppress(*self._faults):
            self._connection.close()

    def publish(self, task: str, rows: Sequence[Handover]) -> tuple[list[Handover], BrokerAway | None]:
        """Publish a persistent message for each; return those that the broker has not confirmed, and why."""
        numbers: dict[int, Handover] = {}
        fault: BrokerAway | None = None
        try:
            for row in rows:
                self._published += 1
                numbers[self._published] = row
                self._open.add(self._published)
                self._app.send_task(
                    task, (row.id, row.token), producer=self._producer, queue=QUEUES[task], retry=False
                )
            self._wait()
        except self._faults as error:
            fault = BrokerAway(_reason(error))
        missing = self._open | self._refused
        if missing and fault is None:
            fault = BrokerAway("it does not confirm what it gets")
        sent = [row for number, row in numbers.items() if number in missing]
        return [*sent, *rows[len(numbers) :]], fault

    def _wait(self) -> None:
        give_up = time.monotonic() + CONFIRM_WAIT
        while self._open and (left := give_up - time.monotonic()) > 0:
            try:
                self._connection.drain_events(timeout=left)
            except TimeoutError:
                return

    def _note_ack(self, number: int, multiple: bool) -> None:
        self._open -= self._meant(number, multiple)

    def _note_nack(self, number: int, multiple: bool) -> None:
        meant = self._meant(number, multiple)
        self._open -= meant
        self._refused |= meant

    def _meant(self, number: int, multiple: bool) -> set[int]:
        return {one for one in self._open if one <= number} if multiple else {number}


def _reason(error: BaseException) -> str:
    words = getattr(error, "reply_text", None) or getattr(error, "strerror", None) or str(error)
    return str(words).strip().rstrip(".") or "it does not answer"  # silence has no words of its own
