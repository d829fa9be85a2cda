"""The command that fetches a webhook's deliveries on a machine without a public address, or a book."""

import re
import socket
import time
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain, repeat
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import click
import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from guestbook.lib import clock
from guestbook.lib.pull_url import PULL_URL
from guestbook.lib.text import printable

WAIT = 20  # seconds for which the book holds a request until something comes
ANSWER_MARGIN = 15  # seconds beyond that, until the book counts as lost
FORWARD_TIMEOUT = 10.0  # seconds for the program behind --forward
FETCHED_AT_ONCE = 5  # deliveries: all must be forwarded before their lease ends
SAID_LIMIT = 300  # characters
PAUSES = (1, 2, 5, 10, 30)  # seconds between tries to reach the book
SHOWN_TEXT = 200  # characters of a message or an answer


NO_GUESTBOOK = "The book at {} has no such webhook, or it is no guestbook."


class CallRefused(Exception):
    """The book refused a call; the sentence is for people."""


class Unreachable(Exception):
    """The book gave no answer, or is overloaded; the text says why, in a few words."""


@dataclass(frozen=True, slots=True)
class BearerToken(AuthBase):
    """The token of each call. As a plain header, a password in the machine's .netrc would replace it."""

    token: str

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add it to a request."""
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


@dataclass(frozen=True, slots=True)
class Book:
    """The API of a book."""

    address: str
    session: requests.Session

    def call(self, method: str, path: str, json: object = None, **query: str | int) -> dict[str, Any]:
        """Make a call and return the answer; raises CallRefused or Unreachable."""
        url = f"{self.address}/api/v1{path}"
        try:
            answer = self.session.request(
                method, url, json=json, params=query, timeout=WAIT + ANSWER_MARGIN, allow_redirects=False
            )
        except requests.RequestException as error:
            raise Unreachable(type(error).__name__) from None
        if answer.status_code in (429, 500, 502, 503, 504):
            raise Unreachable(f"it answered {answer.status_code}")
        body = _object(answer)
        if answer.status_code == HTTPStatus.NOT_FOUND or (answer.status_code < 300 and not body):
            raise CallRefused(NO_GUESTBOOK.format(self.address))
        if answer.status_code >= 300:
            raise CallRefused(_refusal(answer, body))
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
    address, token = _address(book), token.strip()
    _check(webhook, events, forward, token)
    try:
        with requests.Session() as session:
            session.auth = BearerToken(token)
            there = Book(address, session)
            _follow(there, webhook or _add(there, events), forward, once=once)
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


def _object(answer: requests.Response) -> dict[str, Any]:
    """Return the JSON object of an answer; an empty one if it has none."""
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _refusal(answer: requests.Response, body: dict[str, Any]) -> str:
    """Return why the book refused, in its own words."""
    if answer.is_redirect:
        other = printable(answer.headers["Location"])[:SAID_LIMIT]
        return f"The book redirects to {other}. Use the address that it redirects to."
    error = body.get("error")
    error = error if isinstance(error, dict) else {}
    fields = error.get("fields") or {}
    said = " ".join(map(str, fields.values())) if isinstance(fields, dict) else ""
    return printable(said or str(error.get("message") or f"The book answered {answer.status_code}."))


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


def _follow(there: Book, row_id: str, forward: str | None, *, once: bool) -> None:
    """Fetch, hand on and commit, until stopped or, with `once`, until nothing waits."""
    click.echo(f"Listening to {there.address}. Ctrl-C stops.")
    place, wait = f"/webhooks/{quote(row_id, safe='')}", 0 if once else WAIT
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
        except Unreachable as error:
            pause = next(pauses)
            click.echo(f"The book cannot be reached ({error}). Next try in {pause} s.", err=True)
            time.sleep(pause)
