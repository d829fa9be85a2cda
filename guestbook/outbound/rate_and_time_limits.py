"""What limits a pass: the seconds of a request, and the rates of webhooks."""

import math
import random
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, literal_column, select, update

from guestbook.lib import clock
from guestbook.lib.rate_counters import BEGIN_WITHIN, LONGEST_ROOM_WAIT, RateLimit, SlidingLog
from guestbook.queue import claims
from guestbook.storage.engines import SECONDS_BY_SERVER
from guestbook.storage.models import Webhook

LEAST_TIME = 0.2  # seconds: with less left, no attempt begins


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """When a pass must be over, and which webhooks are known to be slow."""

    until: float = math.inf  # On the monotonic clock; what still runs then is cut.
    slow: frozenset[str] = frozenset()  # Their attempts were cut lately.
    skips_slow: bool = False  # Nothing is sent to those.
    cut: set[str] = field(default_factory=set)  # This pass has cut their attempts.

    @property
    def skipped(self) -> frozenset[str]:
        """Return the webhooks that get nothing."""
        return self.slow if self.skips_slow else frozenset()

    def left(self, most: float) -> float:
        """Return how many seconds an attempt may take that could take `most`; 0 if it must not begin."""
        seconds = min(most, self.until - time.monotonic())
        return seconds if seconds >= min(most, LEAST_TIME) else 0.0

    def choose(self, webhooks: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
        """Return those to send to now: healthy ones, and the others once nothing is due for these."""
        if self.until == math.inf:
            return webhooks
        open_ = [row for row in webhooks if row.id not in self.skipped]
        healthy = [row for row in open_ if not row.unreachable_in_a_row and row.id not in self.slow]
        chosen = healthy or open_
        return random.sample(chosen, len(chosen))


NO_LIMIT = TimeLimit()


@dataclass(slots=True, eq=False)
class Slot:
    """The permission for one attempt. A sender thread uses it."""

    entry: int  # Its entry in the sliding log.
    claimed: float  # on the monotonic clock, just before `at`
    at: float  # the time of the claim by the database, in seconds since 1970
    begun: float | None = None  # by the database's clock
    was_missed: bool = False

    def begin(self) -> bool:
        """Begin the attempt now; False when it is too late, and nothing may be sent."""
        waited = time.monotonic() - self.claimed
        if waited > BEGIN_WITHIN:
            self.was_missed = True
        else:
            self.begun = self.at + waited
        return not self.was_missed

    @property
    def is_used(self) -> bool:
        """Whether the log can be corrected."""
        return self.was_missed or self.begun is not None


@dataclass(slots=True)
class Budget:
    """What one webhook may have in this claim. Its row is locked."""

    log: SlidingLog
    stored: str | None  # The row has the log like this.
    claimed: float
    at: float
    slots: list[Slot] = field(default_factory=list)  # Their entries are still to be corrected.

    def take(self, number: int) -> list[Slot]:
        """Take so many slots, at most the log's room."""
        entry = self.log.enter(self.at + BEGIN_WITHIN, number) if number else 0
        new = [Slot(entry, self.claimed, self.at) for _ in range(number)]
        self.slots += new
        return new


class RateLimiter:
    """One for a pass or for all threads of a worker; one thread at a time makes claims."""

    def __init__(self) -> None:
        self._slots: dict[str, list[Slot]] = {}  # By webhook.
        self._changed: dict[str, list[Slot]] = {}  # The open transaction has these.

    def open(self, connection: Connection, webhook_ids: Collection[str]) -> dict[str, Budget]:
        """Lock the rows of these limited webhooks, and return the budgets of those that nobody else has."""
        self._changed = {}
        wanted = sorted({*webhook_ids, *self._used()})
        if not wanted:
            return {}
        claimed, now = time.monotonic(), clock.now().timestamp()
        # On SQLite all share one host and its clock.
        server_time: Any = literal_column(SECONDS_BY_SERVER.get(connection.dialect.name, "NULL"))
        query: Any = select(Webhook.id, Webhook.rate, Webhook.rate_log, server_time.label("at"))
        query = query.where(Webhook.id.in_(wanted), Webhook.rate.is_not(None)).order_by(Webhook.id)
        query = claims.use_index(query, Webhook, claims.BY_ID)
        rows = connection.execute(query.with_for_update(skip_locked=True, key_share=True))
        return {row.id: self._budget(row, claimed, now if row.at is None else float(row.at)) for row in rows}

    def store(self, connection: Connection, budgets: dict[str, Budget]) -> None:
        """Store the logs that have changed, and when each webhook may have its next attempt."""
        for webhook_id, budget in budgets.items():
            self._changed[webhook_id] = budget.slots
            text, opens_in = budget.log.text, budget.log.opens_in
            next_at = clock.now() + timedelta(seconds=opens_in) if opens_in else None
            if text != budget.stored or opens_in:
                change = update(Webhook).where(Webhook.id == webhook_id)
                connection.execute(change.values(rate_log=text, next_slot_at=next_at))

    @property
    def is_behind(self) -> bool:
        """Whether attempts have started and their moments are not in the logs yet: others wait too long."""
        return bool(self._used())

    def committed(self) -> None:
        """Note that the transaction of the last `store` is committed."""
        long_ago = time.monotonic() - 2 * LONGEST_ROOM_WAIT
        for webhook_id, slots in self._changed.items():
            self._slots[webhook_id] = [slot for slot in slots if slot.claimed > long_ago]
        self._changed = {}

    def _used(self) -> list[str]:
        """Return the webhooks to look at; one that is deleted or has no limit any more is soon left alone."""
        since = time.monotonic() - 2 * BEGIN_WITHIN
        lately = ((key, (slot for slot in some if slot.claimed > since)) for key, some in self._slots.items())
        return [key for key, slots in lately if any(slot.is_used for slot in slots)]

    def _budget(self, row: Any, claimed: float, at: float) -> Budget:
        """Read a row's log, and correct the entries of slots that were used since the last claim."""
        log = SlidingLog(RateLimit.stored(row.rate), row.rate_log or "", at)
        budget = Budget(log, row.rate_log, claimed, at)
        for slot in self._slots.get(row.id, ()):
            if slot.is_used:
                budget.log.move(slot.entry, slot.begun)
            else:
                budget.slots.append(slot)
        return budget
