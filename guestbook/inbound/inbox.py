"""The inbox of a pass. Its processor is imported with the first event that is due: most passes have none."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from guestbook.lib import clock
from guestbook.lib.own_process import StopFlag
from guestbook.outbound.throttle import NO_LIMIT, TimeLimit
from guestbook.queue import poller
from guestbook.settings import Settings
from guestbook.storage.models import Source

if TYPE_CHECKING:
    from guestbook.inbound.processor import Processor
    from guestbook.inbound.verify_and_decide import InboundDecision


@dataclass(slots=True)
class Counts:
    """What a pass did in the inbox."""

    processed: int = 0
    retried: int = 0
    refused: int = 0  # not genuine or not readable: the sender's error
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)  # by the source's name and id: ours
    log_lines: list[tuple[str, dict[str, object]]] = field(default_factory=list)  # logged after the commit

    @property
    def all_failed(self) -> int:
        """Return how many events failed, whoever is to blame."""
        return self.failed.total() + self.refused

    def add(self, other: "Counts") -> None:
        """Add the figures of a batch."""
        self.processed += other.processed
        self.retried += other.retried
        self.refused += other.refused
        self.failed += other.failed

    def count(self, event_id: str, source: Source, decision: "InboundDecision", note: str | None) -> None:
        """Count one event, and keep its line for the log."""
        if decision.retry_at:
            self.retried += 1
        elif not decision.error:
            self.processed += 1
        elif decision.is_genuine:
            self.failed[source.name, source.id] += 1
        else:
            self.refused += 1
        what = decision.metadata.event or "an event"
        fate = f"{decision.fate}. {decision.error}" if decision.error else f"processed. {note or ''}".rstrip()
        fields: dict[str, object] = {
            "inbound_event_id": event_id,
            "source_id": source.id,
            "event": decision.metadata.event,
        }
        self.log_lines.append((f"{event_id} {what} of {source.name}: {fate}", fields))


class Inbox:
    """The part of a pass that processes inbound events, if there are any."""

    def __init__(
        self, engine: Engine, settings: Settings, *, threads: bool = True, limit: TimeLimit = NO_LIMIT
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._threads = threads
        self._limit = limit
        self._processor: Processor | None = None

    @property
    def counts(self) -> Counts:
        """Return what it did."""
        return self._processor.counts if self._processor else Counts()

    def anything_due(self, now: datetime) -> bool:
        """Whether an enabled source has something due. It takes no write lock."""
        due = self.next_due()
        return due is not None and due <= now

    def next_due(self) -> datetime | None:
        """Return when something of an enabled source is due, or comes due as its lease ends."""
        return poller.next_inbound_due(self._engine)

    def drain(self, *, until: float, stop: StopFlag) -> bool:
        """Process what is due, as `Processor.drain`; return whether there may be more."""
        if self._processor is None:
            if not self.anything_due(clock.now()):
                return False
            self._processor = self._new_processor()
        return self._processor.drain(until=until, stop=stop)

    def close(self) -> None:
        """Wait for the pages that are being read, and give back what was not started."""
        if self._processor:
            self._processor.close()

    def _new_processor(self) -> "Processor":
        from guestbook.inbound.processor import Processor

        return Processor(self._engine, self._settings, threads=self._threads, limit=self._limit)
