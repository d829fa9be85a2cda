"""Why webhooks fail, in plain words, and whether this host's way out needs a proxy."""

import os
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.background.doctor.examined_book import ExaminedBook
from guestbook.background.doctor.finding import DoctorFinding, ok, problem, warning
from guestbook.lib import ed25519
from guestbook.lib.mail_address import is_mailto
from guestbook.lib.text import counted
from guestbook.queries import webhook_status
from guestbook.queries.webhook_status import WebhookStatus
from guestbook.settings import installation
from guestbook.storage.models import Delivery, Webhook
from guestbook.storage.models.delivery import REFUSED_WITH
from guestbook.transport.failure import FAILURE_SENTENCES, UNREACHABLE

MOST_SHOWN = 20  # webhooks
MOST_READ = 1000  # of a webhook's deliveries
PROXY_VARIABLES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY")
BLOCKED = (
    "See whether the receiver runs. Many hosts let programs reach only the ports 80 and 443, or only a list "
    "of hosts: ask yours."
)
NO_MAIL_SERVER = tuple(FAILURE_SENTENCES[reason] for reason in UNREACHABLE)
MAIL_ADVICE = (
    "See whether GUESTBOOK_SMTP_URL names the right host and port, and whether the mail server runs. Many "
    "hosts block port 25: use port 587, as in smtp+starttls://user:password@mail.example.org:587."
)
CERTIFICATE = "Renew the receiver's certificate, or correct its name or chain. Check this host's clock."
ADVICE_BY_REASON = {  # of TransportError
    "private_address": "If the receiver is yours, allow its network in GUESTBOOK_ALLOW_NETWORKS.",
    "bad_port": "Let the receiver listen on a port of the web, such as 443.",
    "name_not_found": "Correct the host name in the webhook's URL.",
    "name_lookup_failed": "This host's name server does not answer. Wait, or ask your host.",
    "name_timeout": "This host's name server does not answer. Wait, or ask your host.",
    "connect_failed": BLOCKED,
    "connect_timeout": BLOCKED,
    "no_authorities": "Install the system's certificates (package ca-certificates).",
    "tls_failed": CERTIFICATE,
    "tls_timeout": "See whether the receiver's port speaks HTTPS.",
    "proxy_refused": "The list is on the host's pages of help; a chat service is often on it already.",
    "proxy_failed": "See whether GUESTBOOK_OUTBOUND_PROXY is right.",
    "proxy_gave_up": "See whether the receiver runs.",
}
ADVICE_BY_ANSWER = {  # the status code
    "401": "Check the webhook's URL and its headers: the receiver wants a password or a token.",
    "403": "Check the webhook's URL and its headers. Some hosts let programs reach only a list of hosts.",
    "404": "Check the webhook's URL: the receiver does not know it.",
    "410": "The receiver wants no more. Delete the webhook, or give it a new URL.",
    "429": "The receiver asks for fewer requests. The guestbook waits as it asks; nothing is lost.",
}
PULLED_ADVICE = "See what the listener on the other machine prints. It gets each message again for days."
UNREADABLE_ADVICE = "Do what is said about secrets."
READABLE_ADVICE = "It goes on by itself then. To send at once, enable it."
LAST_ATTEMPT = "Look at the last attempt on the page of the webhook."
ANY_ADVICE = f"{LAST_ATTEMPT} The guestbook keeps trying for days."
ENABLE_AFTERWARDS = "Then enable the webhook."


def check_webhooks(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Say why each webhook fails that does."""
    with Session(book.engine) as session:
        status = webhook_status.all_of(session, book.now)
        bad = [one for one in status if not _is_fine(one)]
        findings = [_finding(session, one, book.now) for one in bad[:MOST_SHOWN]]
    yield from findings
    if len(bad) > MOST_SHOWN:
        yield warning("webhooks", f"{len(bad) - MOST_SHOWN} more webhooks fail.", "See the list of webhooks.")
    if not bad:
        count = len(status)
        yield ok("webhooks", f"No webhook fails; there are {count}." if count else "There is no webhook.")


def check_keys(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether the package is here for the webhooks that sign with a key."""
    with Session(book.engine) as session:
        names = list(session.scalars(select(Webhook.name).where(Webhook.signing_key.is_not(None))))
    if not names:
        return
    try:
        ed25519.public_bytes(bytes(ed25519.KEY_LENGTH))
    except ed25519.PackageMissing as missing:
        command = installation.install_command(ed25519.KEY_EXTRA)
        yield problem("keys", f"{missing} Nothing is sent to: {', '.join(names)}.", "Install it.", command)
    else:
        yield ok("keys", f"{counted(len(names), 'webhook')} can sign with a key.")


def check_outbound_proxy(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether this host names a proxy that the settings do not."""
    used = book.settings.outbound_proxy
    named = next((os.environ[name] for name in PROXY_VARIABLES if os.environ.get(name)), None)
    if used:
        yield ok("outbound proxy", f"Webhooks go through {_without_login(used)}.")
    elif named:
        yield warning(
            "outbound proxy",
            f"This host has a proxy, {_without_login(named)}, and webhooks do not use it.",
            "If webhooks cannot be reached without it, put this line in .env in the data folder.",
            f"GUESTBOOK_OUTBOUND_PROXY={_without_login(named)}",
        )


def _is_fine(one: WebhookStatus) -> bool:
    by_hand = one.word == "disabled" and (one.webhook.disabled_reason or "by_hand") == "by_hand"
    return one.word == "well" or by_hand


def _finding(session: Session, one: WebhookStatus, now: datetime) -> DoctorFinding:
    if one.word == "paused" and one.webhook.was_paused_as_unreadable and not one.webhook.is_unreadable(now):
        command = installation.typed(f"webhooks enable {one.webhook.id}")
        return warning(f"webhook {one.webhook.name}", one.sentence, READABLE_ADVICE, command)
    error = _last_error(session, one.webhook)
    said = f"{one.sentence} Last failure: {error}" if error else one.sentence
    return warning(f"webhook {one.webhook.name}", said, _advice(one, error or "", now))


def _advice(one: WebhookStatus, error: str, now: datetime) -> str:
    if one.webhook.is_unreadable(now):
        return UNREADABLE_ADVICE
    advice = PULLED_ADVICE if one.webhook.is_pulled else advice_for(error)
    if is_mailto(one.webhook.url) and error.startswith(NO_MAIL_SERVER):
        advice = MAIL_ADVICE
    if one.word != "disabled":
        return advice
    return f"{LAST_ATTEMPT if advice in (ANY_ADVICE, PULLED_ADVICE) else advice} {ENABLE_AFTERWARDS}"


def advice_for(error: str) -> str:
    """Return what helps against the failure of an attempt, given in the words of its record."""
    for reason, advice in ADVICE_BY_REASON.items():
        if error.startswith(FAILURE_SENTENCES[reason]):
            return advice
    code = error.removeprefix(REFUSED_WITH)[:3]
    return ADVICE_BY_ANSWER.get(code, ANY_ADVICE)


def _last_error(session: Session, webhook: Webhook) -> str | None:
    """Return why an attempt for the webhook failed lately, from its newest and its first deliveries."""
    columns = Delivery.status, Delivery.last_error, Delivery.erased_at
    mine = select(*columns).where(Delivery.webhook_id == webhook.id)
    waiting = mine.where(Delivery.due_at.is_not(None)).order_by(Delivery.due_at)
    for query in (mine.order_by(Delivery.id.desc()), waiting):
        for status, error, erased_at in session.execute(query.limit(MOST_READ)):
            is_note = status == "processed" or erased_at is not None
            if error and not is_note:
                return error
    return None


def _without_login(url: str) -> str:
    """Return a proxy's address without the name and the password in it."""
    try:
        parts = urlsplit(url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], path="", query="", fragment="").geturl()
    except ValueError:
        return "(not a URL)"
