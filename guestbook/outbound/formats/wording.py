"""What people in a chat are told of an event: plain text, in which nothing is escaped yet. Pure."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from guestbook.lib import text

TITLE_LIMIT = 160  # characters
WHO_LIMIT = 240  # characters
LINK_LIMIT = 500  # characters; a longer one is left out, for half a link leads nowhere
EXCERPT = 500  # characters of what a source was sent
MORE = "…"
LINK = re.compile(r"https?://[^\s<>\"'\\]+")
WHY_DISABLED = {
    "gone": "its receiver is gone, or asked us to stop",
    "failing": "it has had no success for five days",
}


@dataclass(frozen=True, slots=True)
class Wording:
    """A title, a line that says who, what was written, where to see it; all but the title may be ""."""

    title: str
    who: str = ""
    message: str = ""
    link: str = ""


def of(event: str, data: dict[str, Any]) -> Wording:
    """Put an event into words; what its data lacks is left out."""
    facts = EventFacts(data)
    say = SAID.get(event)
    if say is None:
        return Wording(_short(f"{event} in {facts.book}", TITLE_LIMIT), link=facts.link(facts.home))
    return say(facts)


class EventFacts:
    """The data of an event, read as clean text: anybody may have written it."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data

    def raw(self, *path: str) -> Any:
        """Return what stands there, or None."""
        value: Any = self._data
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def line(self, *path: str) -> str:
        """Return it as one line; "" where there is none."""
        value = self.raw(*path)
        return "" if value is None else text.clean_line(str(value))

    def lines(self, *path: str) -> str:
        """Return it with its lines."""
        value = self.raw(*path)
        return "" if value is None else text.clean_text(str(value))

    @property
    def book(self) -> str:
        """Return what the guestbook is called."""
        return self.line("guestbook", "title") or "the guestbook"

    @property
    def home(self) -> str:
        """Return the address of the guestbook."""
        return self.line("guestbook", "url")

    def desk(self, place: str, *path: str) -> str:
        """Return the address at the desk of what has that id."""
        row_id = self.line(*path)
        return self.link(f"{self.home}/admin/{place}/{row_id}" if self.home and row_id else "")

    @staticmethod
    def link(address: str) -> str:
        """Return the address if it can stand as it is in a chat."""
        return address if len(address) <= LINK_LIMIT and LINK.fullmatch(address) else ""


def _comment(title: str, facts: EventFacts) -> Wording:
    origin = facts.line("comment", "origin", "name")
    who = (facts.line("comment", "name"), origin and f"via {origin}", facts.line("comment", "website"))
    return Wording(
        _short(f"{title} {facts.book}", TITLE_LIMIT),
        _short(" · ".join(filter(None, who)), WHO_LIMIT),
        facts.lines("comment", "message"),
        facts.link(facts.line("comment", "url")),
    )


def _created(facts: EventFacts) -> Wording:
    if facts.raw("comment", "status") != "held":
        return _comment("New comment in", facts)
    seen = _comment("A comment waits for you in", facts)
    return Wording(seen.title, seen.who, seen.message, facts.desk("comments", "comment", "id"))


def _deleted(facts: EventFacts) -> Wording:
    gone = _comment("A comment was taken out of", facts)
    return Wording(gone.title, gone.who, gone.message, facts.link(facts.home))


def _replied(facts: EventFacts) -> Wording:
    title = f"An answer to {_short(facts.line('comment', 'name'), 80)} in {facts.book}"
    link = facts.link(facts.line("comment", "url"))
    return Wording(_short(title, TITLE_LIMIT), message=facts.lines("reply", "message"), link=link)


def _received(facts: EventFacts) -> Wording:
    name, what = facts.line("source", "name") or "A source", facts.line("inbound", "event") or "a webhook"
    payload = facts.raw("inbound", "payload") or facts.line("inbound", "left_out")
    told = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return Wording(
        _short(f"{_short(name, 60)} sent {_short(what, 60)} to {facts.book}", TITLE_LIMIT),
        _short(facts.line("inbound", "sender"), WHO_LIMIT),
        _short(text.clean_text(told[: 2 * EXCERPT]), EXCERPT),
        facts.desk("inbox", "inbound", "id"),
    )


def _disabled(facts: EventFacts) -> Wording:
    why = WHY_DISABLED.get(facts.line("webhook", "reason"), "nothing more is sent to it")
    return Wording(
        _short(f"A webhook of {facts.book} was disabled", TITLE_LIMIT),
        message=f"“{facts.line('webhook', 'name')}”: {why}.",
        link=facts.desk("webhooks", "webhook", "id"),
    )


def _ping(facts: EventFacts) -> Wording:
    return Wording(
        _short(f"A ping from {facts.book}", TITLE_LIMIT),
        message=f"This is a test of the webhook “{facts.line('webhook', 'name')}”. It works.",
        link=facts.link(facts.home),
    )


def _short(words: str, limit: int) -> str:
    return words if len(words) <= limit else words[: limit - 1].rstrip() + MORE


SAID: dict[str, Callable[[EventFacts], Wording]] = {
    "comment.created": _created,
    "comment.published": lambda facts: _comment("Published in", facts),
    "comment.deleted": _deleted,
    "comment.replied": _replied,
    "inbound.received": _received,
    "webhook.disabled": _disabled,
    "ping": _ping,
}
