"""A sample event of each kind, to try templates on before a real one happens. Pure."""

from datetime import UTC, datetime
from typing import Any

from guestbook.lib import clock

BOOK = "https://book.example"
SAMPLE_ID = "0" * 31 + "1"
SAMPLE_TIME = datetime(2026, 1, 31, 23, 59, 59, 123_000, UTC)
TIME_TEXT = clock.to_text(SAMPLE_TIME)
SAMPLE_LINK = {"url": f"{BOOK}/moderate/{'0' * 87}1", "expires_at": TIME_TEXT}
SAMPLE_WAITING: dict[str, Any] = {
    "count": 2,
    "since": TIME_TEXT,
    "url": f"{BOOK}/admin/comments/?status=held",
    "comments": [{"id": SAMPLE_ID, "held_at": TIME_TEXT, "moderation": SAMPLE_LINK}],
}
DATA_PARTS: dict[str, tuple[str, ...]] = {
    "comment.replied": ("comment", "reply"),
    "comments.waiting": ("waiting",),
    "inbound.received": ("source", "inbound"),
    "webhook.failing": ("webhook",),
    "webhook.recovered": ("webhook",),
    "webhook.disabled": ("webhook",),
    "ping": ("webhook",),
}


def data(event: str) -> dict[str, Any]:
    """Return the data of a sample event."""
    samples = parts()
    return {name: samples[name] for name in (*DATA_PARTS.get(event, ("comment",)), "guestbook")}


def parts() -> dict[str, Any]:
    """Return every part that the data of an event can have."""
    return {
        "comment": {
            "id": SAMPLE_ID,
            "name": 'Ada "Lace" Lovelace',  # quotes break a template that writes no JSON
            "website": "https://ada.example/",
            "place": "London",
            "message": 'What a lovely "book"!\nI shall come again.',
            "status": "published",
            "url": f"{BOOK}/comments/{SAMPLE_ID}",
            "created_at": TIME_TEXT,
            "number": 73,
        },
        "moderation": SAMPLE_LINK,
        "waiting": SAMPLE_WAITING,
        "reply": {"message": 'Thank you, "Lace".', "created_at": TIME_TEXT},
        "source": {"id": SAMPLE_ID, "name": "GitHub"},
        "inbound": {
            "id": SAMPLE_ID,
            "event": "star",
            "external_id": "1",
            "sender": "octocat",
            "received_at": TIME_TEXT,
            "hops": 1,
            "payload": {"action": "created"},
        },
        "webhook": {"id": SAMPLE_ID, "name": "Chat", "reason": "failing"},
        "guestbook": {"title": "Guestbook", "url": BOOK},
    }
