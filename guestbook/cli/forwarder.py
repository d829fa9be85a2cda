"""Forward a fetched delivery to a program of this machine, as the book would send it."""

import time
from http import cookiejar
from typing import Any

import click
import requests
from urllib3.exceptions import HTTPError

from guestbook.lib.text import printable

FORWARD_TIMEOUT = 10.0  # seconds for the program
KEPT_OPEN = 1.0  # seconds without a message, after which a server may have closed its connection
SHOWN_ANSWER = 200  # characters


class Forwarder:
    """Posts to one URL, over a connection that stays open while messages come. A context manager."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._used_at = time.monotonic()
        self._session = requests.Session()
        self._session.trust_env = False  # neither a proxy nor .netrc is meant for a program of this machine
        self._session.cookies.set_policy(
            cookiejar.DefaultCookiePolicy(allowed_domains=[])
        )  # the book keeps none

    def __enter__(self) -> "Forwarder":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def forward(self, delivery: dict[str, Any]) -> dict[str, Any]:
        """Post a delivery, print the answer, and return the result for the book."""
        began = time.monotonic()
        try:
            status, said = self._post(delivery)
        except (requests.RequestException, HTTPError) as error:
            why = f"gave no answer ({type(error).__name__})."
            click.echo(f"  {self._url} {why} It comes again later.", err=True)
            return {"ok": False, "error": f"The receiver {why}", "milliseconds": _since(began)}
        ok = 200 <= status < 300
        result = {"ok": ok, "status_code": status, "milliseconds": _since(began)}
        again = "" if ok else " It comes again later."
        click.echo(f"  {status} {printable(said)}{again}", err=not ok)
        return result if ok else {**result, "error": f"The receiver answered {status}."}

    def _post(self, delivery: dict[str, Any]) -> tuple[int, str]:
        if time.monotonic() - self._used_at > KEPT_OPEN:
            self._session.close()  # the next request opens a new connection
        with self._session.post(
            self._url,
            data=delivery["payload"].encode(),
            headers=delivery["headers"],
            timeout=FORWARD_TIMEOUT,
            allow_redirects=False,
            stream=True,
        ) as answer:
            said = answer.raw.read(SHOWN_ANSWER, decode_content=True).decode(errors="replace")
        self._used_at = time.monotonic()
        return answer.status_code, said


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
