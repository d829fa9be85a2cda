"""The API of a book on another machine, and a webhook that is fetched from it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain, repeat
from typing import Any
from urllib.parse import quote

import click
import requests
from requests.auth import AuthBase

from guestbook.lib.text import printable

LONG_POLL = 20  # seconds for which the book holds a request until something comes
ANSWER_MARGIN = 15  # seconds beyond that, until the book counts as lost
FETCHED_AT_ONCE = 5  # deliveries: all must be forwarded before their lease ends
PASSING = (408, 425, 429)  # with all from 500: a proxy of the book has more of its own, such as 521
NAMED_URL_LIMIT = 300  # characters of a redirect's target
PAUSES = (1, 2, 5, 10, 30)  # seconds between tries to reach the book
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
                method,
                url,
                json=json,
                params=query,
                timeout=LONG_POLL + ANSWER_MARGIN,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise Unreachable(type(error).__name__) from None
        if answer.status_code in PASSING or answer.status_code >= 500:
            raise Unreachable(f"it answered {answer.status_code}")
        body = _object(answer)
        if answer.status_code == HTTPStatus.NOT_FOUND or (answer.status_code < 300 and not body):
            raise CallRefused(NO_GUESTBOOK.format(self.address))
        if answer.status_code >= 300:
            raise CallRefused(_refusal(answer, body))
        return body


class PulledWebhook:
    """A webhook of a book, whose deliveries are fetched. While the book cannot be reached, all calls wait."""

    def __init__(self, there: Book, row_id: str) -> None:
        self._there = there
        self._place = f"/webhooks/{quote(row_id, safe='')}"
        self._first_token = ""  # of the first answer since the start, or since an answer was lost

    def fetch(self, wait: int) -> dict[str, Any]:
        """Lease the next deliveries; wait so many seconds for the first one.

        Those that an earlier run had leased are among them, and those that came with a lost answer.
        """
        pauses = _pauses()
        while True:
            since = {"first_token": self._first_token} if self._first_token else {}
            seconds = wait if since else 0
            try:
                taken = self._there.call(
                    "GET", f"{self._place}/pending", wait=seconds, limit=FETCHED_AT_ONCE, **since
                )
            except Unreachable as error:
                self._first_token = ""
                _pause(error, pauses)
                continue
            self._first_token = self._first_token or taken["token"]
            if since or taken["deliveries"]:
                return taken

    def commit(self, token: str, row_id: str, result: dict[str, Any]) -> bool:
        """Say what came of a delivery; return whether it counts."""
        body, pauses = {"token": token, "results": [{"id": row_id, **result}]}, _pauses()
        while True:
            try:
                return not self._there.call("POST", f"{self._place}/commit", json=body)["late"]
            except Unreachable as error:
                _pause(error, pauses)


def _pauses() -> Iterator[int]:
    return chain(PAUSES, repeat(PAUSES[-1]))


def _pause(error: Unreachable, pauses: Iterator[int]) -> None:
    seconds = next(pauses)
    click.echo(f"The book cannot be reached ({error}). Next try in {seconds} s.", err=True)
    time.sleep(seconds)


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
        other = printable(answer.headers["Location"])[:NAMED_URL_LIMIT]
        return f"The book redirects to {other}. Use the address that it redirects to."
    error = body.get("error")
    error = error if isinstance(error, dict) else {}
    fields = error.get("fields") or {}
    said = " ".join(map(str, fields.values())) if isinstance(fields, dict) else ""
    return printable(said or str(error.get("message") or f"The book answered {answer.status_code}."))
