"""What a receiver's page shows of a delivery: no note to the owner, no link to moderate, no secret URL."""

import json
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from guestbook.comments import moderation_link
from guestbook.outbound.custom_headers import HIDDEN
from guestbook.outbound.formats import CHAT_FORMATS
from guestbook.storage.models import Comment, Delivery, Webhook

WITHHELD = (
    "Not shown here: messages of this webhook may have notes to the owner of the book and links to moderate."
)


def is_withheld(session: Session, delivery: Delivery, webhook: Webhook) -> bool:
    """Whether the payload may have what is meant for the owner alone; a receiver may repeat it."""
    payload = delivery.body.decode(errors="replace")
    if webhook.moderation_links_since or moderation_link.hide(payload) != payload:
        return True
    comment = session.get(Comment, delivery.comment_id) if delivery.comment_id else None
    note = comment.note if comment else None
    if not note:
        return False
    # A chat's message has the note in that chat's own spelling, such as &lt; for <.
    return webhook.format in CHAT_FORMATS or any(one in payload for one in _spellings(note))


def url_without_secrets(webhook: Webhook) -> str:
    """Return the URL without what may be a password: a user, a query, and the path at a chat service."""
    parts = urlsplit(webhook.url)
    if not parts.hostname:
        return webhook.url
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    path = f"/{HIDDEN}" if webhook.format in CHAT_FORMATS else parts.path
    query = f"?{HIDDEN}" if parts.query else ""
    return f"{parts.scheme}://{host}{port}{path}{query}"


def _spellings(note: str) -> set[str]:
    """Return how the note may stand in a payload."""
    return {note, *(json.dumps(note, ensure_ascii=ascii_alone)[1:-1] for ascii_alone in (True, False))}
