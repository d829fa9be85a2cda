"""Read the URL of a chat service: the format that fits, the topic, the chat. Pure.

The URLs are checked and normalized by `transport.check_destination`.
"""

import re
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from guestbook.outbound.formats.bodies import FormatError

DISCORD_HOST = re.compile(r"(?:(?:canary|ptb)\.)?discord(?:app)?\.com")
DISCORD_PATH = re.compile(r"/api/(?:v\d+/)?webhooks/\d+/[^/]+(/slack/?|/)?")
SLACK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
TEAMS_HOSTS = (".logic.azure.com", ".powerplatform.com", ".powerautomate.com")
RETIRED_HOSTS = (".webhook.office.com", "outlook.office.com", "outlook.office365.com")
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
    host = parts.hostname or ""
    if parts.scheme == "mailto":
        return "email"
    if parts.scheme == "webmention":
        return "webmention"
    if host in SLACK_HOSTS:
        return "slack"
    if DISCORD_HOST.fullmatch(host) and DISCORD_PATH.fullmatch(parts.path):
        return "discord"
    if host.endswith(TEAMS_HOSTS):
        return "teams"
    if host == "api.telegram.org":
        return "telegram"
    if host == "ntfy.sh" and _topic_of(parts):
        return "ntfy"
    return None


def is_known(url: str) -> bool:
    """Whether the URL belongs to such a service, also in a form that fits none of our formats."""
    return bool(suggest(url) or DISCORD_HOST.fullmatch(_split(url).hostname or ""))


def refusal(url: str) -> str | None:
    """Return in one sentence why nothing sent there would arrive, or None."""
    host = _split(url).hostname or ""
    return RETIRED_SENTENCE if ("." + host).endswith(RETIRED_HOSTS[0]) or host in RETIRED_HOSTS else None


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
        if match := DISCORD_PATH.fullmatch(parts.path):
            parts = parts._replace(path=parts.path.removesuffix(match[1] or ""))
        return _with(parts, "wait", "true")
    if format_name == "ntfy":
        root = parts.path if _query_value(parts, "topic") else parts.path.rstrip("/").rpartition("/")[0] + "/"
        return _with(parts._replace(path=root), "topic", topic(url))
    if format_name == "telegram":
        chat(url)
    return url


def topic(url: str) -> str:
    """Return the ntfy topic that a URL names, normalized or not; raises FormatError."""
    if found := _topic_of(_split(url)):
        return found
    raise FormatError(TOPIC_SENTENCE)


def chat(url: str) -> str:
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
