"""Small readers of the markup of Mattermost and of Discord, to see the text that people in a chat see.

Written anew from github.com/mattermost/marked and from Discord's documentation. Each returns the text that is
shown, and raises Markup where any of it would be more than text: a format, a mention, an emoji, a list.
"""

import html
import re
from collections.abc import Iterator
from urllib.parse import unquote

UNSEEN = re.compile("[\u200b\ufeff]")


class Markup(AssertionError):
    """Something in the text is markup."""


MATTERMOST_BLOCKS = (
    r" {4}",  # code
    r" {0,3}(`{3,}|~{3,})[^`~\n]*$",
    r"( *[-*_]){3,} *$",  # a line
    r" *#{1,6} ",
    r" *>",
    r" *(?:[*+-]|\d+\.) ",
    r" *(=|-){2,} *$",  # a heading is above
    r" *[-:]+ *\|",  # a table's head is above
    r" *\|",
    r" *\[[^\]]+\]:",
    r" *</?\w",
)
MATTERMOST_ESCAPE = re.compile(r"\\([`*{}\[\]()#+\-.!_>|~]|\\(?![A-Za-z0-9_]))")
MATTERMOST_URL = re.compile(
    r"((?:[A-Za-z][A-Za-z\d.+-]*:(?:/{1,3}|[^\W_]|%)|www\d{0,3}[.]|[\w.-]+[.][^\W\d_]{2,4}/)"
    r"(?:[^\s\ufeff`!()\[\]{;:'\",<>?«»“”‘’]|[`!\[\]{;:'\",<>?«»“”‘’](?=[^\s\ufeff()<>])|\([^\s\ufeff()<>]*\))+)"
)
MATTERMOST_LIVE = (
    r"<[^ >]+>",
    r"!?\[[^\]]*\]\s*[\[(]",
    r"(\*\*|__)[\s\S]+?\1",
    r"\*[^\s*][\s\S]*?\*",
    r"_[^\s_][\s\S]*?_",
    r"(`+)[^`][\s\S]*?\1",
    r"~~\S[\s\S]*?~~",
    r"\$[^$\n]+\$(?!\w)",
)
MATTERMOST_STOP = re.compile(r"[\\<!\[`*~]|\B\$|\b_|\b[A-Za-z][A-Za-z0-9.+-]{1,31}:|\bwww\d{0,3}\.|\n|$")
MATTERMOST_CALLS = re.compile(r"@\w|:[\w+-]+:|\B~\w|(?<!\w)#[^\W\d_]")


def mattermost(text: str) -> str:
    """Return the text that Mattermost shows."""
    _no_block(text, MATTERMOST_BLOCKS)
    return "".join(_mattermost(text))


def _mattermost(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        if found := MATTERMOST_ESCAPE.match(text, at):
            yield found[1]
        elif found := MATTERMOST_URL.match(text, at):
            yield _whole_url(found[0], r"\\")
        elif live := next(filter(None, (re.compile(one).match(text, at) for one in MATTERMOST_LIVE)), None):
            raise Markup(live[0])
        else:
            stop = MATTERMOST_STOP.search(text, at + 1)
            found = re.compile(".+", re.DOTALL).match(text, at, stop.start() if stop else len(text))
            assert found
            if call := MATTERMOST_CALLS.search(found[0]):
                raise Markup(call[0])
            yield html.unescape(found[0])
        at = found.end()


DISCORD_BLOCKS = (r" *(?:[*-]|\d+\.) ", r" *#{1,3} ", r" *-# ", r" *>{1,3} ")
DISCORD_ESCAPE = re.compile(r"\\([^0-9A-Za-z\s])")
DISCORD_URL = re.compile(r"https?://[^\s\ufeff<]+[^<.,:;\"'\]\s\ufeff]")
DISCORD_LIVE = re.compile(r"[\\*_~`|<>#\[@]|:[^\s:]+:")


def discord(text: str) -> str:
    """Return the text that Discord shows. A character that may begin markup counts as if it did."""
    _no_block(text, DISCORD_BLOCKS)
    return "".join(_discord(text))


def _discord(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        if found := DISCORD_ESCAPE.match(text, at):
            yield found[1]
        elif (found := DISCORD_URL.match(text, at)) and not text[at - 1 : at].isalnum():
            yield _whole_url(found[0], r"\\")
        elif live := DISCORD_LIVE.match(text, at):
            raise Markup(live[0])
        else:
            found = re.compile(".", re.DOTALL).match(text, at)
            assert found
            yield found[0]
        at = found.end()


def seen(text: str) -> str:
    """Return the text without zero-width characters, and with URLs as they were typed."""
    return unquote(UNSEEN.sub("", text))


def _whole_url(url: str, broken: str) -> str:
    if re.search(broken, url):
        raise Markup(f"a broken URL: {url}")
    return url


def _no_block(text: str, blocks: tuple[str, ...]) -> None:
    for line in text.split("\n"):
        for block in blocks:
            if re.match(block, line):
                raise Markup(line)
