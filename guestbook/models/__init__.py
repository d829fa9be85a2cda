"""The rows and their rules. They never commit and never talk to the network."""

from guestbook.models.comment import Comment, Reply
from guestbook.models.delivery import ATTEMPTS, DELIVERIES, FIRST_DUE, Attempt, Delivery
from guestbook.models.login import LIMITS, LOGINS, Limit, Login, Setting, Token
from guestbook.models.passes import PASSES, Day, Pass
from guestbook.models.webhook import Webhook

__all__ = [
    "ATTEMPTS",
    "DELIVERIES",
    "FIRST_DUE",
    "LIMITS",
    "LOGINS",
    "PASSES",
    "Attempt",
    "Comment",
    "Day",
    "Delivery",
    "Limit",
    "Login",
    "Pass",
    "Reply",
    "Setting",
    "Token",
    "Webhook",
]
