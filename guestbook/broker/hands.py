"""What a worker does with a message: take the row over, do it as a pass would, record it."""

import re
import time
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, select

from guestbook import clock, database, errands, ids, queue, record, schedule, sender
from guestbook.broker.gate import Gate
from guestbook.errands import Receivers
from guestbook.inbox.worker import Counts, Inbox
from guestbook.models import DELIVERIES, Webhook
from guestbook.record import Tally
from guestbook.sender import Errand, Outcome
from guestbook.settings import Settings

GIVE_BACK = timedelta(seconds=2)  # until a delivery is published again whose webhook has its share of threads
ROW_ID = re.compile("[0-9a-f]{32}")
TOKEN = re.compile(r"[\w.]{1,64}", re.ASCII)


class Hands:
    """One for all threads of a worker."""

    def __init__(self, engine: Engine, settings: Settings, threads: int) -> None:
        self._engine = engine
        self._settings = settings
        self._lease = schedule.lease(settings.timeout)
        self._gate = Gate(threads)
        self._receivers = Receivers()
        transport = errands.transport(settings)
        self._sender = sender.Sender(transport, timeout=settings.timeout, base_url=settings.base_url)
        self._inbox = Inbox(engine, settings)

    def deliver(self, delivery_id: object, token: object) -> Tally:
        """Send the delivery if it is still under the token; return what came of it."""
        if not _are_good(delivery_id, token):
            return Tally()
        lease_end = time.monotonic() + self._lease.total_seconds()
        take_over = partial(self._take_over, str(delivery_id), str(token), lease_end)
        errand = database.insist(self._engine, take_over)
        if errand is None:
            return Tally()
        self._gate.enter(errand.receiver.webhook_id, errand.id)
        try:
            outcome = self._sender.attempt(errand)
        finally:
            self._gate.leave(errand.receiver.webhook_id, errand.id)
        return database.insist(self._engine, partial(self._record, outcome))

    def process(self, event_id: object, token: object) -> Counts:
        """Work through the inbound event if it is still under the token; return what came of it."""
        return self._inbox.work_on(str(event_id), str(token)) if _are_good(event_id, token) else Counts()

    def _take_over(
        self, delivery_id: str, token: str, lease_end: float, connection: Connection
    ) -> Errand | None:
        row = queue.handed_over(connection, DELIVERIES, delivery_id, token)
        if row is None:
            return None
        now = clock.now()
        query: Any = select(*errands.COLUMNS).where(Webhook.id == row.webhook_id, Webhook.open_at(now))
        webhook = connection.execute(query).first()
        if webhook is None or self._gate.is_full(webhook.id):
            due_at = now if webhook is None else now + GIVE_BACK
            back = {"row_id": delivery_id, "token": token, "due_at": due_at}
            queue.release(connection, DELIVERIES, [back])
            return None
        own = f"worker.{ids.new()}"
        queue.take_over(connection, DELIVERIES, row.id, until=now + self._lease, token=own)
        to, _ = self._receivers.of(webhook, now)
        return errands.errand(row, own, lease_end, to)

    def _record(self, outcome: Outcome, connection: Connection) -> Tally:
        tally = Tally()
        record.outcomes(connection, [outcome], self._settings, tally)
        return tally


def _are_good(row_id: object, token: object) -> bool:
    """Whether a message can mean a row: anybody who may use the broker can put anything into it."""
    return (
        isinstance(row_id, str)
        and isinstance(token, str)
        and bool(ROW_ID.fullmatch(row_id) and TOKEN.fullmatch(token))
    )
