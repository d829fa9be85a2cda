"""An event of each kind that never happened: to try templates on before a real one comes. Pure."""

from datetime import UTC, datetime
from typing import Any

from guestbook.lib import clock

BOOK = "https://book.example"
ID = "0" * 31 + "1"
WHEN = datetime(2026, 1, 31, 23, 59, 59, 123_000, UTC)
MOMENT = clock.to_text(WHEN)
PARTS: dict[str, tuple[str, ...]] = {
    "comment.replied": ("comment", "reply"),
    "inbound.received": ("source", "inbound"),
    "webhook.disabled": ("webhook",),
    "ping": ("webhook",),
}


def data(event: str) -> dict[str, Any]:
    """Return the data of such an event."""
    every = parts()
    return {name: every[name] for name in (*PARTS.get(event, ("comment",)), "guestbook")}


def parts() -> dict[str, Any]:
    """Return all that the data of any event may have."""
    return {
        "comment": {
            "id": ID,
            "name": 'Ada "Lace" Lovelace',  # with what a template that writes no JSON falls over
            "website": "https://ada.example/",
            "message": 'What a lovely "book"!\nI shall come again.',
            "status": "published",
            "url": f"{BOOK}/comments/{ID}",
            "created_at": MOMENT,
        },
        "reply": {"message": 'Thank you, "Lace".', "created_at": MOMENT},
        "source": {"id": ID, "name": "GitHub"},
        "inbound": {
            "id": ID,
            "event": "star",
            "external_id": "1",
            "sender": "octocat",
            "received_at": MOMENT,
            "hops": 1,
            "payload": {"action": "created"},
        },
        "webhook": {"id": ID, "name": "Chat", "reason": "failing"},
        "guestbook": {"title": "Guestbook", "url": BOOK},
    }
