"""Bodies that are not for chats: Standard Webhooks' JSON, the owner's template, e-mail, webmention."""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

from guestbook.lib import clock, template_sandbox
from guestbook.outbound import payload_versions
from guestbook.outbound.event_catalogue import EVENTS, SAMPLE_TIME
from guestbook.outbound.formats import wording


@dataclass(frozen=True, slots=True)
class FormatInput:
    """An event for one webhook, or for all webhooks that get the same body."""

    event: str
    happened_at: datetime
    data: dict[str, Any]
    url: str = ""
    template: str | None = None  # The text of the webhook's template.
    version: str = field(default_factory=payload_versions.newest)

    @property
    def words(self) -> wording.Wording:
        """Return the event in words."""
        return wording.of(self.event, self.data)

    @property
    def payload(self) -> payload_versions.Payload:
        """Return `{"type", "timestamp", "data"}` in the shape of the version."""
        newest = {"type": self.event, "timestamp": clock.to_text(self.happened_at), "data": self.data}
        return payload_versions.in_version(newest, self.version)


class FormatError(Exception):
    """Why there can be no body, in one sentence."""


def standard(given: FormatInput) -> str:
    """Return `{"type", "timestamp", "data"}`; the timestamp is the time of the event."""
    return json.dumps(given.payload, ensure_ascii=False, separators=(",", ":"))


# Where the API has what an event is about, by the part of its data.
API_ADDRESSES = {
    "comment": "/api/v1/comments/{id}",
    "waiting": "/api/v1/comments?status=held",
    "inbound": "/api/v1/inbox/{id}",
    "webhook": "/api/v1/webhooks/{id}",
}


def thin(given: FormatInput) -> dict[str, Any]:
    """Return `{"type", "timestamp", "data"}` with `id`, `sequence` and the `url` in the API as its data.

    Nothing that a visitor wrote is in it, so nothing has to be erased where it is kept.
    """
    [about] = given.data.keys() & API_ADDRESSES.keys()
    address = API_ADDRESSES[about].format_map(given.data[about])
    data = {"url": given.data["guestbook"]["url"] + address}
    more = {
        name: part[name]
        for part, name in ((given.data[about], "id"), (given.data, "sequence"))
        if name in part
    }
    return {"type": given.event, "timestamp": clock.to_text(given.happened_at), "data": more | data}


TEMPLATE_LIMIT = 60_000  # bytes of a body, whatever its characters; the sandbox counts those
UNTRIED = ("inbound.received", "ping")  # A source may forward anything; a ping has all parts.
HINT = "For a text, write {{ comment.name|tojson }} without quotes around it."


def template(given: FormatInput) -> str:
    """Return the body. A template sees `event`, `timestamp`, `data`, and each part of the data by its name.

    A ping gets a sample of each part, so that the owner sees whether the receiver accepts such a body.
    """
    if not given.template:
        raise FormatError("The webhook has no template.")
    more = _samples(given.version) if given.event == "ping" else {}
    try:
        body = template_sandbox.render(given.template, values_of(given, more)).text.strip()
    except template_sandbox.TemplateFault as error:
        raise FormatError(str(error)) from None
    _check_body(body)
    return body


def values_of(given: FormatInput, more: dict[str, Any]) -> dict[str, Any]:
    """Return what a template or a condition sees; `more` has parts that the event may lack."""
    payload = given.payload
    data = {**more, **payload["data"]}
    return {**data, "event": payload["type"], "timestamp": payload["timestamp"], "data": data}


def _samples(version: str) -> dict[str, Any]:
    """Return a sample of each part that an event may have."""
    samples: dict[str, Any] = {}
    for event in EVENTS.values():
        parts = {name: copy.deepcopy(part.sample) for name, part in event.data.items()}
        samples |= FormatInput(event.name, SAMPLE_TIME, parts, version=version).payload["data"]
    return samples


def check_template(source: str, events: Sequence[str], version: str) -> None:
    """Raise FormatError when this is not a template, or does not make JSON for one of the events."""
    try:
        template_sandbox.parse(source)
    except template_sandbox.TemplateFault as error:
        raise FormatError(str(error)) from None
    for event in (one for one in events if one in EVENTS and one not in UNTRIED):
        try:
            sample = EVENTS[event].sample_data()
            template(FormatInput(event, SAMPLE_TIME, sample, template=source, version=version))
        except FormatError as error:
            raise FormatError(f"For {event}: {error}") from None


def _check_body(body: str) -> None:
    def refuse(word: str) -> NoReturn:
        raise ValueError(f"JSON has no number {word}")

    try:
        size = len(body.encode())
        json.loads(body, parse_constant=refuse, parse_int=float)
    except json.JSONDecodeError as error:
        place = f"{error.msg.removesuffix(' at')} in line {error.lineno}, column {error.colno}"
        why = place if error.doc else "it gives nothing"
    except UnicodeEncodeError:
        why = "it has half a character"
    except RecursionError:
        why = "it is too deeply nested"
    except ValueError as error:
        why = str(error)
    else:
        if size <= TEMPLATE_LIMIT:
            return
        most = f"{TEMPLATE_LIMIT:,}"
        raise FormatError(f"The template gives {size:,} bytes. Please let it give at most {most}.")
    raise FormatError(f"The template does not give JSON: {why}. {HINT}")


BY_LINK = "Publish it, reply to it or remove it, without a login (the link works for 7 days):"


def email(given: FormatInput) -> dict[str, Any]:
    """Return the body; the sender makes a message of it."""
    words = given.words
    facts = wording.EventFacts(given.data)
    admin = facts.admin_link("comments", "comment", "id")
    lines = [f"Moderate it: {admin}"] if admin and admin != words.link else []
    link = f"{BY_LINK}\n{words.link}" if words.button else words.link
    parts = (words.who, words.message, link, *lines, f"-- \n{facts.book} {facts.home}".rstrip())
    return {"subject": words.title, "text": "\n\n".join(part for part in parts if part) + "\n"}


MENTIONING_URL = "webmention:"
MENTIONING_EVENTS = ("comment.published", "comment.deleted")
NO_WEBSITE = "A webmention goes to the website of a comment that was published or deleted; here is none."


def website_of(event: str, data: dict[str, Any]) -> str | None:
    """Return the website that gets an event; None if there is none.

    Nobody gets a comment that came from elsewhere: two books could answer each other for ever.
    """
    comment = data.get("comment")
    if event not in MENTIONING_EVENTS or not isinstance(comment, dict) or comment.get("origin"):
        return None
    return comment.get("website") or None


def webmention(given: FormatInput) -> dict[str, Any]:
    """Return the two addresses; raises FormatError when there is no website."""
    website = website_of(given.event, given.data)
    if website is None:
        raise FormatError(NO_WEBSITE)
    return {"source": given.data["comment"]["url"], "target": website}
