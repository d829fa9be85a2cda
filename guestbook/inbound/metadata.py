"""Read what identifies an inbound event: its name, the sender's id for it, and the person behind it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guestbook.lib.text import clean_line

EVENT_LIMIT, ID_LIMIT, SENDER_LIMIT = 100, 200, 200  # characters, as in schema.sql

# Headers that name the event. Gitea and Forgejo send GitHub's too, and mean the same.
EVENT_HEADERS = (
    *("x-github-event", "x-gitea-event", "x-forgejo-event", "x-gogs-event", "x-guestbook-event"),
    *("x-shopify-topic", "x-wc-webhook-topic", "linear-event"),
    *("x-event-key", "ce-type"),  # Bitbucket; CloudEvents
)
# An id finds repeats. So a header counts only if its value is new with each delivery and the same in all
# attempts at it. GitLab's Idempotency-Key is; several events share one X-Gitlab-Event-UUID.
ID_HEADERS = (
    *("x-github-delivery", "x-gitea-delivery", "x-forgejo-delivery", "x-gogs-delivery"),
    *("x-shopify-webhook-id", "linear-delivery"),
    *("webhook-id", "svix-id", "idempotency-key"),
)
# Where payloads name a person, the best first.
SENDER_PATHS = (
    ("sender", "login"),  # GitHub, Gitea, Forgejo
    ("sender", "username"),
    ("user_username",),  # GitLab, push
    ("user", "username"),  # GitLab, all else; Slack's buttons
    ("user_name",),  # Slack's commands
    ("event", "user"),  # Slack
    ("data", "comment", "name"),  # another guestbook
    ("pusher", "name"),
    ("actor", "nickname"),  # Bitbucket
    ("actor", "name"),  # Bitbucket's own servers; Linear
    ("sender",),
    ("user", "name"),
)


@dataclass(frozen=True, slots=True)
class Metadata:
    """Clean, in one line each, and no longer than their columns; None where the sender says nothing."""

    event: str | None
    external_id: str | None
    sender: str | None


NO_METADATA = Metadata(None, None, None)


def extract(headers: Mapping[str, str], payload: object) -> Metadata:
    """Read it from the headers, whose names are in lower case, and the parsed body. Never raises."""
    return Metadata(
        _cleaned(_event(headers, payload), EVENT_LIMIT),
        _cleaned(_external_id(headers, payload), ID_LIMIT),
        next((name for path in SENDER_PATHS if (name := _cleaned(_at(payload, *path), SENDER_LIMIT))), None),
    )


def split(event: str | None, payload: object) -> tuple[str, str]:
    """Return the event without its action, and the action or "": `issues.opened` → `issues`, `opened`."""
    event, action = event or "", _action(payload) or ""
    if action and event.endswith(f".{action}"):
        return event.removesuffix(f".{action}"), action
    return event, ""


def _event(headers: Mapping[str, str], payload: object) -> str | None:
    named = next((headers[name] for name in EVENT_HEADERS if headers.get(name)), None)
    if named and "x-guestbook-event" in headers:
        return named
    named = named or _at(payload, "object_kind") or headers.get("x-gitlab-event")
    if named:
        action = _action(payload)
        return f"{named}.{action}" if action else named
    said = _at(payload, "event", "type") or _at(payload, "type") or _at(payload, "event")
    return said or _at(payload, "event_type")  # Typeform, Paddle, PayPal


def _action(payload: object) -> str | None:
    """Return `opened` and the like: of GitHub and its kin, or of GitLab."""
    action = _at(payload, "action") or _at(payload, "object_attributes", "action")
    return _cleaned(action, EVENT_LIMIT)


def _external_id(headers: Mapping[str, str], payload: object) -> str | None:
    named = next((headers[name] for name in ID_HEADERS if headers.get(name)), None)
    if named:
        return named
    own = _at(payload, "id")
    if own and own.startswith("evt_"):  # Stripe; elsewhere `id` is mostly that of a thing, not of the event
        return own
    return _at(payload, "event_id")  # Slack


def _at(payload: Any, *path: str) -> str | None:
    """Return the text that stands there, if one does."""
    for key in path:
        payload = payload.get(key) if isinstance(payload, dict) else None
    return payload if isinstance(payload, str) else None


def _cleaned(text: str | None, limit: int) -> str | None:
    # A text that is far too long is also cut before it is cleaned, because cleaning takes time.
    return clean_line((text or "")[: limit * 8])[:limit].rstrip() or None
