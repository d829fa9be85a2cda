"""The figures of a pass over the inbox."""

from collections import Counter
from dataclasses import dataclass, field

from guestbook.inbound.decision import InboundDecision
from guestbook.inbound.evaluate import ReceivedEvent
from guestbook.storage.models import Source


@dataclass(slots=True)
class Counts:
    """What a pass did in the inbox."""

    processed: int = 0
    refused: int = 0  # not genuine or not readable: the sender's error
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)  # by the source's name and id: ours
    log_lines: list[tuple[str, dict[str, object]]] = field(default_factory=list)  # logged after the commit

    def add(self, other: "Counts") -> None:
        """Add the figures of a batch."""
        self.processed += other.processed
        self.refused += other.refused
        self.failed += other.failed

    def count(
        self, event: ReceivedEvent, source: Source, decision: InboundDecision, note: str | None
    ) -> None:
        """Count one event, and keep its line for the log."""
        if not decision.error:
            self.processed += 1
        elif decision.is_genuine:
            self.failed[source.name, source.id] += 1
        else:
            self.refused += 1
        what = decision.metadata.event or "an event"
        fate = f"failed. {decision.error}" if decision.error else f"processed. {note or ''}".rstrip()
        fields: dict[str, object] = {
            "inbound_event_id": event.id,
            "source_id": source.id,
            "event": decision.metadata.event,
        }
        self.log_lines.append((f"{event.id} {what} of {source.name}: {fate}", fields))
