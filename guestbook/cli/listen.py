"""The command that fetches a webhook's deliveries on a machine without a public address, or a book."""

import re
import socket
import time
from contextlib import nullcontext
from typing import Any
from urllib.parse import SplitResult, urlsplit

import click
import requests

from guestbook.cli.forwarder import Forwarder
from guestbook.cli.remote_book import LONG_POLL, BearerToken, Book, CallRefused, PulledWebhook, Unreachable
from guestbook.lib import clock
from guestbook.lib.pull_url import PULL_URL
from guestbook.lib.text import printable

SHOWN_TEXT = 200  # characters of a forwarded message
NOT_COUNTED = "  This came too late, or another listener was started. The book hands it out again if it must."


@click.command()
@click.argument("book")
@click.option(
    "--webhook", "webhook_id", metavar="ID", help="Fetch from this webhook. Without it, a new one is added."
)
@click.option("--event", "events", multiple=True, help="Event of the new webhook (repeatable).")
@click.option("--forward", metavar="URL", help="POST each message to this URL, as the book would send it.")
@click.option("--once", is_flag=True, help="End when nothing waits any more.")
@click.option(
    "--token",
    envvar="BOOK_TOKEN",
    prompt="API token",
    hide_input=True,
    help="A token with the scope manage; by default $BOOK_TOKEN, or it is asked for.",
)
def listen(
    book: str, webhook_id: str | None, events: tuple[str, ...], forward: str | None, once: bool, token: str
) -> None:
    """Fetch a webhook's messages here, without a public address.

    BOOK is the address of the guestbook, such as https://book.example. The messages arrive over your own
    connection to it, so this works behind a firewall, on a laptop and on a Raspberry Pi.

    A message counts as delivered once --forward answered it with 2xx or, without --forward, once it is
    printed. Else it comes again later. Nothing is lost while this command does not run.
    """
    address, token = _address(book), token.strip()
    _check(webhook_id, events, forward, token)
    try:
        with requests.Session() as session:
            session.auth = BearerToken(token)
            there = Book(address, session)
            webhook = PulledWebhook(there, webhook_id or _add(there, events))
            click.echo(f"Listening to {there.address}. Ctrl-C stops.")
            with Forwarder(forward) if forward else nullcontext() as forwarder:
                _follow(webhook, forwarder, once=once)
    except CallRefused as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo("\nStopped. Everything else stays in the book.")


def _address(book: str) -> str:
    parts = _parts(book)
    if not parts or parts.username is not None or parts.query or parts.fragment:
        raise click.UsageError("BOOK must be an address like https://book.example.")
    is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme == "http" and not is_here:
        raise click.UsageError("Use https: over http, others on the way could read the token.")
    return book.rstrip("/")


def _check(webhook: str | None, events: tuple[str, ...], forward: str | None, token: str) -> None:
    """Refuse options that would fail with each message only."""
    if webhook and events:
        raise click.UsageError("--event is for a new webhook. Leave it out, or leave out --webhook.")
    if forward and not _parts(forward):
        raise click.UsageError("--forward must be a URL like http://127.0.0.1:8000/hook.")
    if not re.fullmatch("[!-~]+", token):
        raise click.UsageError("The token must be one word, such as gbk_….")


def _parts(url: str) -> SplitResult | None:
    """Return the parts of a URL of HTTP; None if it is none."""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port above 65535, or half an IPv6 address
        return None
    return parts if is_url else None


def _add(there: Book, events: tuple[str, ...]) -> str:
    wanted: dict[str, Any] = {"url": PULL_URL, "name": f"Listener on {socket.gethostname()}"[:80]}
    if events:
        wanted["events"] = list(dict.fromkeys(events))
    try:
        added = there.call("POST", "/webhooks", json=wanted)
    except Unreachable as error:  # it may have arrived, so it is not repeated
        raise CallRefused(f"The book cannot be reached ({error}).") from None
    click.echo(f"Added the webhook {added['id']}. Next time: --webhook {added['id']}")
    click.echo(f"Its secret, to verify the messages: {added['secret']}")
    return str(added["id"])


def _follow(webhook: PulledWebhook, forwarder: Forwarder | None, *, once: bool) -> None:
    """Fetch, hand on and commit, until stopped or, with `once`, until nothing waits."""
    while True:
        taken = webhook.fetch(0 if once else LONG_POLL)
        for delivery in taken["deliveries"]:
            if not webhook.commit(taken["token"], delivery["id"], _handed_on(delivery, forwarder)):
                click.echo(NOT_COUNTED, err=True)
                break
        if not taken["deliveries"]:
            if once:
                return
            time.sleep(taken["retry_after"])


def _handed_on(delivery: dict[str, Any], forwarder: Forwarder | None) -> dict[str, Any]:
    """Print or forward a delivery, and return the result for the book."""
    payload = delivery["payload"][:SHOWN_TEXT] if forwarder else delivery["payload"]
    click.echo(f"{clock.now():%H:%M:%S} {delivery['event']} {printable(payload)}")
    return forwarder.forward(delivery) if forwarder else {"ok": True}
