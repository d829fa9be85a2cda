"""The rows and their rules. They never commit and never talk to the network."""

from guestbook.storage.models.admin_access import Day, IdempotencyKey, Limit, Login, Pass, Setting, Token
from guestbook.storage.models.audit_entry import AUDIT_LOG, AuditEntry
from guestbook.storage.models.bin import Bin, BinRequest
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
)
from guestbook.storage.models.source import FIRST_INBOUND_DUE, INBOUND, InboundEvent, SeenSignature, Source
from guestbook.storage.models.webhook import ReceiverLink, Template, Webhook

__all__ = [
    "ATTEMPTS",
    "AUDIT_LOG",
    "BY_COMMENT",
    "DELIVERIES",
    "FIRST_DUE",
    "FIRST_INBOUND_DUE",
    "INBOUND",
    "IS_BEHIND",
    "IS_NEXT",
    "Attempt",
    "AttemptCount",
    "AuditEntry",
    "Bin",
    "BinRequest",
    "Comment",
    "Day",
    "Delivery",
    "Hold",
    "IdempotencyKey",
    "InboundEvent",
    "LearnedWord",
    "Limit",
    "Login",
    "Origin",
    "Pass",
    "ReceiverLink",
    "Refusal",
    "Reply",
    "SeenSignature",
    "Setting",
    "Source",
    "Template",
    "TextMark",
    "Token",
    "Webhook",
]
