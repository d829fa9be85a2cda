"""Chat services: what their URLs say, and the body of each: text cut to its limit, without markup. Pure.

The URLs are checked and normalized by `transport.urls`.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from guestbook.outbound.formats import wording
from guestbook.outbound.formats.bodies import FormatError, FormatInput
from guestbook.outbound.formats.wording import MORE, Wording

DISCORD_HOST = r"(?:(?:canary|ptb)\.)?discord(?:app)?\.com"
DISCORD_PATH = r"/api/(?:v\d+/)?webhooks/\d+/[^/]+(/slack/?|/)?"
SERVICES = {  # The scheme, the host and the path of their URLs.
    "email": r"mailto:.*",
    "webmention": r"webmention:.*",
    "slack": r"https?:hooks\.slack(?:-gov)?\.com/.*",
    "discord": rf"https?:{DISCORD_HOST}{DISCORD_PATH}",
    "teams": r"https?:.*\.(?:logic\.azure|powerplatform|powerautomate)\.com/.*",
    "telegram": r"https?:api\.telegram\.org/.*",
}
RETIRED_HOST = r"(?:.*\.)?webhook\.office\.com|outlook\.office(?:365)?\.com"
RETIRED_SENTENCE = (
    "Microsoft has retired this kind of URL. In Teams, choose Workflows, “Send webhook alerts to a channel”, "
    "and add the URL that it shows."
)
TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")  # ntfy allows these.
TOPIC_SENTENCE = "The URL must name ntfy’s topic, such as https://ntfy.sh/my-topic."
CHAT_SENTENCE = "The URL must be like https://api.telegram.org/bot<token>/sendMessage?chat_id=<chat>."


def suggest(url: str) -> str | None:
    """Return the format of the service to which the URL belongs, or None when it is not known."""
    parts = _split(url)
    if parts.hostname == "ntfy.sh":
        return "ntfy" if _topic_of(parts) else None
    place = f"{parts.scheme}:{parts.hostname or ''}/{parts.path.removeprefix('/')}"
    return next((name for name, pattern in SERVICES.items() if re.fullmatch(pattern, place)), None)


def is_known(url: str) -> bool:
    """Whether the URL belongs to such a service, also in a form that fits none of our formats."""
    return bool(suggest(url) or re.fullmatch(DISCORD_HOST, _split(url).hostname or ""))


def refusal(url: str) -> str | None:
    """Return in one sentence why nothing sent there would arrive, or None."""
    return RETIRED_SENTENCE if re.fullmatch(RETIRED_HOST, _split(url).hostname or "") else None


def lacks_topic(url: str) -> bool:
    """Whether it is a URL of ntfy.sh without a topic: only a template can name one there."""
    parts = _split(url)
    return parts.hostname == "ntfy.sh" and not _topic_of(parts)


def normalize(format_name: str, url: str) -> str:
    """Return the URL to which the format is sent; raises FormatError when a part is missing.

    ntfy takes JSON at the root of its server, so `https://ntfy.sh/my-topic` becomes
    `https://ntfy.sh/?topic=my-topic`. ntfy ignores the query, and the body's topic is read from it. Discord
    confirms a message only with `?wait=true`; without its ending `/slack` a URL takes Discord's own format.
    Telegram's `?chat_id=` stays as it is.
    """
    parts = _split(url)
    if format_name == "discord":
        if match := re.fullmatch(DISCORD_PATH, parts.path):
            parts = parts._replace(path=parts.path.removesuffix(match[1] or ""))
        return _with(parts, "wait", "true")
    if format_name == "ntfy":
        root = parts.path if _query_value(parts, "topic") else parts.path.rstrip("/").rpartition("/")[0] + "/"
        return _with(parts._replace(path=root), "topic", topic(url))
    if format_name == "telegram":
        telegram_chat(url)
    return url


def topic(url: str) -> str:
    """Return the ntfy topic that a URL names, normalized or not; raises FormatError."""
    if found := _topic_of(_split(url)):
        return found
    raise FormatError(TOPIC_SENTENCE)


def telegram_chat(url: str) -> str:
    """Return the Telegram chat that a URL names; raises FormatError."""
    parts = _split(url)
    found = _query_value(parts, "chat_id").strip()
    if found and parts.path.endswith("/sendMessage"):
        return found
    raise FormatError(CHAT_SENTENCE)


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # It is no URL.
        return urlsplit("")


def _topic_of(parts: SplitResult) -> str:
    found = _query_value(parts, "topic") or parts.path.rstrip("/").rpartition("/")[2]
    return found if TOPIC.fullmatch(found) else ""


def _query_value(parts: SplitResult, name: str) -> str:
    return dict(parse_qsl(parts.query)).get(name, "")


def _with(parts: SplitResult, name: str, value: str) -> str:
    if _query_value(parts, name) == value:
        return urlunsplit(parts)
    others = [(key, text) for key, text in parse_qsl(parts.query, keep_blank_values=True) if key != name]
    return urlunsplit(parts._replace(query=urlencode([*others, (name, value)])))


Size = Callable[[str], int]  # The size of two texts together is the sum.
Escape = Callable[[str], str]
JOINERS = "\u200c\u200d"  # At the end of a cut text they would join nothing.
BEGUN_URL = re.compile(r"(?:https?://|www\.)\S*\Z", re.IGNORECASE)


def lines(
    words: Wording,
    escape: Escape,
    *,
    limit: int,
    size: Size = len,
    title: Escape | None = None,
    link: str = "{}",
) -> str:
    """Return the lines title, who, message and link, up to that size in all; only the message is cut.

    `title` escapes the title where it differs from `escape`; `link` is the pattern around the link.
    """
    above = [(title or escape)(words.title)] if words.title else []
    above += [escape(words.who)] if words.who else []
    below = [link.format(words.link)] if words.link else []
    taken = size("\n".join([*above, "", *below]))
    message = cut(words.message, escape, limit - taken, size)
    return "\n".join([*above, *([message] if message else []), *below])


def cut(text: str, escape: Escape, room: int, size: Size = len) -> str:
    """Return as much of the escaped text as fits into the room, with … where something is missing.

    No escape, emoji or URL is cut in two: half a URL leads elsewhere.
    """
    whole = escape(text)
    if size(whole) <= room:
        return whole
    room -= size(MORE)
    fitting = bisect_right(range(len(text) + 1), room, key=lambda n: size(escape(text[:n])))
    kept = _ended(text, fitting - 1) if fitting else ""
    while kept and size(escape(kept)) > room:  # A shorter URL may be escaped differently.
        kept = _ended(text, len(kept) - 1)
    return escape(kept) + MORE if fitting else ""


def utf8(text: str) -> int:
    """Return how many bytes the text has."""
    return len(text.encode())


def utf16(text: str) -> int:
    """Return how many UTF-16 units the text has: an emoji has two."""
    return len(text.encode("utf-16-le")) // 2


def _ended(text: str, end: int) -> str:
    """Return the text up to that position, or up to the URL that would be cut in two there."""
    kept = text[:end].rstrip(JOINERS)
    return kept if text[end : end + 1].isspace() else BEGUN_URL.sub("", kept)


APART = "\u200b"  # a zero-width space: no space for Markdown, but a line that begins with it begins no list
ENDED = "\ufeff"  # of no width either, but JavaScript sees a space, so a URL ends there

IN_URL = r"[\w\-.~:/?#@!$&+,;=%*]"
LAST_IN_URL = r"[\w\-~/#@$&+=%]"
URL_REST = rf"(?:{IN_URL}|\({IN_URL}*\))+(?:{LAST_IN_URL}|\({IN_URL}*\))"
WEB = rf"(?<![\w.+-])https?://{URL_REST}"
WEB_OR_WWW = rf"{WEB}|(?<!\w)www\d{{0,3}}\.{URL_REST}"

ENCODED = str.maketrans({letter: f"%{ord(letter):02X}" for letter in "()*@"})
LINE_START = re.compile(r"^(?=[ +=:-]|\d+[.)])", re.MULTILINE)  # Code, lists, tables.


class Markdown:
    """The Markdown of one service: its special characters, how to escape one, and what it takes for a URL."""

    def __init__(self, special: str, escape: Callable[[re.Match[str]], str], url: str) -> None:
        self._in_title = re.compile(special, re.IGNORECASE)
        self._in_text = re.compile(f"(?P<url>{url})|{special}", re.IGNORECASE)
        self._escape = escape

    def text(self, text: str) -> str:
        """Return the text with nothing in it special but its links."""
        escape = self._escape
        apart = self._in_text.sub(lambda match: _url(match) if match["url"] else escape(match), text)
        return LINE_START.sub(APART, apart)

    def bold(self, title: str) -> str:
        """Return a title in bold type; a URL in it is no link."""
        return f"**{self._in_title.sub(self._escape, title)}**"


def _url(match: re.Match[str]) -> str:
    following = match.string[match.end() : match.end() + 1]
    return match[0].translate(ENCODED) + (ENDED if following and not following.isspace() else "")


DISCORD_LIMIT = 2000  # characters; an emoji counts as two, to be safe however Discord counts
SUPPRESS_EMBEDS = 4  # a flag of Discord's messages: links get no preview
# Discord reads Markdown. "<" begins <@id>, <#id> and <t:…>, a colon begins :emoji:.
DISCORD_MARKDOWN = Markdown(r"[\\*_~`|><#\[\]@]|:(?!\s)", lambda match: "\\" + match[0], WEB)


def discord(given: FormatInput) -> dict[str, Any]:
    """Return the body. It mentions nobody, whatever the text says, and its links get no preview."""
    content = lines(
        given.words,
        DISCORD_MARKDOWN.text,
        limit=DISCORD_LIMIT,
        size=utf16,
        title=DISCORD_MARKDOWN.bold,
        link="<{}>",
    )
    return {"content": content, "allowed_mentions": {"parse": []}, "flags": SUPPRESS_EMBEDS}


MATTERMOST_LIMIT = 16_383  # characters of a post
# A backslash escapes these; before a letter it is a plain backslash. As in github.com/mattermost/marked.
BACKSLASHED = r"[*_~`|>#\[\]]|\\(?![A-Za-z0-9])"
# Mattermost looks for @channel in the text itself, so a backslash would not hide it; &#64; is an @ too.
# A colon begins :emoji: and ends a scheme. A domain before a slash becomes a link, with any backslash in it.
PARTED = r"@|&(?=[#A-Za-z])|:(?!\s)|\.[^\W\d_]{2,4}(?=/)|www\d{0,3}(?=\.)"
PARTED_ALONE = re.compile(r"[@&:]|[.w].+", re.IGNORECASE)
# These begin <!channel>, <tags> and $formulas$, which no backslash prevents.
ENTITIES = {"<": "&lt;", "$": "&#36;"}


def mattermost(given: FormatInput) -> dict[str, Any]:
    """Return the body."""
    markdown = MATTERMOST_MARKDOWN
    return {"text": lines(given.words, markdown.text, limit=MATTERMOST_LIMIT, title=markdown.bold)}


def _escape_for_mattermost(match: re.Match[str]) -> str:
    found = match[0]
    if found in ENTITIES:
        return ENTITIES[found]
    return found + APART if PARTED_ALONE.fullmatch(found) else "\\" + found


MATTERMOST_MARKDOWN = Markdown(rf"{BACKSLASHED}|{PARTED}|[<$]", _escape_for_mattermost, WEB_OR_WWW)


NTFY_LIMIT = 4096  # bytes of a message
NTFY_TITLE_LIMIT = 1024  # bytes


def ntfy(given: FormatInput) -> dict[str, Any]:
    """Return the body, for the topic that the webhook's URL names."""
    words = given.words
    rest = replace(words, title="", link="")
    body = {
        "topic": topic(given.url),
        "title": cut(words.title, str, NTFY_TITLE_LIMIT, utf8),
        "message": lines(rest, str, limit=NTFY_LIMIT, size=utf8),
    }
    click = {"click": words.link} if words.link else {}
    button = [{"action": "view", "label": words.button, "url": words.link}] if words.button else []
    return body | click | ({"actions": button} if button else {})


SLACK_LIMIT = 40_000  # characters of a text; Slack cuts a longer one, even within an escape
BLOCK_LIMIT = 12_000  # UTF-16 units of a message in a block; Slack refuses blocks of 13,200 characters in all
ELEMENT_LIMIT = 3000  # characters of one text, as in Slack's text objects
PIECE = re.compile(rf".{{1,{ELEMENT_LIMIT - 1}}}(?:\s|\Z)|.{{1,{ELEMENT_LIMIT}}}", re.DOTALL)
# Slack asks for these three. They also prevent <!channel>, <@U…> and <url|words>.
HTML_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def slack(given: FormatInput) -> dict[str, Any]:
    """Return the body. Nothing in it is markup, and its links get no preview."""
    words = given.words
    text = lines(replace(words, link=_escape_for_slack(words.link)), _escape_for_slack, limit=SLACK_LIMIT)
    body = {"text": text, "mrkdwn": False, "blocks": _slack_blocks(words), "unfurl_links": False}
    return body | {"unfurl_media": False}


def _escape_for_slack(text: str) -> str:
    return text.translate(HTML_ESCAPES)


def _slack_blocks(words: Wording) -> list[dict[str, Any]]:
    """Return the message, and below it a button if the link does something. Anybody may press it."""
    if not words.button:
        return [_slack_block(words)]
    button = {"type": "button", "text": {"type": "plain_text", "text": words.button}, "url": words.link}
    return [_slack_block(replace(words, link="")), {"type": "actions", "elements": [button]}]


def _slack_block(words: Wording) -> dict[str, Any]:
    message = cut(words.message, str, BLOCK_LIMIT, utf16)
    plain = "".join(f"\n{part}" for part in (words.who, message) if part)
    elements = [{"type": "text", "text": words.title, "style": {"bold": True}}]
    elements += [{"type": "text", "text": piece} for piece in PIECE.findall(plain)]
    if words.link:
        elements += [{"type": "text", "text": "\n"}, {"type": "link", "url": words.link}]
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": elements}]}


TEAMS_LIMIT = 28_000  # bytes of the whole body


def teams(given: FormatInput) -> dict[str, Any]:
    """Return the body."""
    words = given.words
    room = TEAMS_LIMIT - utf8(json.dumps(_teams_body(words, wording.MORE), ensure_ascii=False))
    return _teams_body(words, cut(words.message, str, room, _json_size))


def _teams_body(words: Wording, message: str) -> dict[str, Any]:
    texts = [words.title, words.who, message]
    runs: list[dict[str, str]] = [{"type": "TextRun", "text": text} for text in texts if text]
    runs[0]["weight"] = "Bolder"
    blocks = [{"type": "RichTextBlock", "inlines": [run]} for run in runs]
    card = {"type": "AdaptiveCard", "version": "1.2", "body": blocks}
    if words.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": words.button or "Look", "url": words.link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def _json_size(text: str) -> int:
    """Return how many bytes the text has as JSON, without the quotes."""
    return utf8(json.dumps(text, ensure_ascii=False)) - 2


TELEGRAM_LIMIT = 4096  # UTF-16 units
CHAT_NUMBER = re.compile(r"-?[0-9]{1,18}")
# Telegram refuses the whole message if a button leads to a host without a dot, such as localhost.
TELEGRAM_BUTTON = re.compile(r"https?://(?:[^/:.]+\.)+[^/:.]+[/:]")
# Without a parse_mode there is no markup. But @name notifies the person of that name, and #word, $WORD and
# /word become links.
LINKED = re.compile(rf"{WEB}|(?<![^\W_])(?<!/)[@#$/](?=\w)", re.IGNORECASE)


def telegram(given: FormatInput) -> dict[str, Any]:
    """Return the body, for the chat that the webhook's URL names. Its links get no preview."""
    chat = telegram_chat(given.url)
    words = given.words
    text = lines(words, _escape_for_telegram, limit=TELEGRAM_LIMIT, size=utf16)
    body: dict[str, Any] = {"chat_id": int(chat) if CHAT_NUMBER.fullmatch(chat) else chat, "text": text}
    body |= {"link_preview_options": {"is_disabled": True}}
    if words.button and TELEGRAM_BUTTON.match(words.link):
        body["reply_markup"] = {"inline_keyboard": [[{"text": words.button, "url": words.link}]]}
    return body


def _escape_for_telegram(text: str) -> str:
    return LINKED.sub(lambda match: match[0] + (APART if len(match[0]) == 1 else ""), text)
