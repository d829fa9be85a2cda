"""The rows and their rules. They never commit and never talk to the network."""

from guestbook.models.comment import Comment
from guestbook.models.delivery import ATTEMPTS, DELIVERIES, Attempt, Delivery
from guestbook.models.passes import PASSES, Pass
from guestbook.models.webhook import Webhook

__all__ = ["ATTEMPTS", "DELIVERIES", "PASSES", "Attempt", "Comment", "Delivery", "Pass", "Webhook"]
