"""Put an event into words for people in a chat: plain text, not escaped yet. Pure."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from guestbook.lib import text
from guestbook.lib.text import shortened

WORDING_TITLE_LIMIT = 160  # characters
WHO_LIMIT = 240  # characters
LINK_LIMIT = 500  # characters; a longer link is left out, because half a link leads nowhere
PAYLOAD_EXCERPT = 500  # characters of the payload of an inbound event
MORE = "…"
MODERATE = "Moderate"
SAFE_LINK = re.compile(r"https?://[^\s<>\"'\\]+")
WHY_DISABLED = {
    "gone": "its receiver is gone, or asked us to stop",
    "failing": "it has had no success for five days",
}


@dataclass(frozen=True, slots=True)
class Wording:
    """A title, a line about the author, the text, and where to see it; all but the title may be ""."""

    title: str
    who: str = ""
    message: str = ""
    link: str = ""
    button: str = ""  # The link does this, where a service can show a button.


def of(event: str, data: dict[str, Any]) -> Wording:
    """Put an event into words; missing data is left out."""
    facts = EventFacts(data)
    return SAID[event](facts) if event in SAID else _wording(f"{event} in {facts.book}", link=facts.home)


class EventFacts:
    """The data of an event, read as clean text, because anybody may have written it."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data
        self.book = self.line("guestbook", "title") or "the guestbook"
        self.home = self.line("guestbook", "url")

    def raw(self, *path: str) -> Any:
        """Return the value at that path, or None."""
        value: Any = self._data
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def line(self, *path: str) -> str:
        """Return the value as one line, or ""."""
        value = self.raw(*path)
        return "" if value is None else text.clean_line(str(value))

    def lines(self, *path: str) -> str:
        """Return the value with its line breaks, or ""."""
        value = self.raw(*path)
        return "" if value is None else text.clean_text(str(value)).strip()

    def admin_link(self, page: str, *path: str) -> str:
        """Return the address of the admin page of the thing with that id."""
        row_id = self.line(*path)
        return f"{self.home}/admin/{page}/{row_id}" if self.home and row_id else ""


def _wording(title: str, who: str = "", message: str = "", link: str = "", button: str = "") -> Wording:
    """Return a wording, with a long title or author line shortened and an unsafe link left out."""
    is_safe = len(link) <= LINK_LIMIT and SAFE_LINK.fullmatch(link)
    title, who = shortened(title, WORDING_TITLE_LIMIT), shortened(who, WHO_LIMIT)
    return Wording(title, who, message, link, button) if is_safe else Wording(title, who, message)


def _comment(title: str, facts: EventFacts, link: str | None = None, button: str = "") -> Wording:
    origin, place = facts.line("comment", "origin", "name"), facts.line("comment", "place")
    mood = facts.line("comment", "mood")
    via = (place and f"from {place}", mood and f"mood: {mood}", origin and f"via {origin}")
    who = (facts.line("comment", "name"), *via, facts.line("comment", "website"))
    message, note = facts.lines("comment", "message"), facts.lines("comment", "note")
    if note:
        message = f"{message}\n\nNote to you: {note}"
    link = facts.line("comment", "url") if link is None else link
    return _wording(f"{title} {facts.book}", " · ".join(filter(None, who)), message, link, button)


def _created(facts: EventFacts) -> Wording:
    if facts.raw("comment", "status") != "held":
        return _comment("New comment in", facts)
    link = facts.line("moderation", "url")
    place = link or facts.admin_link("comments", "comment", "id")
    return _comment("A comment waits for you in", facts, place, MODERATE if link else "")


def _waiting(facts: EventFacts) -> Wording:
    count, since = facts.line("waiting", "count"), facts.line("waiting", "since")
    title = "A comment waits" if count == "1" else f"{count or 'Some'} comments wait"
    who = since and f"{'Since' if count == '1' else 'The oldest since'} {_minute(since)}"
    shown = facts.raw("waiting", "comments")
    one_each = [EventFacts(one) for one in shown if isinstance(one, dict)] if isinstance(shown, list) else []
    links = [(_minute(one.line("held_at")), one.line("moderation", "url")) for one in one_each]
    lines = [f"Held since {held_at}: {url}" for held_at, url in links if SAFE_LINK.fullmatch(url)]
    return _wording(f"{title} for you in {facts.book}", who, "\n".join(lines), facts.line("waiting", "url"))


def _minute(moment: str) -> str:
    """Return `2026-01-31 23:59 UTC` for a time of a payload."""
    return f"{moment[:10]} {moment[11:16]} UTC"


def _replied(facts: EventFacts) -> Wording:
    title = f"An answer to {shortened(facts.line('comment', 'name'), 80)} in {facts.book}"
    return _wording(title, message=facts.lines("reply", "message"), link=facts.line("comment", "url"))


def _received(facts: EventFacts) -> Wording:
    name, what = facts.line("source", "name") or "A source", facts.line("inbound", "event") or "a webhook"
    payload = facts.raw("inbound", "payload") or facts.line("inbound", "left_out")
    text_of_payload = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return _wording(
        f"{shortened(name, 60)} sent {shortened(what, 60)} to {facts.book}",
        facts.line("inbound", "sender"),
        shortened(text.clean_text(text_of_payload[: 2 * PAYLOAD_EXCERPT]), PAYLOAD_EXCERPT),
        facts.admin_link("inbox", "inbound", "id"),
    )


def _disabled(facts: EventFacts) -> Wording:
    why = WHY_DISABLED.get(facts.line("webhook", "reason"), "nothing more is sent to it")
    return _about_webhook(facts, "was disabled", f"{why}.")


def _failing(facts: EventFacts) -> Wording:
    why = shortened(facts.line("webhook", "reason"), WHO_LIMIT) or "The last attempt failed."
    return _about_webhook(facts, "fails", why)


def _about_webhook(facts: EventFacts, what: str, sentence: str) -> Wording:
    message = f"“{facts.line('webhook', 'name')}”: {sentence}"
    link = facts.admin_link("webhooks", "webhook", "id")
    return _wording(f"A webhook of {facts.book} {what}", message=message, link=link)


def _ping(facts: EventFacts) -> Wording:
    message = f"This is a test of the webhook “{facts.line('webhook', 'name')}”. It works."
    return _wording(f"A ping from {facts.book}", message=message, link=facts.home)


SAID: dict[str, Callable[[EventFacts], Wording]] = {
    "comment.created": _created,
    "comment.published": lambda facts: _comment("Published in", facts),
    "comment.deleted": lambda facts: _comment("A comment was taken out of", facts, facts.home),
    "comment.replied": _replied,
    "comments.waiting": _waiting,
    "inbound.received": _received,
    "webhook.failing": _failing,
    "webhook.recovered": lambda facts: _about_webhook(facts, "has recovered", "It has had a success again."),
    "webhook.disabled": _disabled,
    "ping": _ping,
}
