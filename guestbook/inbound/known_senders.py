"""Known senders: how each signs, the echo that some require first, and which template fits. Pure."""

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from guestbook.inbound.github_templates import GITHUB_TEMPLATES
from guestbook.lib import validate
from guestbook.lib.errors import Refused
from guestbook.lib.verification.kinds import (
    ED25519,
    SIGNATURE_ENCODINGS,
    SIGNATURE_HASHES,
    SIGNED_CONTENTS,
    TOLERANCE,
    VERIFICATION_KINDS,
    as_bytes,
)
from guestbook.storage.models import Source

HANDSHAKE_LIMIT = 4096  # bytes of a request of Slack's, Zoom's or Discord's
COMMAND_LIMIT = 100_000  # bytes of a command typed in Discord
DISCORD_HEADER = "x-signature-ed25519"
EPHEMERAL = 64  # Discord shows such an answer to the person alone
PRINTABLE = re.compile("[!-~]{1,200}")  # ASCII that no browser takes for a page


def slack_challenge(body: bytes) -> str | None:
    """Return the answer to Slack's `url_verification`, or None for other requests.

    https://api.slack.com/events/url_verification
    """
    sent = _object(body, HANDSHAKE_LIMIT)
    return _challenge(sent.get("challenge")) if sent.get("type") == "url_verification" else None


def zoom_challenge(body: bytes) -> str | None:
    """Return what Zoom's `endpoint.url_validation` wants to be signed, or None for other requests.

    Only a proven request may be answered: the answer is signed with the source's secret.
    https://developers.zoom.us/docs/api/webhooks/#validate-your-webhook-endpoint
    """
    sent = _object(body, HANDSHAKE_LIMIT)
    payload = sent.get("payload")
    if sent.get("event") != "endpoint.url_validation" or not isinstance(payload, dict):
        return None
    return _challenge(payload.get("plainToken"))


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
    challenges = {"slack": slack_challenge, "hmac": zoom_challenge}
    return verify in challenges and challenges[verify](body) is not None


def meta_challenge(args: Mapping[str, str], token: str) -> str | None:
    """Return the answer to the GET of Meta's "Verification Requests" with this token, or None.

    https://developers.facebook.com/docs/graph-api/webhooks/getting-started
    """
    given = args.get("hub.verify_token", "").encode(errors="surrogatepass")
    is_theirs = hmac.compare_digest(given, token.encode(errors="surrogatepass"))
    if not token or not is_theirs or args.get("hub.mode") != "subscribe":
        return None
    return _challenge(args.get("hub.challenge"))


def is_ping(headers: Mapping[str, str]) -> bool:
    """Whether this is GitHub's test of a new webhook.

    https://docs.github.com/en/webhooks/webhook-events-and-payloads#ping
    """
    return headers.get("x-github-event") == "ping"


def _object(body: bytes, most: int) -> dict[str, Any]:
    """Return the JSON object in a short body; an empty one for anything else."""
    try:
        sent = json.loads(body.decode()) if len(body) <= most else None
    except (ValueError, RecursionError):
        return {}
    return sent if isinstance(sent, dict) else {}


def _challenge(value: object) -> str | None:
    return value if isinstance(value, str) and PRINTABLE.fullmatch(value) else None


# Amounts are in the smallest unit, which some currencies do not have: https://docs.stripe.com/currencies
_STRIPE_TEMPLATE = """\
{% set payment = (payload.data or {}).object or {} %}
{% set amount = payment.amount_total %}
{% if event == "checkout.session.completed" and payment.payment_status == "paid" and amount is integer %}
{% set currency = (payment.currency or "")|upper %}
{% set is_whole = currency in "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF".split() %}
{% set cents = amount % 100 %}
{% set total = amount if is_whole else (amount // 100) ~ "." ~ ("0" if cents < 10 else "") ~ cents %}
{% set name = ((payment.customer_details or {}).name or "").split()|first or "Somebody" %}
{{ name }} paid {{ total }} {{ currency }}. Thank you!
{% endif %}
"""

_SHOPIFY_TEMPLATE = """\
{% set name = (payload.customer or {}).first_name or "Somebody" %}
{% if event == "orders/create" and payload.line_items and not payload.test %}
{% set count = payload.line_items|length %}
{% set more = " and " ~ (count - 1) ~ " more" if count > 1 else "" %}
{% set title = ((payload.line_items|first or {}).title or "something")|truncate(200) %}
{{ name }} ordered {{ title }}{{ more }}. Thank you!
{% elif event == "products/create" and payload.title and payload.status != "draft" %}
{% set name = payload.vendor or source %}
New in the shop: {{ payload.title|truncate(200) }}
{% endif %}
"""

SHOP_TEMPLATES = {"stripe": _STRIPE_TEMPLATE, "shopify": _SHOPIFY_TEMPLATE}


# A command with one text, such as /sign, that somebody types in Discord.
_DISCORD_TEMPLATE = """\
{% set person = (payload.member or {}).user or payload.user or {} %}
{% set name = person.global_name or person.username or source %}
{% if payload.type == 2 %}
{{ (((payload.data or {}).options or [])|first or {}).value or "" }}
{% endif %}
"""

_GUESTBOOK = """\
{% set comment = (payload.data or {}).comment or {} %}
{% if payload.type in ("comment.created", "comment.published") and comment.status == "published" %}
{% set name = comment.name or source %}
{% set website = comment.website or "" %}
{{ comment.message }}
{% endif %}
"""

# For your own scripts: the fields of this book's form, as JSON or as a form, or plain text. Others say
# text, content or title.
_PLAIN = """\
{% set fields = payload if payload is mapping else {} %}
{% set name = fields.name if fields.name is string else sender or source %}
{% set website = fields.website or "" %}
{% set words = fields.message or fields.text or fields.content or fields.title or payload %}
{{ words if words is string else "" }}
"""

PRESETS = {
    **GITHUB_TEMPLATES,
    **SHOP_TEMPLATES,
    "discord": _DISCORD_TEMPLATE,
    "guestbook": _GUESTBOOK,
    "plain": _PLAIN,
}


# What each field is until the owner says something else.
SCHEME_DEFAULTS = {
    "hash": SIGNATURE_HASHES[0],
    "encoding": SIGNATURE_ENCODINGS[0],
    "prefix": "",
    "content": SIGNED_CONTENTS[0],
    "timestamp_header": "",
    "tolerance": str(TOLERANCE),
}


@dataclass(frozen=True, slots=True)
class SenderPreset:
    """The settings of a source for one sender."""

    title: str
    verify: str
    template: str = ""  # the ready-made one that makes comments of its events
    header: str = ""
    scheme: Mapping[str, str] = field(default_factory=dict)  # what differs from SCHEME_DEFAULTS
    secret_from: str = ""  # where the owner finds the secret, if the sender makes it


SENDER_PRESETS = {
    # https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    "github": SenderPreset("GitHub", "github", "github"),
    # https://docs.gitea.com/usage/webhooks
    "gitea": SenderPreset("Gitea or Forgejo", "hmac", "gitea", header="X-Gitea-Signature"),
    # https://docs.gitlab.com/user/project/integrations/webhooks/
    "gitlab": SenderPreset("GitLab", "token", "gitlab", header="X-Gitlab-Token"),
    # https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/
    "bitbucket": SenderPreset("Bitbucket", "hmac", header="X-Hub-Signature", scheme={"prefix": "sha256="}),
    "guestbook": SenderPreset("Another guestbook", "standard", "guestbook"),
    # https://docs.stripe.com/webhooks
    "stripe": SenderPreset("Stripe", "stripe", "stripe"),
    # https://shopify.dev/docs/apps/build/webhooks/verify-deliveries
    "shopify": SenderPreset(
        "Shopify",
        "hmac",
        "shopify",
        header="X-Shopify-Hmac-Sha256",
        scheme={"encoding": "base64"},
        secret_from="the secret that Shopify shows below its webhooks, or the client secret of your app",
    ),
    # https://woocommerce.com/document/webhooks/
    "woocommerce": SenderPreset(
        "WooCommerce", "hmac", header="X-WC-Webhook-Signature", scheme={"encoding": "base64"}
    ),
    # https://linear.app/developers/webhooks
    "linear": SenderPreset(
        "Linear",
        "hmac",
        header="Linear-Signature",
        secret_from="the signing secret that Linear shows on the page of the webhook",
    ),
    # https://www.typeform.com/developers/webhooks/secure-your-webhooks/
    "typeform": SenderPreset(
        "Typeform", "hmac", header="Typeform-Signature", scheme={"encoding": "base64", "prefix": "sha256="}
    ),
    # https://developers.zoom.us/docs/api/webhooks/
    "zoom": SenderPreset(
        "Zoom",
        "hmac",
        header="X-Zm-Signature",
        scheme={
            "prefix": "v0=",
            "timestamp_header": "X-Zm-Request-Timestamp",
            "content": "v0:{timestamp}:{body}",
        },
        secret_from="the secret token that Zoom shows on the page of your app",
    ),
    # https://api.slack.com/authentication/verifying-requests-from-slack
    "slack": SenderPreset("Slack", "slack"),
    # https://docs.discord.com/developers/interactions/overview
    "discord": SenderPreset(
        "Discord",
        "ed25519",
        "discord",
        header="X-Signature-Ed25519",
        scheme={"timestamp_header": "X-Signature-Timestamp", "content": "{timestamp}{body}"},
        secret_from="the public key that Discord shows under General Information",
    ),
}


def filled_in(source: Source, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with those of the preset that they name, which the others override.

    Raises Refused for an unknown preset, and where the sender makes the secret and it is not given.
    """
    if not fields.get("preset"):
        return {name: value for name, value in fields.items() if name != "preset"}
    name = validate.one_of(SENDER_PRESETS, str(fields["preset"]), field="preset", noun="preset")
    preset, filled = SENDER_PRESETS[name], settings_of(name)
    filled |= {key: value for key, value in fields.items() if value not in (None, "") or key not in filled}
    del filled["preset"]
    has_own_template = source.template not in (None, *PRESETS.values())
    if fields.get("action", source.action) == "comment" and not has_own_template:
        filled.setdefault("template", preset.template)
    is_other = filled["verify"] != source.verify
    if preset.secret_from and is_other and filled["verify"] == preset.verify and not fields.get("secret"):
        raise Refused(f"Paste {preset.secret_from}: it alone proves the sender.", field="secret")
    return filled


def settings_of(name: str) -> dict[str, Any]:
    """Return the fields of a source that a preset fills in."""
    preset = SENDER_PRESETS[name]
    header = {"header": preset.header} if preset.header else {}
    scheme = {**SCHEME_DEFAULTS, **preset.scheme} if VERIFICATION_KINDS[preset.verify].has_scheme else {}
    if preset.verify == ED25519:
        del scheme["hash"]
    return {"verify": preset.verify, **header, **scheme}
