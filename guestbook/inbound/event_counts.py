"""How many inbound events a pass has processed, and what became of the others."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guestbook.storage.models import Source

if TYPE_CHECKING:  # a pass without inbound events imports no decisions
    from guestbook.inbound.decision import InboundDecision


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
