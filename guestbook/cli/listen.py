"""The command that fetches a webhook's deliveries on a machine without a public address, or a book.

It does not trust the book: a stranger may run it, or answer in its place. Nothing in an answer reaches the
terminal as it is, and of the headers only those of a delivery reach the program behind.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from itertools import chain, repeat
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import click
from requests.utils import get_environ_proxies, select_proxy

from guestbook.lib import VERSION, clock, ids, retry_policy
from guestbook.lib.text import printable
from guestbook.lib.validate import PULL_URL
from guestbook.transport.failure import TransportError
from guestbook.transport.http_request_and_redirects import ReceiverAnswer, Transport
from guestbook.transport.urls import EVERY_NETWORK, check_url, scheme_question

LONG_POLL = 20  # seconds
ANSWER_SECONDS = 60  # After that the book counts as lost.
ANSWER_LIMIT = 64_000_000  # bytes
FETCHED_AT_ONCE = 5  # All must be forwarded before their lease ends.
MOST_WAIT = 60  # seconds
PAUSES = (1, 2, 5, 10, 30)  # seconds
FORWARD_SECONDS = 10
SENT_ERROR_LIMIT = 300  # characters
SHOWN_TEXT = 200  # characters
# Any other header could replace the host or the framing of the request, or log in as somebody.
DELIVERY_HEADERS = (
    *("Content-Type", "User-Agent", "webhook-id", "webhook-timestamp", "webhook-signature"),
    *("X-Guestbook-Event", "X-Guestbook-Attempt", "X-Guestbook-Version", "X-Hub-Signature-256"),
    *("X-GitHub-Event", "X-GitHub-Delivery", "X-GitHub-Hook-ID"),
)
NOT_COUNTED = "  This came too late, or another listener was started. The book hands it out again if it must."


class Unreachable(Exception):
    """The book gave no answer, or is overloaded; the text says why, in a few words."""


@click.command()
@click.argument("book")
@click.option("--webhook", metavar="ID", help="Fetch from this webhook. Without it, a new one is added.")
@click.option("--event", "events", multiple=True, help="Event of the new webhook (repeatable).")
@click.option("--forward", metavar="URL", help="POST each message to this URL, as the book would send it.")
@click.option("--once", is_flag=True, help="End when nothing waits any more.")
@click.option(
    "--token",
    envvar="BOOK_TOKEN",
    help="A token with the scope manage, or - to read it from standard input; by default $BOOK_TOKEN. "
    "A terminal asks for it.",
)
def listen(
    book: str, webhook: str | None, events: Sequence[str], forward: str | None, once: bool, token: str | None
) -> None:
    """Fetch a webhook's messages here, without a public address.

    BOOK is the address of the guestbook, such as https://book.example. The messages arrive over your own
    connection to it, so this works behind a firewall, on a laptop and on a Raspberry Pi.

    A message counts as delivered once --forward answered it with 2xx or, without --forward, once it is
    printed. Else it comes again later. Nothing is lost while this command does not run.
    """
    address = _address(book)
    if webhook and events:
        raise click.UsageError("--event is for a new webhook. Leave it out, or leave out --webhook.")
    if forward and not _is_url(forward):
        example = "--forward must be a URL like http://127.0.0.1:8000/hook."
        raise click.UsageError(example + scheme_question(forward, "http"))
    there = Book(address, _token_of(token))
    try:
        row_id = webhook or _add(there, events)
        click.echo(f"Listening to {address}. Ctrl-C stops.")
        _follow(there, f"/webhooks/{quote(row_id, safe='', errors='replace')}", forward, once=once)
    except KeyboardInterrupt:
        click.echo("\nStopped. Everything else stays in the book.")


def _address(book: str) -> str:
    if not _is_url(book) or urlsplit(book).query:
        example = "BOOK must be an address like https://book.example."
        raise click.UsageError(example + scheme_question(book))
    parts = urlsplit(book)
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise click.UsageError("Use https: over http, others on the way could read the token.")
    return book.rstrip("/")


def _is_url(text: str) -> bool:
    try:
        return bool(check_url(text, allow_networks=EVERY_NETWORK))
    except ValueError:
        return False


def _token_of(token: str | None) -> str:
    """Return the token that was given or, on a terminal, asked for."""
    if token is None and not sys.stdin.isatty():
        raise click.UsageError("Give a token: set BOOK_TOKEN, or add --token - and pipe it in.")
    if token is None:
        token = str(click.prompt("API token", hide_input=True))
    token = (sys.stdin.readline(SHOWN_TEXT) if token == "-" else token).strip()
    if not (token.isascii() and token.isprintable() and len(token.split()) == 1):
        raise click.UsageError("The token must be one word, such as gbk_….")
    return token


def _add(there: "Book", events: Sequence[str]) -> str:
    name = f"Listener on {socket.gethostname()[:40]} since {clock.to_text(clock.now())}"
    wanted = {"url": PULL_URL, "name": name} | ({"events": list(dict.fromkeys(events))} if events else {})
    try:
        added = there.call("POST", "/webhooks", wanted)
    except Unreachable as error:  # It may have arrived, so it is not repeated.
        raise click.ClickException(f"The book cannot be reached ({error}).") from None
    there.check(added, id=str, secret=str)
    row_id = str(added["id"])
    click.echo(f"Added the webhook {row_id}. Next time: --webhook {row_id}")
    click.echo(f"Its secret, to verify the messages: {printable(added['secret'])}")
    return row_id


def _follow(there: "Book", place: str, forward: str | None, *, once: bool) -> None:
    """Fetch, hand on and commit, until stopped or, with `once`, until nothing waits."""
    behind = Transport(timeout=FORWARD_SECONDS, allow_networks=EVERY_NETWORK)
    while True:
        taken = _patiently(partial(there.fetch, place, 0 if once else LONG_POLL))
        for delivery in taken["deliveries"]:
            payload = delivery["payload"][:SHOWN_TEXT] if forward else delivery["payload"]
            event = printable(delivery["event"][:SHOWN_TEXT])
            click.echo(f"{clock.now():%H:%M:%S} {event} {printable(payload)}")
            result = _forwarded(behind, forward, delivery) if forward else {"ok": True}
            body = {"token": taken["token"], "results": [{"id": delivery["id"], **result}]}
            done = _patiently(partial(there.call, "POST", f"{place}/commit", body))
            there.check(done, late=int)
            if done["late"]:
                click.echo(NOT_COUNTED, err=True)
                break
        if not taken["deliveries"]:
            if once:
                return
            time.sleep(taken["retry_after"])


def _patiently(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Make a call again until the book can be reached."""
    pauses = chain(PAUSES, repeat(PAUSES[-1]))
    while True:
        try:
            return call()
        except Unreachable as error:
            seconds = next(pauses)
            click.echo(f"The book cannot be reached ({error}). Next try in {seconds} s.", err=True)
            time.sleep(seconds)


def _forwarded(behind: Transport, url: str, delivery: dict[str, Any]) -> dict[str, Any]:
    """Post a delivery to the program, print the answer, and return the result for the book."""
    given = {name.lower(): value for name, value in delivery["headers"].items()}
    headers = {name: str(given[name.lower()]) for name in DELIVERY_HEADERS if name.lower() in given}
    began = time.monotonic()
    try:
        answer = behind.post(url, headers, delivery["payload"].encode(errors="replace"))
    except TransportError as error:
        why = f"{url} gave no answer ({_in_words(error)})."
        click.echo(f"  {why} It comes again later.", err=True)
        result: dict[str, Any] = {"ok": False, "error": why[:SENT_ERROR_LIMIT]}
    else:
        ok = 200 <= answer.status < 300
        problem = {} if ok else {"error": f"The receiver answered {answer.status}."}
        result = {"ok": ok, "status_code": answer.status, **problem}
        said = printable(answer.body[:SHOWN_TEXT].decode(errors="replace"))
        click.echo(f"  {answer.status} {said}{'' if ok else ' It comes again later.'}", err=not ok)
    return {**result, "milliseconds": round((time.monotonic() - began) * 1000)}


class Book:
    """The API of a book on another machine."""

    def __init__(self, address: str, token: str) -> None:
        self._address = address
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": f"guestbook/{VERSION}"}
        ca_file = os.environ.get("REQUESTS_CA_BUNDLE")
        limits: dict[str, Any] = {"timeout": ANSWER_SECONDS, "allow_networks": EVERY_NETWORK}
        self._transport = Transport(proxy=_proxy(address), ca_file=ca_file, **limits)
        self._first_token = ""
        self._odd = click.ClickException(f"The answer of {address} is not that of a guestbook.")

    def call(self, method: str, path: str, body: object = None, **query: str | int) -> dict[str, Any]:
        """Make a call and return the answer; raises ClickException or Unreachable."""
        url = f"{self._address}/api/v1{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {**self._headers, "Content-Type": "application/json"} if body else self._headers
        sent = json.dumps(body).encode() if body else b""
        try:
            answer = self._transport.send(method, url, headers, sent, body_limit=ANSWER_LIMIT)
        except TransportError as error:
            if error.is_lasting:
                raise click.ClickException(str(error)) from None
            raise Unreachable(_in_words(error)) from None
        if answer.note == "body_cut":
            raise self._odd
        if answer.note or retry_policy.may_pass(answer.status):
            raise Unreachable(f"it answered {answer.status}{' and broke off' if answer.note else ''}")
        try:
            found = json.loads(answer.body)
        except (ValueError, RecursionError):
            found = None
        found = found if isinstance(found, dict) else {}
        if answer.status == HTTPStatus.NOT_FOUND or (answer.status < 300 and not found):
            raise click.ClickException(
                f"The book at {self._address} has no such webhook, or it is no guestbook."
            )
        if answer.status >= 300:
            raise click.ClickException(_refusal(answer, found))
        return found

    def fetch(self, place: str, wait: int) -> dict[str, Any]:
        """Lease the next `deliveries` under a `token`; wait so many seconds for the first one.

        If there are none, ask again after the seconds of `retry_after`. The first call, and one after a lost
        answer, also gets what was leased before.
        """
        since, self._first_token = self._first_token, ""
        asked: dict[str, Any] = {"first_token": since, "wait": wait} if since else {"wait": 0}
        taken = self.call("GET", f"{place}/pending", limit=FETCHED_AT_ONCE, **asked)
        self.check(taken, token=str, deliveries=list, retry_after=int | float)
        for one in taken["deliveries"]:
            self.check(one, id=str, event=str, payload=str, headers=dict)
        if not 0 <= taken["retry_after"] <= MOST_WAIT:
            raise self._odd
        self._first_token = since or taken["token"]
        return taken if since or taken["deliveries"] else self.fetch(place, wait)

    def check(self, found: Any, **types: Any) -> None:
        """Refuse an answer without these parts. An id and a token look like ours."""
        is_fit = isinstance(found, dict) and all(isinstance(found.get(name), types[name]) for name in types)
        if not is_fit or not all(ids.ID.fullmatch(found[name]) for name in types.keys() & {"id", "token"}):
            raise self._odd


def _proxy(address: str) -> str | None:
    """Return the proxy that the environment names for the book, as curl and others understand it."""
    proxy = select_proxy(address, get_environ_proxies(address))
    proxy = f"http://{proxy}" if proxy and "://" not in proxy else proxy
    if proxy and not proxy.lower().startswith(("http://", "https://")):
        raise click.ClickException("The proxy that this machine's settings name must speak HTTP.")
    return proxy


def _in_words(error: TransportError) -> str:
    return printable(f"{error.reason.replace('_', ' ')}{': ' if error.detail else ''}{error.detail}")


def _refusal(answer: ReceiverAnswer, found: dict[str, Any]) -> str:
    """Return why the book refused, in its own words."""
    if answer.status < 400 and (other := answer.headers.get("location")):
        other = printable(other)[:SHOWN_TEXT]
        return f"The book redirects to {other}. Use the address that it redirects to."
    error = found.get("error")
    error = error if isinstance(error, dict) else {}
    fields = error.get("fields")
    said = " ".join(map(str, fields.values())) if isinstance(fields, dict) else ""
    words = said or str(error.get("message") or f"The book answered {answer.status}.")
    return printable(words[:SHOWN_TEXT])
