"""The checks of the network: the base URL, proxies, cron, and what each webhook needs."""

import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.auth import login
from guestbook.background.doctor import DoctorFinding, ExaminedBook, State, ok, problem, warning
from guestbook.lib import clock, signatures
from guestbook.lib.text import counted
from guestbook.lib.validate import PULL_URL, is_mailto
from guestbook.outbound import webhooks
from guestbook.queries import cron_status, statistics, webhook_status
from guestbook.queries.webhook_status import WebhookStatus
from guestbook.settings import installation
from guestbook.storage import hits_and_notes
from guestbook.storage.hits_and_notes import Observation
from guestbook.storage.models import Delivery, InboundEvent, Webhook
from guestbook.storage.models.delivery import REFUSED_WITH
from guestbook.transport.failure import FAILURE_SENTENCES, UNREACHABLE

REQUESTS_OF = timedelta(days=1)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
IN_FILE = "Put this line in .env in the data folder."


def check_base_url(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether visitors reach the book where links lead."""
    base, seen = book.settings.base_url, _seen(book)
    other = seen.get(hits_and_notes.OTHER_HOST)
    if other and hits_and_notes.SAME_HOST not in seen:
        path = urlsplit(base).path
        yield warning(
            f"GUESTBOOK_BASE_URL is {base}, and lately all requests came for {other.text}. Links in webhooks "
            "and feeds lead to the first.",
            f"Do this if visitors use the second one. {IN_FILE}",
            f"GUESTBOOK_BASE_URL={other.text}{path}",
        )
    elif hits_and_notes.SAME_HOST in seen:
        yield ok(f"Requests come for {base}, as the settings say.")
    else:
        yield ok(f"It is {base}. No request has come in the last day.")


def check_https(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether the owner's password and comments travel in the open."""
    base, seen = urlsplit(book.settings.base_url), _seen(book)
    if base.scheme == "https":
        yield ok("The base URL begins with https, so browsers send the login's cookie encrypted.")
    elif base.hostname in LOOPBACK:
        yield ok("The book is for this machine alone, where it needs no HTTPS.")
    elif hits_and_notes.HTTPS in seen:
        yield warning(
            f"Requests come over HTTPS, and GUESTBOOK_BASE_URL is {book.settings.base_url}.",
            IN_FILE,
            f"GUESTBOOK_BASE_URL=https{book.settings.base_url.removeprefix('http')}",
        )
    else:
        yield warning(
            "The book is served without HTTPS, so others on the way can read your password.",
            "Get a certificate for the web server; many hosts give one for free. Then let GUESTBOOK_BASE_URL "
            "begin with https.",
        )


def check_proxies(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether the number of trusted proxies fits what requests carry."""
    count, seen = book.settings.trusted_proxies, _seen(book)
    forwarded, direct = hits_and_notes.BY_PROXY in seen, hits_and_notes.NO_PROXY in seen
    # A visitor can send more addresses than the proxies add, but never fewer.
    addresses = hits_and_notes.ADDRESSES
    numbers = [int(name.removeprefix(addresses)) for name in seen if addresses in name]
    fewest = min(numbers, default=count or 1) if forwarded else 0
    setting, advice = f"GUESTBOOK_TRUSTED_PROXIES is {count}", "if so many proxies stand before the book."
    if count == 0 and forwarded and not direct:
        sentence = (
            f"All requests carry X-Forwarded-For, and {setting}. So all visitors share one address, and "
            "someone guessing your password locks you out as well."
        )
    elif count and direct and not forwarded:
        sentence = f"{setting}, and no request carries X-Forwarded-For. So a visitor can invent an address."
        advice = "if no proxy stands before the book, else let it send X-Forwarded-For."
    elif forwarded and fewest < count:
        carried = counted(fewest, "address", "addresses")
        sentence = (
            f"{setting}, and requests carry {carried} in X-Forwarded-For. So a visitor can invent an "
            "address, and all others share one."
        )
    else:
        yield ok(f"{setting}, and no request contradicts it.")
        return
    line = f"GUESTBOOK_TRUSTED_PROXIES={fewest}"
    yield warning(sentence, f"Do this {advice} {IN_FILE}", line)


def _seen(book: ExaminedBook) -> Mapping[str, Observation]:
    return hits_and_notes.read_observations(book.settings.data_dir, REQUESTS_OF)


CRON_ADVICE = "{} Settings that cron needs belong in .env in the data folder."


def check_password(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether the owner has a password."""
    with Session(book.engine) as session:
        if login.has_password(session):
            yield ok("The password for the admin pages is set.")
        else:
            command = installation.typed("admin set-password")
            yield warning("Nobody can log in: no password is set.", "Set one.", command)


def check_cron(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether passes come."""
    with Session(book.engine) as session:
        status = cron_status.in_words(session, book.now, after_requests=book.settings.send_after_requests)
        has_work = session.scalar(select(Webhook.id).where(Webhook.url != PULL_URL).limit(1)) is not None
        came_in = select(InboundEvent.id).where(InboundEvent.due_at <= book.now).limit(1)
        waits = cron_status.oldest_due(session, book.now) is not None or session.scalar(came_in) is not None
    if status.advice is None:
        yield ok(status.sentence)
        return
    is_grave = waits or (has_work and status.word == "never")
    state = State.PROBLEM if is_grave else State.WARNING
    advice = CRON_ADVICE.format(status.advice) if status.has_line else status.advice
    line = installation.crontab_line(book.settings.data_dir) if status.has_line else None
    yield DoctorFinding("", state, status.sentence, advice, line)


def check_backlog(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look how much waits, and for how long it has been due."""
    with Session(book.engine) as session:
        oldest = cron_status.oldest_due(session, book.now)
        pulled = Delivery.webhook_id.in_(select(Webhook.id).where(Webhook.url == PULL_URL))
        new = Delivery.status == "new"
        waiting = statistics.count_some(session, new & ~pulled, Delivery)
        to_fetch = statistics.count_some(session, new & pulled, Delivery)
        came_in = statistics.count_some(session, InboundEvent.status == "new", InboundEvent)
    kinds = (
        (waiting, "delivery", "deliveries", "to be sent"),
        (to_fetch, "delivery", "deliveries", "to be fetched"),
        (came_in, "inbound event", "inbound events", "to be processed"),
    )
    words = ", and ".join(statistics.waiting_words(*kind) for kind in kinds if kind[0])
    sentence = f"{words[:1].upper()}{words[1:]}."
    if not words:
        yield ok("Nothing waits.")
    elif oldest is None or book.now - oldest < cron_status.CRON_OVERDUE_AFTER:
        yield ok(sentence)
    else:
        advice = "See the findings on cron and webhooks. If cron runs, it needs more time or threads."
        yield warning(f"{sentence} The oldest was due {clock.ago(oldest)}.", advice)


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
        bad = [one for one in status if one.fails]
        findings = [_finding(session, one, book.now) for one in bad[:MOST_SHOWN]]
    yield from findings
    if len(bad) > MOST_SHOWN:
        yield warning(f"{len(bad) - MOST_SHOWN} more webhooks fail.", "See the list of webhooks.")
    if not bad:
        count = len(status)
        yield ok(f"No webhook fails; there are {count}." if count else "There is no webhook.")


def check_keys(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether the package is here for the webhooks that sign with a key."""
    with Session(book.engine) as session:
        names = list(session.scalars(select(Webhook.name).where(Webhook.signing_key.is_not(None))))
    if not names:
        return
    try:
        signatures.public_bytes(bytes(signatures.KEY_LENGTH))
    except signatures.PackageMissing as missing:
        command = installation.install_command(signatures.KEY_EXTRA)
        yield problem(f"{missing} Nothing is sent to: {', '.join(names)}.", "Install it.", command)
    else:
        yield ok(f"{counted(len(names), 'webhook')} can sign with a key.")


def check_outbound_proxy(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether this host names a proxy that the settings do not."""
    used = book.settings.outbound_proxy
    named = next((os.environ[name] for name in PROXY_VARIABLES if os.environ.get(name)), None)
    if used:
        yield ok(f"Webhooks go through {_without_login(used)}.")
    elif named:
        yield warning(
            f"This host has a proxy, {_without_login(named)}, and webhooks do not use it.",
            "If webhooks cannot be reached without it, put this line in .env in the data folder.",
            f"GUESTBOOK_OUTBOUND_PROXY={_without_login(named)}",
        )


def _finding(session: Session, one: WebhookStatus, now: datetime) -> DoctorFinding:
    subject = f"webhook {one.webhook.name}"
    if one.word == "paused" and one.webhook.was_paused_as_unreadable and not one.webhook.is_unreadable(now):
        command = installation.typed(f"webhooks enable {one.webhook.id}")
        return warning(one.sentence, READABLE_ADVICE, command, subject=subject)
    row_id, error = _last_failure(session, one.webhook)
    said = f"{one.sentence} Last failure: {error}" if error else one.sentence
    advice, command = _advice(one, error, now), ""
    if error.startswith(REFUSED_WITH) and webhooks.is_verified(one.webhook):
        advice = f"{advice} This shows how it was signed."
        command = installation.typed(f"deliveries explain {row_id}")
    return warning(said, advice, command or None, subject=subject)


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


def _last_failure(session: Session, webhook: Webhook) -> tuple[str, str]:
    """Return a delivery of which an attempt failed lately, and why, from the newest and the first ones.

    Both are empty if there is none.
    """
    columns = Delivery.id, Delivery.status, Delivery.last_error, Delivery.erased_at
    mine = select(*columns).where(Delivery.webhook_id == webhook.id)
    waiting = mine.where(Delivery.due_at.is_not(None)).order_by(Delivery.due_at)
    for query in (mine.order_by(Delivery.id.desc()), waiting):
        for row_id, status, error, erased_at in session.execute(query.limit(MOST_READ)):
            if error and status != "processed" and erased_at is None:  # Else it is a note.
                return row_id, error
    return "", ""


def _without_login(url: str) -> str:
    """Return a proxy's address without the name and the password in it."""
    try:
        parts = urlsplit(url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], path="", query="", fragment="").geturl()
    except ValueError:
        return "(not a URL)"
