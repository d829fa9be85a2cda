"""Fields of a webhook that would have no effect."""

from collections.abc import Mapping
from typing import Any

from guestbook.lib.errors import Refused
from guestbook.lib.pull_url import PULL_URL
from guestbook.storage.models import Webhook
from guestbook.storage.models.webhook import UNSIGNED_FORMATS

WITHOUT_HEADERS = {**UNSIGNED_FORMATS, PULL_URL: "A fetched message"}  # formats, and this URL
NO_PULL_RATE = "Its receiver fetches the messages at its own speed: remove the rate limit."


def refuse(format_name: str, url: str, webhook: Webhook, changes: Mapping[str, Any]) -> None:
    """Refuse headers that no request carries, and a rate limit where a receiver fetches; raises Refused."""
    what = WITHOUT_HEADERS.get(format_name) or WITHOUT_HEADERS.get(url)
    headers, wrong = changes.get("headers", webhook.headers), {}
    if what and headers:
        wrong["headers"] = f"{what} carries no headers of yours: remove {', '.join(headers)}."
    if url == PULL_URL and changes.get("rate", webhook.rate):
        wrong["rate"] = NO_PULL_RATE
    if wrong:
        raise Refused.of(wrong)
