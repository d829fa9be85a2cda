"""The fields of a webhook: the owner's form, the API's schemas and the checks are made from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from guestbook.lib import conditions, fields, signatures, template_sandbox, text, validate
from guestbook.lib.errors import Refused, refusing
from guestbook.lib.json_schema import URL, line
from guestbook.lib.rate_counters import RateLimit
from guestbook.outbound import payload_versions, webhook_signatures
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import FORMATS, FORMATS_WITH_LINKS
from guestbook.storage.models.delivery import SIGN_WITH
from guestbook.transport import urls

DEFAULT_EVENTS = ("comment.created",)
VERSION_DATE = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
SIGNING_KEY = "^whsk_[0-9A-Za-z+/]{43,86}={1,2}$"
HEADER_NAME = f"^{urls.HEADER_NAME_PATTERN.pattern}$"
HEADER_VALUE = "^[ -~]*$"
HEADERS = {
    "type": "object",
    "description": "All extra headers of the webhook. Later, the values are shown as (hidden). "
    "Of names that differ only in case, the last counts.",
    "propertyNames": {"type": "string", "pattern": HEADER_NAME, "maxLength": urls.HEADER_NAME_LIMIT},
    "additionalProperties": {"type": "string", "pattern": HEADER_VALUE, "maxLength": urls.HEADER_VALUE_LIMIT},
    "maxProperties": urls.OWN_HEADERS_LIMIT,
}


def _events(names: Sequence[str]) -> str:
    if not names:
        raise Refused("Choose at least one event, or nothing will ever be sent.", field="events")
    for name in names:
        validate.one_of(EVENTS, name, field="events", noun="event")
    return " ".join(dict.fromkeys(names))


def _rate(value: str | None) -> str | None:
    with refusing("rate", ValueError):
        return str(RateLimit.read(value)) if value and value.strip() else None


def _unchecked(value: Any) -> Any:
    """Return the value as it is: what is allowed depends on the settings or on the webhook."""
    return value


@dataclass(frozen=True, slots=True)
class WebhookFields:
    """What the owner says of a webhook, as a form sends it."""

    url: str = fields.line(
        "",
        "URL",
        "The book sends its messages there, such as https://example.org/hook. For e-mail write "
        "mailto:you@example.org. If the receiver fetches them, write pull:.",
        _unchecked,
        # A host may be in any script. What may be sent to, transport decides.
        schema={**URL, "maxLength": urls.URL_LIMIT, "examples": ["https://example.org/hook"]},
        attributes={"required": "", **fields.URL_INPUT},
    )
    name: str = fields.line(
        "",
        "Name",
        "A new webhook without a name gets that of the host.",
        validate.name,
        schema=line(validate.NAME_LIMIT),
        attributes={"autocomplete": "off"},
    )
    events: Sequence[str] = fields.several(
        DEFAULT_EVENTS,
        "Events",
        "The events that it gets.",
        _events,
        {name: event.when for name, event in EVENTS.items()},
        schema={"minItems": 1, "maxItems": len(EVENTS), "uniqueItems": True},
    )
    event_condition: str = conditions.field(
        'Only events for which this expression is true. Such as comment.place == "Berlin", or '
        '"invoice" in comment.message|lower. It sees the event as a template does, without guestbook and '
        "sequence. Leave it empty for all. comment.deleted always comes."
    )
    format: str = fields.select(
        "",
        "Format",
        "The format of the body. json is for programs. thin has no words of visitors: its receiver fetches "
        "them by the API. template is for a template of yours, the others are for chat services. A new "
        "webhook without one gets that of the service at its URL, or json. For ntfy the "
        "URL names the topic, such as https://ntfy.sh/my-topic. For Telegram it is "
        "https://api.telegram.org/bot<token>/sendMessage?chat_id=<chat>.",
        {"": "automatic, from the URL", **{name: name for name in FORMATS}},
        check=partial(validate.one_of, FORMATS, field="format", noun="format"),
    )
    version: str = fields.select(
        "",
        "Version",
        "The version of its payloads: a date. A new webhook gets the newest, and keeps it when events get "
        "another shape. Messages for chats and e-mails do not depend on it.",
        {"": "the newest", **{name: name for name in sorted(payload_versions.VERSIONS, reverse=True)}},
        check=partial(validate.one_of, payload_versions.VERSIONS, field="version", noun="version"),
        # Programs need not be made again for each new version.
        schema={"type": "string", "pattern": VERSION_DATE, "examples": [payload_versions.newest()]},
    )
    template: str = fields.area(
        "",
        "Template",
        "A Jinja template of the body, which must be JSON. It goes with the format template. An example: "
        '{"text": {{ (comment.name ~ ": " ~ comment.message)|tojson }}}. It can use event, timestamp, '
        "guestbook, and the event’s data: comment, sequence and reply, source and inbound, or webhook.",
        lambda value: text.clean_text(value or "") or None,
        schema={"type": ["string", "null"], "maxLength": template_sandbox.SOURCE_LIMIT},
        attributes={"rows": 6, **fields.CODE_INPUT},
    )
    headers: str = fields.area(
        "",
        "Headers",
        "Extra headers for each delivery, one per line, such as: Authorization: Bearer 1234. A value "
        "(hidden) stays as it is.",
        _unchecked,
        schema=HEADERS,
        attributes=fields.CODE_INPUT,
    )
    rate: str = fields.line(
        "",
        "Rate limit",
        "How many requests may begin, such as 30/m (in any minute) or 5/s (in any second). Leave it empty "
        "for no limit. It is not for the URL pull:.",
        _rate,
        schema={"type": ["string", "null"], "maxLength": 20},
        attributes=fields.EXACT_INPUT,
    )
    sign_with: str = fields.select(
        SIGN_WITH[0],
        "Signed with",
        "Sign with the secret, with a key pair of Ed25519, or with both; by default with the secret. The "
        "receiver shares the secret with you, so it could sign too. A key pair has two halves: the book "
        "signs with the private one, and the receiver verifies with the public one, which the webhook’s "
        "page shows. The secret alone deletes the key.",
        {"secret": "the secret", "key": "a key", "both": "the secret and a key"},
        check=partial(validate.one_of, SIGN_WITH, field="sign_with", noun="signature"),
    )
    signing_key: str = fields.line(
        "",
        "Private key",
        f"The private key whose public half the receiver has already: {signatures.KEY_FORMS}. Leave it empty "
        "to keep the present key, or to create one. It signs alone, unless both sign.",
        webhook_signatures.given_key,
        schema={"type": "string", "pattern": SIGNING_KEY, "maxLength": 100},
        attributes=fields.CODE_INPUT,
    )
    secret: str = fields.line(
        "",
        "Secret",
        f"The secret that the receiver has already: {signatures.SECRET_FORMS}. Without it a new one is made.",
        webhook_signatures.given_secret,
        schema={
            "type": "string",
            "minLength": signatures.SHORTEST_SECRET,
            "maxLength": signatures.LONGEST_SECRET,
        },
        attributes=fields.CODE_INPUT,
    )
    github_headers: str = fields.select(
        "no",
        "GitHub’s headers",
        "Send X-GitHub-Event and X-GitHub-Delivery too, for receivers written for GitHub. X-GitHub-Hook-ID "
        "comes with them.",
        {"no": "no", "yes": "yes"},
        check=bool,
        schema={"type": "boolean"},
    )
    moderation_links: str = fields.select(
        "",
        "Links to moderate",
        "Put a link into messages about held comments, with which any reader can moderate them; by default "
        f"for {', '.join(FORMATS_WITH_LINKS)}. It needs no login, and works for 7 days.",
        {"": "automatic, by the format", "yes": "yes", "no": "no"},
        check=bool,
        schema={"type": "boolean"},
    )


WEBHOOK_FIELDS = fields.of(WebhookFields)
