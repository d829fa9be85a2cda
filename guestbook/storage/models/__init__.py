"""The rows and their rules. They never commit and never talk to the network."""

from guestbook.storage.models.comment import Comment, Hold, LearnedWord, Origin, Refusal, Reply, TextMark
from guestbook.storage.models.delivery import (
    ATTEMPTS,
    BY_COMMENT,
    DELIVERIES,
    FIRST_DUE,
    IS_BEHIND,
    IS_NEXT,
    Attempt,
    AttemptCount,
    Delivery,
    ReceiverLink,
    ReplyAddress,
    Template,
    Webhook,
)
from guestbook.storage.models.owner import (
    AUDIT_LOG,
    AuditEntry,
    BookState,
    Day,
    IdempotencyKey,
    Limit,
    Login,
    Pass,
    Setting,
    Token,
)
from guestbook.storage.models.source import (
    FIRST_INBOUND_DUE,
    INBOUND,
    Bin,
    BinRequest,
    InboundEvent,
    SeenSignature,
    Source,
)
