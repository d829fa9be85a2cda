"""Events to render, and readers for what is in the bodies."""

import json
from datetime import UTC, datetime
from typing import Any

from guestbook.outbound import formats
from guestbook.outbound.event_catalogue import EVENTS

MOMENT = datetime(2026, 1, 31, 23, 59, 59, 123_000, UTC)
URLS = {
    "ntfy": "https://ntfy.sh/?topic=my-topic",
    "telegram": "https://api.telegram.org/bot1:a/sendMessage?chat_id=-100123",
}
LINK = "https://book.example/comments/1"


def comment(
    message: str = "Hello", name: str = "Ada", website: str | None = None, **more: Any
) -> dict[str, Any]:
    own = {"id": "1", "name": name, "website": website, "message": message}
    own |= {"status": "published", "url": LINK}
    return {"comment": own | more, "guestbook": {"title": "My book", "url": "https://book.example"}}


def body(name: str, event: str = "comment.created", data: dict[str, Any] | None = None, **more: Any) -> Any:
    """The body as the service reads it."""
    url = more.pop("url", URLS.get(name, ""))
    text = formats.render(
        name, formats.FormatInput(event, MOMENT, data or EVENTS[event].sample_data(), url=url, **more)
    )
    text.encode()
    return json.loads(text)


def said(name: str, shown: Any) -> str:
    """The text that the service shows, apart from titles and links in places of their own."""
    if name == "teams":
        [attachment] = shown["attachments"]
        return "\n".join(block["inlines"][0]["text"] for block in attachment["content"]["body"])
    if name == "slack":
        return "".join(
            part.get("text", part.get("url")) for part in shown["blocks"][0]["elements"][0]["elements"]
        )
    return str(shown[{"discord": "content", "ntfy": "message"}.get(name, "text")])


def says(format_name: str, message: str, **more: Any) -> str:
    """The text that the service shows of a comment with that message."""
    return said(format_name, body(format_name, data=comment(message, **more)))
