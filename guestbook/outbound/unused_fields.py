"""Fields of a webhook that would have no effect."""

from collections.abc import Mapping

from guestbook.lib.errors import Refused
from guestbook.lib.pull_url import PULL_URL

WITHOUT_HEADERS = {"email": "An e-mail", "webmention": "A webmention", PULL_URL: "A fetched message"}
NO_PULL_RATE = "Its receiver fetches the messages at its own speed: remove the rate limit."


def refuse(format_name: str, url: str, headers: Mapping[str, str], rate: str | None) -> None:
    """Refuse headers that no request carries, and a rate limit of a receiver that fetches; raises Refused."""
    what = WITHOUT_HEADERS.get(format_name) or WITHOUT_HEADERS.get(url)
    wrong = {}
    if what and headers:
        wrong["headers"] = f"{what} carries no headers of yours: remove {', '.join(headers)}."
    if rate and url == PULL_URL:
        wrong["rate"] = NO_PULL_RATE
    if wrong:
        raise Refused.of(wrong)
