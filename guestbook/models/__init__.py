"""The rows and their rules. They never commit and never talk to the network."""

from guestbook.models.comment import Comment
from guestbook.models.delivery import ATTEMPTS, DELIVERIES, FIRST_DUE, Attempt, Delivery
from guestbook.models.passes import PASSES, Pass
from guestbook.models.webhook import Webhook

__all__ = [
    "ATTEMPTS",
    "DELIVERIES",
    "FIRST_DUE",
    "PASSES",
    "Attempt",
    "Comment",
    "Delivery",
    "Pass",
    "Webhook",
]
