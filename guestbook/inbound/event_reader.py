"""Read an inbound event: its body, its name, id and person, and whether it is a handshake. Pure.

A body is JSON-like, a form or text.
"""

import hmac
import json
import math
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn
from urllib.parse import parse_qsl

from werkzeug.http import parse_options_header

from guestbook.lib import body_encoding
from guestbook.lib.body_encoding import MULTIPART, URLENCODED, NotMultipart, PackedWrongly, TooManyParts, View
from guestbook.lib.text import clean_line
from guestbook.lib.verification.kinds import as_bytes

UNPACKED_LIMIT = 4_000_000  # bytes of a body after unpacking
DEPTH_LIMIT = 64  # levels of nested lists and objects
INTEGER_DIGITS_LIMIT = 100
MOST_FIELDS = 1000  # fields of a form
# Four megabytes of short values or escapes would need up to 300 MB of memory; a normal body has fewer.
MOST_VALUES = 700_000  # counted by commas, colons and brackets, also those in texts
MOST_ESCAPES = 200_000  # escapes in a form, such as %20
TOO_MANY_FIELDS = f"The form has more than {MOST_FIELDS:,} fields."

# Half an emoji, where a sender has cut a text. No database stores it, so it becomes U+FFFD.
HALF = re.compile("[\ud800-\udfff]")
MAY_HOLD_HALVES = re.compile(r"\\u[dD][89a-fA-F]")


class BodyError(Exception):
    """The reason why a body cannot be read, in one sentence for the owner."""


def parse(headers: Mapping[str, str], body: bytes) -> object:
    """Read JSON, a form or text, by `content-type` and by its looks; raises only BodyError."""
    encoding, content_type = headers.get("content-encoding", ""), headers.get("content-type", "")
    try:
        content = body_encoding.unpacked_beginning(encoding, body, UNPACKED_LIMIT + 1)
    except PackedWrongly as error:
        raise BodyError(str(error)) from None
    if len(content) > UNPACKED_LIMIT and content is not body:
        raise BodyError(f"The body unpacks to more than {UNPACKED_LIMIT:,} bytes.")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == MULTIPART:
        return _form_with_files(content, content_type)
    text = _text(content, content_type)
    if kind.endswith(("/json", "+json")):
        return _json(text)
    if _looks_like_json(text):  # curl -d claims to send a form, and Amazon's SNS plain text
        with suppress(BodyError):
            return _json(text)
    return _form(text, content_type) if kind == URLENCODED else text


def views(headers: Mapping[str, str], body: bytes) -> list[View]:
    """Return each way to read a body on a page, unpacked if it was compressed."""
    with suppress(PackedWrongly):
        encoding = headers.get("content-encoding", "")
        body = body_encoding.unpacked_beginning(encoding, body, body_encoding.READ_BYTES + 1)
    return body_encoding.views(body, headers.get("content-type", ""))


def _text(body: bytes, content_type: str) -> str:
    """Decode UTF-8, whatever is named. Other bytes are in the encoding that the sender names."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        encoding = body_encoding.named_encoding(content_type)
        if encoding not in (None, "utf-8"):
            return body.decode(encoding, "replace")
        raise BodyError(f"The body is not UTF-8: byte {error.start + 1:,} is wrong.") from None


def _looks_like_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[")


def _json(text: str) -> object:
    if not text.strip():
        raise BodyError("The body is empty, although its content type is JSON.")
    if sum(map(text.count, ",:[{")) > MOST_VALUES:
        raise BodyError(f"The body holds more than {MOST_VALUES:,} values.")
    try:
        value = json.loads(text, parse_int=_whole_number, parse_float=_number, parse_constant=_no_constant)
        if _depth(value) > DEPTH_LIMIT:
            raise RecursionError
    except json.JSONDecodeError as error:
        where = f"line {error.lineno:,}, column {error.colno:,}"
        raise BodyError(f"The body is not valid JSON: {where}: {error.msg}.") from None
    except RecursionError:
        raise BodyError(f"The body is nested more than {DEPTH_LIMIT} deep.") from None
    return _without_halves(value) if MAY_HOLD_HALVES.search(text) else value


def _form(text: str, content_type: str) -> object:
    if text.count("%") > MOST_ESCAPES:
        raise BodyError(f"The form has more than {MOST_ESCAPES:,} escaped characters, such as %20.")
    try:
        pairs = _pairs(text, "utf-8", "strict")
    except UnicodeDecodeError:
        pairs = _pairs(text, body_encoding.named_encoding(content_type) or "utf-8", "replace")
    except ValueError:
        raise BodyError(TOO_MANY_FIELDS) from None
    return _values(pairs)


def _pairs(text: str, encoding: str, errors: str) -> list[tuple[str, str]]:
    return parse_qsl(
        text, keep_blank_values=True, max_num_fields=MOST_FIELDS, encoding=encoding, errors=errors
    )


def _form_with_files(body: bytes, content_type: str) -> object:
    """Return what `_form` does. The files are left out."""
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    try:
        parts = body_encoding.form_parts(body, boundary, MOST_FIELDS)
    except TooManyParts:
        raise BodyError(TOO_MANY_FIELDS) from None
    except NotMultipart:
        raise BodyError("The body is not the form that its content type names, or it is cut off.") from None
    return _values((part.name, part.text) for part in parts if part.filename is None)


def _values(fields: Iterable[tuple[str, str]]) -> object:
    """Return name → last value, or the JSON in `payload` that GitHub and Slack send."""
    values = dict(fields)
    payload = values.get("payload", "")
    return _json(payload) if _looks_like_json(payload) else values


def _whole_number(digits: str) -> int:
    if len(digits) > INTEGER_DIGITS_LIMIT:
        raise BodyError(f"The body holds a number of {len(digits):,} digits.")
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise BodyError("The body holds a number that is too large.")
    return number


def _no_constant(name: str) -> NoReturn:
    raise BodyError(f"The body holds {name}, which is not a number in JSON.")


def _depth(value: object) -> int:
    """Count the levels one at a time, because recursion could run out of stack."""
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        if depth > DEPTH_LIMIT:
            break
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return depth


def _without_halves(value: Any) -> Any:
    if isinstance(value, str):
        return HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_halves(one) for one in value]
    if isinstance(value, dict):
        return {_without_halves(key): _without_halves(one) for key, one in value.items()}
    return value


EVENT_LIMIT, ID_LIMIT, SENDER_LIMIT = 100, 200, 200  # characters, as in schema.sql

# Headers that name the event. Gitea and Forgejo send GitHub's too, and mean the same.
EVENT_HEADERS = (
    *("x-github-event", "x-gitea-event", "x-forgejo-event", "x-gogs-event", "x-guestbook-event"),
    *("x-shopify-topic", "x-wc-webhook-topic", "linear-event"),
    *("x-event-key", "ce-type", "twitch-eventsub-subscription-type"),  # Bitbucket; CloudEvents; Twitch
)
# An id finds repeats. So a header counts only if its value is new with each delivery and the same in all
# attempts at it. GitLab's Idempotency-Key is; several events share one X-Gitlab-Event-UUID.
ID_HEADERS = (
    *("x-github-delivery", "x-gitea-delivery", "x-forgejo-delivery", "x-gogs-delivery"),
    *("x-shopify-webhook-id", "linear-delivery", "twitch-eventsub-message-id", "i-twilio-idempotency-token"),
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


class Metadata(NamedTuple):
    """Clean, in one line each, and no longer than their columns; None where the sender says nothing."""

    event: str | None
    external_id: str | None
    sender: str | None


NO_METADATA = Metadata(None, None, None)


def extract_metadata(headers: Mapping[str, str], payload: object) -> Metadata:
    """Read it from the headers, whose names are in lower case, and the parsed body. Never raises."""
    external_id, own = _first(headers, ID_HEADERS), _at(payload, "id")
    if not external_id:
        # Stripe's; elsewhere `id` is mostly that of a thing, not of the event. The other is Slack's.
        external_id = own if own and own.startswith("evt_") else _at(payload, "event_id")
    people = (_cleaned(_at(payload, *path), SENDER_LIMIT) for path in SENDER_PATHS)
    event = _cleaned(_event(headers, payload), EVENT_LIMIT)
    return Metadata(event, _cleaned(external_id, ID_LIMIT), next(filter(None, people), None))


def split_metadata(event: str | None, payload: object) -> tuple[str, str]:
    """Return the event without its action, and the action or "": `issues.opened` → `issues`, `opened`."""
    event, action = event or "", _action(payload) or ""
    if action and event.endswith(f".{action}"):
        return event.removesuffix(f".{action}"), action
    return event, ""


def _event(headers: Mapping[str, str], payload: object) -> str | None:
    named = _first(headers, EVENT_HEADERS)
    if named and "x-guestbook-event" in headers:
        return named
    named = named or _at(payload, "object_kind") or headers.get("x-gitlab-event")
    if named:
        action = _action(payload)
        return f"{named}.{action}" if action else named
    said = (("event", "type"), ("type",), ("event",), ("event_type",))  # the last: Typeform, Paddle, PayPal
    return next(filter(None, (_at(payload, *path) for path in said)), None)


def _action(payload: object) -> str | None:
    """Return `opened` and the like: of GitHub and its kin, or of GitLab."""
    action = _at(payload, "action") or _at(payload, "object_attributes", "action")
    return _cleaned(action, EVENT_LIMIT)


def _first(headers: Mapping[str, str], names: Iterable[str]) -> str | None:
    return next((headers[name] for name in names if headers.get(name)), None)


def _at(payload: Any, *path: str) -> str | None:
    """Return the text that stands there, if one does."""
    for key in path:
        payload = payload.get(key) if isinstance(payload, dict) else None
    return payload if isinstance(payload, str) else None


def _cleaned(text: str | None, limit: int) -> str | None:
    # A text that is far too long is also cut before it is cleaned, because cleaning takes time.
    return clean_line((text or "")[: limit * 8])[:limit].rstrip() or None


HANDSHAKE_LIMIT = 4096  # bytes of a request of Slack's, Zoom's or Discord's
COMMAND_LIMIT = 100_000  # bytes of a command typed in Discord
DISCORD_HEADER = "x-signature-ed25519"
EPHEMERAL = 64  # Discord shows such an answer to the person alone
PRINTABLE = re.compile("[!-~]{1,200}")  # ASCII that no browser takes for a page
WORDS = re.compile("[!-~][ -~]{0,499}")  # Microsoft's token is a sentence
WEBSUB_HEADER = "x-hub-signature"
# A source's header in lower case → the parameter with what its sender wants back when it checks the URL.
# https://www.dropbox.com/developers/reference/webhooks
# https://learn.microsoft.com/graph/change-notifications-delivery-webhooks#notificationurl-validation
URL_CHALLENGES = {"x-dropbox-signature": "challenge", "body.value.clientstate": "validationToken"}


# A sender → where its question has a value, which one, and where the challenge that it wants back stands.
QUESTIONS = {
    # https://api.slack.com/events/url_verification
    "slack": (("type",), "url_verification", ("challenge",)),
    # https://developers.zoom.us/docs/api/webhooks/#validate-your-webhook-endpoint
    "zoom": (("event",), "endpoint.url_validation", ("payload", "plainToken")),
    # https://dev.twitch.tv/docs/eventsub/handling-webhook-events/#responding-to-a-challenge-request
    "twitch": (("subscription", "status"), "webhook_callback_verification_pending", ("challenge",)),
}


def challenge(sender: str, body: bytes) -> str | None:
    """Return what one of QUESTIONS wants back, or None for other requests.

    Only a proven request of Zoom's or Twitch's may be answered: Zoom's is signed with the source's secret.
    """
    sent, (place, value, wanted) = _object(body, HANDSHAKE_LIMIT), QUESTIONS[sender]
    return _printable(_at(sent, *wanted)) if _at(sent, *place) == value else None


def zoom_answer(challenge: str, secret: str) -> dict[str, str]:
    """Return Zoom's challenge with its signature."""
    signature = hmac.digest(as_bytes(secret), challenge.encode(), "sha256").hex()
    return {"plainToken": challenge, "encryptedToken": signature}


def discord_answer(body: bytes) -> dict[str, Any] | None:
    """Return the answer to a proven request of Discord's; None for an event, which wants an empty one.

    https://docs.discord.com/developers/interactions/receiving-and-responding
    https://docs.discord.com/developers/events/webhook-events#preparing-for-events
    """
    sent = _object(body, COMMAND_LIMIT)
    if "event" in sent or sent.get("type") == 0:
        return None
    if sent.get("type") == 1:
        return {"type": 1}
    return {"type": 4, "data": {"content": "✓", "flags": EPHEMERAL}}


def is_handshake(verify: str, body: bytes) -> bool:
    """Whether this is the handshake of a sender that is verified in that way."""
    if verify == "ed25519":
        sent = _object(body, HANDSHAKE_LIMIT)
        return "event" not in sent and sent.get("type") in (0, 1)
    senders = {"slack": ("slack",), "hmac": ("zoom", "twitch")}.get(verify, ())
    return any(challenge(sender, body) is not None for sender in senders)


def url_challenge(args: Mapping[str, str], header: str) -> str | None:
    """Return the answer to Dropbox's GET or to Microsoft Graph's POST without a body, or None."""
    challenge = args.get(URL_CHALLENGES.get(header, ""), "")
    return challenge if WORDS.fullmatch(challenge) else None


def meta_challenge(args: Mapping[str, str], token: str, *, is_websub: bool = False) -> str | None:
    """Return the answer to the GET of Meta's "Verification Requests" with this token, or None.

    https://developers.facebook.com/docs/graph-api/webhooks/getting-started
    A hub of WebSub may send no token: https://www.w3.org/TR/websub/#hub-verifies-intent
    """
    given = args.get("hub.verify_token", token if is_websub else "").encode(errors="surrogatepass")
    is_theirs = hmac.compare_digest(given, token.encode(errors="surrogatepass"))
    if not token or not is_theirs or args.get("hub.mode") != "subscribe":
        return None
    return _printable(args.get("hub.challenge"))


def _object(body: bytes, most: int) -> dict[str, Any]:
    """Return the JSON object in a short body; an empty one for anything else."""
    try:
        sent = json.loads(body.decode()) if len(body) <= most else None
    except (ValueError, RecursionError):
        return {}
    return sent if isinstance(sent, dict) else {}


def _printable(value: str | None) -> str | None:
    return value if value and PRINTABLE.fullmatch(value) else None
