"""E-mail to visitors: deliveries of a webhook that the book adds by itself.

No payload and no attempt has an address or a link, because pages, the API and files show both. A claim brings
the address, and the sender makes the links.
"""

import json
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from guestbook.lib import clock, ids
from guestbook.lib.encryption import Unreadable
from guestbook.lib.signed_links import CONFIRM, STOP
from guestbook.lib.validate import VISITORS_URL
from guestbook.outbound import event_publisher
from guestbook.outbound.delivery_tasks import DeliveryTask
from guestbook.settings import Settings
from guestbook.storage import row_changes
from guestbook.storage.models import ReplyAddress, Webhook

NAME = "E-mail to visitors"  # of the webhook
# They stand for links in texts. The owner's words have no tab: clean_text takes it out.
PLACEHOLDERS = {CONFIRM: "\t{link to confirm}", STOP: "\t{link to delete the address}"}
NO_ADDRESS = "The visitor's address was deleted, or cannot be decrypted, so nothing was sent."
BUILT_IN = "The book mails its visitors with this webhook. You can change only its name and its rate limit."


def store(session: Session, event: str, mail: dict[str, str], comment_id: str, settings: Settings) -> None:
    """Store the delivery of an e-mail to a comment's visitor; the caller has locked the comment."""
    connection, now = session.connection(), clock.now()
    known = event_publisher.locked_webhooks(connection)
    webhook_id = next((one.id for one in known if one.url == VISITORS_URL), None) or _added(session)
    row = {
        **{"id": ids.new(), "event_id": ids.new(), "event": event, "webhook_id": webhook_id},
        **{
            "comment_id": comment_id,
            "payload": json.dumps(mail, ensure_ascii=False),
            "status": "new",
            "created_at": now,
        },
        "due_at": now + timedelta(seconds=settings.retry_schedule[0]),
        **{"attempts": 0, "claims": 0, "schedule_start": 0},
    }
    event_publisher.insert(connection, [row])


def _added(session: Session) -> str:
    """Add the webhook, which wants no event of the book, and return its id."""
    name = row_changes.free_name(session, Webhook, NAME)
    webhook = Webhook(id=ids.new(), name=name, url=VISITORS_URL, format="email", events="", headers={})
    row_changes.add(session, webhook)
    return webhook.id


def addressed(connection: Connection, tasks: list[DeliveryTask]) -> list[DeliveryTask]:
    """Return the tasks of one webhook, each with its visitor's address if they are for visitors."""
    if not tasks or not tasks[0].receiver.is_visitors:
        return tasks
    query = select(ReplyAddress.id, ReplyAddress.address)
    rows = connection.execute(query.where(ReplyAddress.id.in_([task.comment_id for task in tasks])))
    found = {row.id: row.address for row in rows if not isinstance(row.address, Unreadable)}
    return [replace(task, address=found.get(task.comment_id or "")) for task in tasks]
