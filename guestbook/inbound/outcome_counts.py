"""What a pass did in the inbox, in figures and in a line for each event."""

from collections import Counter
from dataclasses import dataclass, field

from guestbook.inbound.evaluate import Arrived, Judgement
from guestbook.storage.models import Source


@dataclass(slots=True)
class Counts:
    """What a pass did in the inbox."""

    processed: int = 0
    refused: int = 0  # what was not genuine, or cannot be read: the sender's fault
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)  # by the source's name and id: ours

    def add(self, other: "Counts") -> None:
        """Take over the figures of a batch."""
        self.processed += other.processed
        self.refused += other.refused
        self.failed += other.failed

    def note(
        self, event: Arrived, source: Source, judgement: Judgement, note: str | None
    ) -> tuple[str, dict[str, object]]:
        """Count one event and return its line of the log, with the fields."""
        if not judgement.error:
            self.processed += 1
        elif judgement.is_genuine:
            self.failed[source.name, source.id] += 1
        else:
            self.refused += 1
        what = judgement.facts.event or "an event"
        fate = f"failed. {judgement.error}" if judgement.error else f"processed. {note or ''}".rstrip()
        fields: dict[str, object] = {
            "inbound_event_id": event.id,
            "source_id": source.id,
            "event": judgement.facts.event,
        }
        return f"{event.id} {what} of {source.name}: {fate}", fields
