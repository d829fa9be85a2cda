"""What a sender thread works with, as plain values: a task, its receiver, its outcome. No database."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from guestbook.outbound import response_policy


@dataclass(frozen=True, slots=True)
class Receiver:
    """What a sender has to know of a webhook."""

    webhook_id: str
    name: str
    url: str
    headers: dict[str, str]
    keys: tuple[bytes, ...]
    secret: bytes
    shown_headers: dict[str, str]
    fault: str | None = None  # why nothing can be sent: a row that somebody edited by hand
    read: response_policy.Reader = response_policy.read  # how its service answers


@dataclass(frozen=True, slots=True)
class DeliveryTask:
    """A claimed delivery as plain values."""

    id: str
    event_id: str
    event: str
    body: bytes
    attempts: int
    schedule_start: int
    due_at: datetime  # before the claim
    token: str
    lease_end: float  # on the monotonic clock
    receiver: Receiver

    @property
    def triggered_by(self) -> str:
        """Return what the next attempt is owed to."""
        if self.event == "ping" and self.attempts == 0:
            return "test"
        return "redelivery" if 0 < self.attempts == self.schedule_start else "schedule"


@dataclass(slots=True)
class Outcome:
    """What came of a task."""

    task: DeliveryTask
    started_at: datetime | None = None  # None: nothing was sent, and the delivery is given back as it was
    milliseconds: int = 0
    status_code: int | None = None
    error: str | None = None
    unreachable: bool = False
    fault: bool = False  # of our own machine or proxy: nothing was sent, and the receiver is not to blame
    limit: str | None = None  # of this host, which was met: the receiver is not to blame
    meaning: response_policy.Meaning = response_policy.RETRY
    request_headers: dict[str, str] = field(default_factory=dict)
    response_headers: dict[str, str] | None = None
    response_body: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the receiver has it."""
        return self.meaning.ok

    @property
    def hold(self) -> bool:
        """Whether the rest of this webhook's work must wait."""
        return self.fault or self.meaning.pause > 0 or self.meaning.gone


def delivery_task(row: Row[Any], token: str, lease_end: float, to: Receiver) -> DeliveryTask:
    """Make a task of a claimed delivery; its lease ends at that moment of the monotonic clock."""
    return DeliveryTask(
        id=row.id,
        event_id=row.event_id,
        event=row.event,
        body=row.payload.encode() if isinstance(row.payload, str) else bytes(row.payload),
        attempts=row.attempts,
        schedule_start=row.schedule_start,
        due_at=row.due_at,
        token=token,
        lease_end=lease_end,
        receiver=to,
    )
