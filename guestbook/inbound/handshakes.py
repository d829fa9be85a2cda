"""The echo that some senders require first, as proof that the URL is ours. Pure, and never raises."""

import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from guestbook.lib.verification.signature_headers import as_bytes

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
