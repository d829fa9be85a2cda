"""What senders demand before they send: an echo that shows that the URL is ours. Pure, and never raises."""

import hmac
import json
import re
from collections.abc import Mapping

BODY_LIMIT = 4096  # bytes of Slack's request
CHALLENGE = re.compile("[!-~]{1,200}")  # printable ASCII: nothing that a browser could take for a page's line


def slack_challenge(body: bytes) -> str | None:
    """Return what to answer to Slack's `url_verification`; None when it is something else.

    https://api.slack.com/events/url_verification
    """
    if len(body) > BODY_LIMIT:
        return None
    try:
        sent = json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(sent, dict) or sent.get("type") != "url_verification":
        return None
    return _challenge(sent.get("challenge"))


def meta_challenge(args: Mapping[str, str], token: str) -> str | None:
    """Return what to answer to the GET of Meta's "Verification Requests" with this token; None otherwise.

    https://developers.facebook.com/docs/graph-api/webhooks/getting-started
    """
    given = args.get("hub.verify_token", "").encode(errors="surrogatepass")
    is_theirs = hmac.compare_digest(given, token.encode(errors="surrogatepass"))
    if not token or not is_theirs or args.get("hub.mode") != "subscribe":
        return None
    return _challenge(args.get("hub.challenge"))


def is_ping(headers: Mapping[str, str]) -> bool:
    """Whether GitHub only says that the webhook was made.

    https://docs.github.com/en/webhooks/webhook-events-and-payloads#ping
    """
    return headers.get("x-github-event") == "ping"


def _challenge(value: object) -> str | None:
    return value if isinstance(value, str) and CHALLENGE.fullmatch(value) else None
