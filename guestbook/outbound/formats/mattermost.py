"""The format `mattermost`, for an incoming webhook of Mattermost: `{"text"}`."""

import json
import re

from guestbook.outbound.formats import literal_text, text_limit, wording
from guestbook.outbound.formats.format_input import FormatInput
from guestbook.outbound.formats.literal_text import APART, Markdown

MATTERMOST_LIMIT = 16_383  # characters of a post
# A backslash escapes these; before a letter it is a plain backslash. As in github.com/mattermost/marked.
BACKSLASHED = r"[*_~`|>#\[\]]|\\(?![A-Za-z0-9])"
# Mattermost looks for @channel in the text itself, so a backslash would not hide it; &#64; is an @ too.
# A colon begins :emoji: and ends a scheme. A domain before a slash becomes a link, with any backslash in it.
PARTED = r"@|&(?=[#A-Za-z])|:(?!\s)|\.[^\W\d_]{2,4}(?=/)|www\d{0,3}(?=\.)"
PARTED_ALONE = re.compile(r"[@&:]|[.w].+", re.IGNORECASE)
# These begin <!channel>, <tags> and $formulas$, which no backslash prevents.
ENTITIES = {"<": "&lt;", "$": "&#36;"}


def render(given: FormatInput) -> str:
    """Return the body."""
    words = wording.of(given.event, given.data)
    text = text_limit.lines(
        words, MATTERMOST_MARKDOWN.text, limit=MATTERMOST_LIMIT, title=MATTERMOST_MARKDOWN.bold
    )
    return json.dumps({"text": text}, ensure_ascii=False)


def _escape(match: re.Match[str]) -> str:
    found = match[0]
    if found in ENTITIES:
        return ENTITIES[found]
    return found + APART if PARTED_ALONE.fullmatch(found) else "\\" + found


MATTERMOST_MARKDOWN = Markdown(rf"{BACKSLASHED}|{PARTED}|[<$]", _escape, literal_text.WEB_OR_WWW)
