"""The format `mattermost`, for an incoming webhook of Mattermost: `{"text"}`."""

import json
import re

from guestbook.outbound.formats import literal_text, text_limit, wording
from guestbook.outbound.formats.format_input import FormatInput
from guestbook.outbound.formats.literal_text import APART

LIMIT = 16_383  # characters of a post
# What a backslash escapes; before a letter a backslash is just that. As in github.com/mattermost/marked.
BACKSLASHED = r"[*_~`|>#\[\]]|\\(?![A-Za-z0-9])"
# It looks for @channel in the text itself, where a backslash would not hide it; &#64; is an @ too. A colon
# begins :emoji: and ends a scheme; a domain before a slash becomes a link, with the backslashes in it.
PARTED = r"@|&(?=[#A-Za-z])|:(?!\s)|\.[^\W\d_]{2,4}(?=/)|www\d{0,3}(?=\.)"
PARTING = re.compile(r"[@&:]|[.w].+", re.IGNORECASE)  # what those are alone
# Of <!channel>, <tags> and $formulas$, which no backslash ends.
ENTITIES = {"<": "&lt;", "$": "&#36;"}
SPECIAL = rf"{BACKSLASHED}|{PARTED}|[<$]"


def render(told: FormatInput) -> str:
    """Return the body."""
    said = wording.of(told.event, told.data)
    return json.dumps({"text": text_limit.lines(said, ESCAPE, limit=LIMIT, title=_title)}, ensure_ascii=False)


def _title(text: str) -> str:
    return f"**{ESCAPE_IN_TITLE(text)}**"


def _special(match: re.Match[str]) -> str:
    found = match[0]
    if found in ENTITIES:
        return ENTITIES[found]
    return found + APART if PARTING.fullmatch(found) else "\\" + found


ESCAPE = literal_text.escaper(literal_text.WEB_OR_WWW, SPECIAL, _special)
ESCAPE_IN_TITLE = literal_text.without_urls(SPECIAL, _special)
