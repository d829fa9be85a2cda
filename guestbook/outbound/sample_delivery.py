"""A delivery to try a webhook with: a ping, or an example of an event, whatever the webhook wants."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.lib import validate
from guestbook.outbound import outbox, webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.settings import Settings
from guestbook.storage.models import Delivery, Webhook

PING = "ping"


def store(session: Session, webhook: Webhook, event: str, settings: Settings) -> Delivery:
    """Store it and return it; raises Refused for an event that does not exist."""
    if event == PING:
        return webhooks.ping(session, webhook, settings)
    validate.one_of(EVENTS, event, field="event", noun="event")
    event_id = outbox.send_example(session.connection(), event, [webhook], settings)
    return session.scalars(select(Delivery).where(Delivery.event_id == event_id)).one()
