"""The rows and their rules. They never commit and never talk to the network."""

from guestbook.models.comment import Comment
from guestbook.models.delivery import Attempt, Delivery
from guestbook.models.passes import Pass
from guestbook.models.webhook import Webhook

__all__ = ["Attempt", "Comment", "Delivery", "Pass", "Webhook"]
