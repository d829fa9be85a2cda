"""The echo that some senders require first, as proof that the URL is ours. Pure, and never raises."""

import hmac
import json
import re
from collections.abc import Mapping

SLACK_BODY_LIMIT = 4096  # bytes of Slack's request
PRINTABLE = re.compile("[!-~]{1,200}")  # ASCII that no browser takes for a page


def slack_challenge(body: bytes) -> str | None:
    """Return the answer to Slack's `url_verification`, or None for other requests.

    https://api.slack.com/events/url_verification
    """
    if len(body) > SLACK_BODY_LIMIT:
        return None
    try:
        sent = json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(sent, dict) or sent.get("type") != "url_verification":
        return None
    return _challenge(sent.get("challenge"))


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


def _challenge(value: object) -> str | None:
    return value if isinstance(value, str) and PRINTABLE.fullmatch(value) else None
