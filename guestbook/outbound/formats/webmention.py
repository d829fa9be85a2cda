"""The format `webmention`: the comment's page and the website of who signed, `{"source", "target"}`.

A webhook with this format has the URL `webmention:`. The sender finds the endpoint of each website.
"""

import json
from typing import Any

from guestbook.outbound.formats.format_input import FormatError, FormatInput

MENTIONING_URL = "webmention:"  # of the webhook
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


def render(given: FormatInput) -> str:
    """Return the two addresses; raises FormatError when there is no website."""
    website = website_of(given.event, given.data)
    if website is None:
        raise FormatError(NO_WEBSITE)
    return json.dumps({"source": given.data["comment"]["url"], "target": website})
