"""What a sender thread works with, as plain values: a delivery task, its receiver, its outcome."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from guestbook.outbound import response_policy
from guestbook.outbound.limits import Slot

# The columns of a delivery from which a task is made, as they are stored.
TASK_COLUMNS = (
    *("id", "payload", "event_id", "event", "comment_id", "sequence"),
    *("due_at", "attempts", "schedule_start"),
)
HANDED_OVER_COLUMNS = ("webhook_id", *TASK_COLUMNS)  # where rows of several webhooks come together


@dataclass(frozen=True, slots=True)
class Receiver:
    """A webhook, as far as a request needs it."""

    webhook_id: str
    name: str
    url: str
    headers: dict[str, str]
    keys: tuple[bytes, ...]  # of Standard Webhooks; none where a key pair signs alone
    secret: bytes
    error: str | None = None  # why nothing can be sent: somebody edited the row by hand
    policy: response_policy.Policy = response_policy.standard  # decides what its answers mean
    mentions: bool = False  # it stands for many websites: none of them is to blame for another
    seeds: tuple[bytes, ...] = ()  # of the private keys that sign
    github_headers: bool = False  # GitHub's headers come too
    is_locked: bool = False  # its secrets cannot be decrypted, so its deliveries wait


@dataclass(slots=True)  # frozen, it would take three times as long to make
class DeliveryTask:
    """A claimed delivery. Nobody changes it."""

    id: str
    event_id: str
    event: str
    body: bytes
    attempts: int
    schedule_start: int
    due_at: datetime | str  # before the claim, perhaps as it is stored
    token: str
    lease_end: float  # on the monotonic clock
    receiver: Receiver
    comment_id: str | None = None  # the comment that it is about, if any
    sequence: int | None = None  # its place among the events about the comment
    slot: Slot | None = None  # the permission to begin, if the webhook has a rate limit
    leased_until: datetime | None = None  # as it is stored; None for what no thread sends

    @property
    def lease(self) -> tuple[str, str]:
        """Return the row's id and the token: a result counts while the row has the token."""
        return self.id, self.token

    @property
    def triggered_by(self) -> str:
        """Return the cause of the next attempt: `test`, `redelivery` or `schedule`."""
        if self.event == "ping" and self.attempts == 0:
            return "test"
        return "redelivery" if 0 < self.attempts == self.schedule_start else "schedule"


@dataclass(slots=True)
class Outcome:
    """The result of a delivery task, from which the recorder writes rows."""

    task: DeliveryTask
    started_at: datetime | None = None  # None: nothing was sent, and the delivery is given back as it was
    milliseconds: int = 0
    status_code: int | None = None
    error: str | None = None
    unreachable: bool = False
    is_local_error: bool = False  # our machine or proxy failed, so nothing was sent
    host_limit: str | None = None  # the limit of this host that stopped the request
    decision: response_policy.Decision = response_policy.RETRY
    request_headers: dict[str, str] = field(default_factory=dict)
    response_headers: dict[str, str] | None = None
    response_body: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the receiver has the delivery."""
        return self.decision.ok

    @property
    def answered(self) -> bool:
        """Whether the receiver answered, with success or without."""
        return self.ok or self.status_code is not None

    @property
    def holds_lane(self) -> bool:
        """Whether the webhook's other tasks must wait."""
        return self.is_local_error or self.decision.pause > 0 or self.decision.gone


def delivery_task(
    row: Row[Any],
    token: str,
    lease_end: float,
    receiver: Receiver,
    slot: Slot | None = None,
    leased_until: datetime | None = None,
) -> DeliveryTask:
    """Make a task from a claimed row of `deliveries`; its lease ends then, on the monotonic clock."""
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
        receiver=receiver,
        comment_id=row.comment_id,
        sequence=row.sequence,
        slot=slot,
        leased_until=leased_until,
    )
