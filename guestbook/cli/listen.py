"""The command that fetches a webhook's deliveries on a machine without a public address, or a book."""

import socket
import time
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain, repeat
from typing import Any
from urllib.parse import urlsplit

import click
import requests
from urllib3.exceptions import HTTPError

from guestbook.lib import clock
from guestbook.lib.text import printable

WAIT = 20  # seconds for which the book holds a request until something comes
ANSWER_MARGIN = 15  # seconds beyond that, until the book counts as lost
FORWARD_TIMEOUT = 10.0  # seconds for the program behind --forward
FETCHED_AT_ONCE = 5  # deliveries: all must be forwarded before their lease ends
SAID_LIMIT = 300  # characters
PAUSES = (1, 2, 5, 10, 30)  # seconds between tries to reach the book
SHOWN_TEXT = 200  # characters of a message or an answer


class CallRefused(Exception):
    """The book refused a call; the sentence is for people."""


@dataclass(frozen=True, slots=True)
class Book:
    """The API of a book."""

    address: str
    session: requests.Session

    def call(self, method: str, path: str, json: object = None, **query: str | int) -> Any:
        """Make a call and return the answer; raises CallRefused if it is refused, and errors of requests."""
        url = f"{self.address}/api/v1{path}"
        answer = self.session.request(
            method, url, json=json, params=query, timeout=WAIT + ANSWER_MARGIN, allow_redirects=False
        )
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise CallRefused(f"The book at {self.address} has no such webhook, or it is no guestbook.")
        if answer.status_code in (429, 500, 502, 503, 504):
            raise requests.ConnectionError(f"it answered {answer.status_code}")
        try:
            body = answer.json()
        except ValueError:
            body = {}
        if not answer.ok or answer.is_redirect:
            error = body.get("error", {}) if isinstance(body, dict) else {}
            raise CallRefused(error.get("message") or f"The book answered {answer.status_code}.")
        return body


@click.command()
@click.argument("book")
@click.option("--webhook", metavar="ID", help="Fetch from this webhook. Without it, a new one is added.")
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
    book: str, webhook: str | None, events: tuple[str, ...], forward: str | None, once: bool, token: str
) -> None:
    """Fetch a webhook's messages here, without a public address.

    BOOK is the address of the guestbook, such as https://book.example. The messages arrive over your own
    connection to it, so this works behind a firewall, on a laptop and on a Raspberry Pi.

    A message counts as delivered once --forward answered it with 2xx or, without --forward, once it is
    printed. Else it comes again later. Nothing is lost while this command does not run.
    """
    address = _address(book)
    try:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {token}"
            there = Book(address, session)
            _follow(there, webhook or _add(there, events), forward, once=once)
    except CallRefused as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo("\nStopped. Everything else stays in the book.")


def _address(book: str) -> str:
    parts = urlsplit(book)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.UsageError("BOOK must be an address like https://book.example.")
    is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme == "http" and not is_here:
        raise click.UsageError("Use https: over http, others on the way could read the token.")
    return book.rstrip("/")


def _add(there: Book, events: tuple[str, ...]) -> str:
    wanted: dict[str, Any] = {"url": "pull:", "name": f"Listener on {socket.gethostname()}"[:80]}
    if events:
        wanted["events"] = list(dict.fromkeys(events))
    try:
        added = there.call("POST", "/webhooks", json=wanted)
    except requests.RequestException as error:  # it may have arrived, so it is not repeated
        raise CallRefused(f"The book cannot be reached: {error}.") from None
    click.echo(f"Added the webhook {added['id']}. Next time: --webhook {added['id']}")
    click.echo(f"Its secret, to verify the messages: {added['secret']}")
    return str(added["id"])


def _follow(there: Book, row_id: str, forward: str | None, *, once: bool) -> None:
    """Fetch, hand on and commit, until stopped or, with `once`, until nothing waits."""
    click.echo(f"Listening to {there.address}. Ctrl-C stops.")
    place, wait = f"/webhooks/{row_id}", 0 if once else WAIT
    while True:
        taken = _insist(there, "GET", f"{place}/pending", wait=wait, limit=FETCHED_AT_ONCE)
        for delivery in taken["deliveries"]:
            result = _forwarded(delivery, forward) if forward else _printed(delivery)
            commit = {"token": taken["token"], "results": [{"id": delivery["id"], **result}]}
            if _insist(there, "POST", f"{place}/commit", json=commit)["late"]:
                click.echo("  This took too long. The book hands it out again.", err=True)
        if not taken["deliveries"]:
            if once:
                return
            time.sleep(taken["retry_after"])


def _printed(delivery: dict[str, Any]) -> dict[str, Any]:
    click.echo(f"{_heading(delivery)} {printable(delivery['payload'])}")
    return {"ok": True}


def _forwarded(delivery: dict[str, Any], url: str) -> dict[str, Any]:
    """Forward a delivery, print the answer, and return the result for the book."""
    click.echo(f"{_heading(delivery)} {printable(delivery['payload'][:SHOWN_TEXT])}")
    began = time.monotonic()
    with requests.Session() as session:
        session.trust_env = False  # neither a proxy nor .netrc is meant for a program of this machine
        try:
            answer = session.post(
                url,
                data=delivery["payload"].encode(),
                headers=delivery["headers"],
                timeout=FORWARD_TIMEOUT,
                allow_redirects=False,
                stream=True,
            )
            said = answer.raw.read(SHOWN_TEXT, decode_content=True).decode(errors="replace")
        except (requests.RequestException, HTTPError) as error:
            why = f"{url} gave no answer ({type(error).__name__})."
            click.echo(f"  {why} It comes again later.", err=True)
            return {"ok": False, "error": why[:SAID_LIMIT], "milliseconds": _since(began)}
    ok = 200 <= answer.status_code < 300
    result = {"ok": ok, "status_code": answer.status_code, "milliseconds": _since(began)}
    again = "" if ok else " It comes again later."
    click.echo(f"  {answer.status_code} {printable(said)}{again}", err=not ok)
    return result if ok else {**result, "error": f"The receiver answered {answer.status_code}."}


def _heading(delivery: dict[str, Any]) -> str:
    return f"{clock.now():%H:%M:%S} {delivery['event']}"


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _insist(there: Book, method: str, path: str, **more: Any) -> Any:
    """Make a call. While the book cannot be reached, wait and repeat it."""
    pauses = chain(PAUSES, repeat(PAUSES[-1]))
    while True:
        try:
            return there.call(method, path, **more)
        except requests.RequestException as error:
            pause = next(pauses)
            click.echo(f"The book cannot be reached ({error}). Next try in {pause} s.", err=True)
            time.sleep(pause)
