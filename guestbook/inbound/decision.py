"""What an evaluation decides: an error, a note that nothing is to do, or an action. Counts of them. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from guestbook.comments.comment_form import Draft
from guestbook.inbound.federation import RemoteComment
from guestbook.inbound.metadata import Metadata
from guestbook.storage.models import Source


@dataclass(frozen=True, slots=True)
class WriteComment:
    """Write a comment."""

    draft: Draft
    is_proven: bool  # that the sender is the source
    remote: RemoteComment | None  # if another guestbook sent it


@dataclass(frozen=True, slots=True)
class RemoveComment:
    """Remove our copy of another book's comment."""

    home: str


@dataclass(frozen=True, slots=True)
class ForwardEvent:
    """Pass the event on as `inbound.received`."""

    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class InboundDecision:
    """What is to be done about one event, and why."""

    metadata: Metadata
    is_genuine: bool = False
    error: str | None = None
    note: str | None = None
    action: WriteComment | RemoveComment | ForwardEvent | None = None
    was_verified: bool = True  # False if an error of ours came first
    home: str | None = None  # address of the comment that another guestbook tells of

    def proves(self, source: Source) -> bool:
        """Whether it is known that the source has sent it."""
        return self.is_genuine and self.was_verified and source.verify != "none"


@dataclass(slots=True)
class Counts:
    """What a pass did in the inbox."""

    processed: int = 0
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
        self.refused += other.refused
        self.failed += other.failed

    def count(self, event_id: str, source: Source, decision: InboundDecision, note: str | None) -> None:
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
            "inbound_event_id": event_id,
            "source_id": source.id,
            "event": decision.metadata.event,
        }
        self.log_lines.append((f"{event_id} {what} of {source.name}: {fate}", fields))
