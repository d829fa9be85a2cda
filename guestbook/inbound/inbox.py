"""The inbox of a pass. Its processor is imported with the first event that is due: most passes have none."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy import Engine

from guestbook.lib import clock
from guestbook.lib.current_process import StopFlag
from guestbook.outbound.rate_and_time_limits import NO_LIMIT, TimeLimit
from guestbook.queue import poller
from guestbook.settings import Settings
from guestbook.storage.models import Source
from guestbook.storage.models.source import BIN_PATH
from guestbook.transport.http_request_and_redirects import ReceiverAnswer

if TYPE_CHECKING:
    from guestbook.inbound.event_processor import Processor
    from guestbook.inbound.verify_and_decide import InboundDecision


@dataclass(slots=True)
class Counts:
    """What a pass did in the inbox."""

    processed: int = 0
    retried: int = 0
    refused: int = 0  # not genuine or not readable: the sender's error
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)  # by the source's name and id: ours
    # They are logged after the commit.
    log_lines: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)

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
        fate = f"will be retried at {clock.to_text(decision.retry_at)}" if decision.retry_at else "failed"
        fate = f"{fate}. {decision.error}" if decision.error else f"processed. {note or ''}".rstrip()
        event = decision.metadata.event
        fields = {"inbound_event_id": event_id, "source_id": source.id, "event": event}
        self.log_lines.append((f"{event_id} {event or 'an event'} of {source.name}: {fate}", fields))


@dataclass
class Inbox:
    """The part of a pass that processes inbound events, if there are any."""

    engine: Engine
    settings: Settings
    threads: bool = True
    limit: TimeLimit = NO_LIMIT
    _processor: "Processor | None" = None

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
        return poller.next_inbound_due(self.engine)

    def drain(self, *, until: float, stop: StopFlag) -> bool:
        """Process what is due, as `Processor.drain`; return whether there may be more."""
        if self._processor is None:
            if not self.anything_due(clock.now()):
                return False
            from guestbook.inbound.event_processor import Processor

            self._processor = Processor(self.engine, self.settings, threads=self.threads, limit=self.limit)
        return self._processor.drain(until=until, stop=stop)

    def take_delivery(
        self, url: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> ReceiverAnswer | None:
        """Answer what the book sends to one of its bins; None for any other URL. Any thread may call it."""
        home = self.settings.base_url + BIN_PATH
        if not url.startswith(home):
            return None
        from guestbook.inbound import request_bins

        address = urlsplit(url.removeprefix(home))
        return request_bins.take_delivery(
            self.engine, address, {**headers, "Host": urlsplit(url).netloc}, body, seconds
        )

    def close(self) -> None:
        """Wait for the pages that are being read, and give back what was not started."""
        if self._processor:
            self._processor.close()
