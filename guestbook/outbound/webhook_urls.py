"""The URL of a webhook: its normal form, what is wrong with it, and presets that rebuild a site."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from guestbook.lib import validate
from guestbook.lib.errors import Refused, refusing
from guestbook.lib.validate import PULL_URL
from guestbook.outbound.formats import CHAT_FORMATS, FormatError, chats
from guestbook.outbound.formats.bodies import MENTIONING_URL
from guestbook.settings import Settings
from guestbook.storage.models.source import BIN_PATH
from guestbook.transport import urls

FOR_PEOPLE = ("email", *CHAT_FORMATS)  # the formats of messages that people read
WITHOUT_HOST = {MENTIONING_URL: "Webmentions", PULL_URL: "Listener"}  # Names for webhooks with such a URL.


def checked(value: str, settings: Settings) -> str:
    """Return a webhook's URL in its normal form; raises Refused when no webhook may have it."""
    word = value.strip().lower()
    for scheme in WITHOUT_HOST:
        if word == scheme:
            return word  # Websites are checked with each mention.
        if word.startswith(scheme) or word == scheme.rstrip(":"):
            raise Refused(f"Write {scheme} and nothing else.", field="url")
    url = _mailto(value, settings) if validate.is_mailto(value) else web_destination(value, settings)
    if sentence := chats.refusal(url):
        raise Refused(sentence, field="url")
    return url


def for_format(format_name: str, url: str, settings: Settings) -> str:
    """Return the URL as the format needs it."""
    sentence = None
    if (format_name == "email") != validate.is_mailto(url):
        sentence = "The format email needs a URL like mailto:you@example.org, and only it has one."
    elif (format_name == "webmention") != (url == MENTIONING_URL):
        sentence = "The format webmention needs the URL webmention: and only it has this URL."
    elif format_name != "template" and chats.lacks_topic(url):
        sentence = chats.TOPIC_SENTENCE
    if sentence:
        raise Refused(sentence, field="url")
    with refusing("url", FormatError):
        normal = chats.normalize(format_name, url)
    return url if normal == url else checked(normal, settings)


def is_own_bin(url: str, settings: Settings) -> bool:
    """Whether the URL is one of the book's bins, which a pass reaches without the network."""
    return url.startswith(settings.base_url + BIN_PATH)


# A path of words, which is hardly a secret: a token has more digits, or longer parts.
WORD = r"(?:[A-Za-z]{1,15}\d{0,2}|\d{1,2})"
PATH_OF_WORDS = re.compile(rf"(?:/{WORD}(?:[-_.]{WORD}){{0,2}}){{1,4}}/?")


def names_of(url: str, format_name: str) -> list[str]:
    """Return names for a new webhook: its host with the port, and one that its path tells from others.

    The path of a chat's URL is a secret, and names are shown to more people than URLs.
    """
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2] if parts.hostname else parts.path
    names = [WITHOUT_HOST.get(url) or place]
    is_for_program = format_name in ("json", "thin", "template") and not chats.is_known(url)
    if parts.hostname and is_for_program and PATH_OF_WORDS.fullmatch(parts.path):
        names.append(place + parts.path.rstrip("/"))
    return [name[: validate.NAME_LIMIT] for name in names]


def is_same_host(old: str, new: str) -> bool:
    """Whether the same server gets the headers, and nobody new can read them on the way."""
    before, after = urlsplit(old), urlsplit(new)
    is_weaker = before.scheme == "https" and after.scheme == "http"
    return (before.hostname, before.port) == (after.hostname, after.port) and not is_weaker


def warnings(url: str, settings: Settings) -> list[str]:
    """Return what the owner should know about a URL although it is accepted.

    It looks up the host, which may take two seconds, so no transaction may be open.
    """
    if settings.outbound_proxy or validate.is_mailto(url) or url in WITHOUT_HOST or is_own_bin(url, settings):
        return []  # The proxy looks up the host, perhaps in another network.
    warning = urls.private_address_warning(url, settings.allow_networks)
    return [warning] if warning else []


def web_destination(url: str, settings: Settings) -> str:
    """Return a URL of HTTP in its normal form; raises Refused when nothing may be sent there."""
    is_own, allowed = is_own_bin(url, settings), settings.allow_networks
    try:
        return urls.check_destination(
            url,
            require_https=settings.require_https_webhooks and not is_own,
            allow_networks=urls.EVERY_NETWORK if is_own else allowed,
        )
    except ValueError as error:
        is_mail = validate.MAIL_ADDRESS.fullmatch(url)
        question = f" Did you mean {validate.MAILTO}{url}?" if is_mail else ""
        try:  # A book that may reach every network would perhaps take it.
            is_url = bool(urls.check_url(url, allow_networks=urls.EVERY_NETWORK))
        except ValueError:
            is_url = False
        raise Refused(f"{error}{question}", field="url", only_here=is_url) from None


def _mailto(url: str, settings: Settings) -> str:
    if not settings.smtp_url or not settings.mail_from:
        sentence = "To send e-mail, first set GUESTBOOK_SMTP_URL and GUESTBOOK_MAIL_FROM."
        raise Refused(sentence, field="url", only_here=True)
    try:
        return validate.MAILTO + validate.address_of_mailto(url)
    except ValueError:
        raise Refused("The URL must be like mailto:you@example.org.", field="url") from None


# What a person pastes for Telegram: the bot's token, and the chat.
TELEGRAM_BOT = re.compile(r"(?:bot)?(?P<token>\d+:[-_A-Za-z0-9]{20,})(?:[\s,;]+(?P<chat>-?\d+|@\w+))?")
TELEGRAM_URL = "https://api.telegram.org/bot{token}/sendMessage?chat_id={chat}"
NO_CHAT = "Write the number of the chat behind the bot’s token, after a blank."
UNKNOWN_SERVICE = (
    "The book does not recognise this. If it is the address of a server of your own, choose what runs there. "
    "For a program of yours, add a webhook instead."
)


def read_pasted(pasted: str, service: str, settings: Settings) -> tuple[str, str]:
    """Return the URL and the format for what a person pastes to get messages there; raises Refused.

    That is a URL, an e-mail address, a topic of ntfy.sh, or a bot of Telegram with a chat. The `service` is
    that of a URL which names none.
    """
    url = pasted
    if validate.MAIL_ADDRESS.fullmatch(pasted):
        url = validate.MAILTO + pasted
    elif found := TELEGRAM_BOT.fullmatch(pasted):
        if not found["chat"]:
            raise Refused(NO_CHAT, field="url")
        url = TELEGRAM_URL.format(**found.groupdict())
    elif chats.TOPIC.fullmatch(pasted) and service in ("", "ntfy"):
        url = f"https://ntfy.sh/{pasted}"
    url = checked(url, settings)
    name = service or chats.suggest(url) or ""
    if name not in FOR_PEOPLE:
        raise Refused(chats.TOPIC_SENTENCE if chats.lacks_topic(url) else UNKNOWN_SERVICE, field="url")
    return for_format(name, url, settings), name


# An edit makes no event: the next build shows it.
REBUILD_EVENTS = ("comment.published", "comment.deleted", "comment.replied")
PLACEHOLDERS = ("OWNER/REPOSITORY", "YOUR_TOKEN", "YOUR_HOOK")

REPOSITORY_DISPATCH = """\
{
  "event_type": "guestbook",
  "client_payload": {"event": {{ event|tojson }}, "guestbook": {{ guestbook.url|tojson }}}
}
"""


@dataclass(frozen=True, slots=True)
class RebuildPreset:
    """What the owner gets filled in, and completes."""

    title: str
    url: str
    template: str
    headers: tuple[str, ...] = ()


REBUILD_PRESETS = {
    # https://docs.github.com/rest/repos/repos#create-a-repository-dispatch-event
    "github": RebuildPreset(
        title="GitHub Actions: repository_dispatch",
        url="https://api.github.com/repos/OWNER/REPOSITORY/dispatches",
        template=REPOSITORY_DISPATCH,
        headers=(
            "Accept: application/vnd.github+json",
            "Authorization: Bearer YOUR_TOKEN",
            "X-GitHub-Api-Version: 2022-11-28",
        ),
    ),
    # https://docs.netlify.com/build/configure-builds/build-hooks/
    "netlify": RebuildPreset(
        title="Netlify: build hook",
        url="https://api.netlify.com/build_hooks/YOUR_HOOK?trigger_title=Guestbook",
        template="{}\n",
    ),
    # https://developers.cloudflare.com/pages/configuration/deploy-hooks/
    "cloudflare": RebuildPreset(
        title="Cloudflare Pages: deploy hook",
        url="https://api.cloudflare.com/client/v4/pages/webhooks/deploy_hooks/YOUR_HOOK",
        template="{}\n",
    ),
    # https://codeberg.org/api/swagger, “ActionsDispatchWorkflow”
    "forgejo": RebuildPreset(
        title="Codeberg and Forgejo Actions: workflow dispatch",
        url="https://codeberg.org/api/v1/repos/OWNER/REPOSITORY/actions/workflows/rebuild.yml/dispatches",
        template='{"ref": "main"}\n',
        headers=("Authorization: token YOUR_TOKEN",),
    ),
}


def placeholder_in(*texts: str) -> str | None:
    """Return the first placeholder that the owner has left in these texts."""
    return next((one for one in PLACEHOLDERS if any(one in text for text in texts)), None)
