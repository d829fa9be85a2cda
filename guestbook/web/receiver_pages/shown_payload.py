"""What a receiver's page shows of a delivery: no note to the owner, no link to moderate, no secret URL."""

import json
from typing import Any

from sqlalchemy.orm import Session

from guestbook.lib import redaction
from guestbook.outbound.formats import ADDRESSED, CHAT_FORMATS
from guestbook.storage.models import Comment, Delivery, Hold, Webhook

WITHHELD = (
    "Not shown here: messages of this webhook may have notes to the owner of the book, links to moderate,"
    " or a part of its URL."
)
OWN_WORDING = (*CHAT_FORMATS, "template")  # their messages may say a note or a link in any way


def is_withheld(session: Session, delivery: Delivery, webhook: Webhook) -> bool:
    """Whether the payload may have what is meant for the owner alone; a receiver may repeat it."""
    payload = delivery.body.decode(errors="replace")
    if webhook.moderation_links_since or webhook.format in ADDRESSED:
        return True
    if redaction.addresses(payload) != payload or _has_more(body := _read(payload)):
        return True
    comment = session.get(Comment, delivery.comment_id) if delivery.comment_id else None
    note = comment.note if comment else None
    if webhook.format in OWN_WORDING or not _part(body, "data"):  # perhaps from before a change of the format
        return bool(note) or _may_have_more(session, delivery)
    return any(one in payload for one in _spellings(note)) if note else False


def _read(payload: str) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None


def _has_more(body: Any) -> bool:
    """Whether a body in the format json has the data for the owner, as it was when the event happened."""
    data = _part(body, "data")
    waiting = _part(data, "waiting").get("comments")
    held = waiting if isinstance(waiting, list) else []
    links = [one for one in (data, *held) if isinstance(one, dict) and "moderation" in one]
    return "note" in _part(data, "comment") or bool(links)


def _part(whole: Any, name: str) -> dict[str, Any]:
    part = whole.get(name) if isinstance(whole, dict) else None
    return part if isinstance(part, dict) else {}


def _may_have_more(session: Session, delivery: Delivery) -> bool:
    """Whether nobody can know any more that the event had no data for the owner."""
    if delivery.event == "comments.waiting":
        return True
    if delivery.comment_id is None:
        return delivery.sequence is not None  # the comment is deleted, and its note with it
    return delivery.event == "comment.created" and session.get(Hold, delivery.comment_id) is not None


def _spellings(note: str) -> set[str]:
    """Return how the note may stand in a payload."""
    return {note, *(json.dumps(note, ensure_ascii=ascii_alone)[1:-1] for ascii_alone in (True, False))}
