"""The senders that `deliver` measures, one in a process: `python -m …support.worker_main KIND …`."""

import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from scripts.benchmarks.support import start_line

if TYPE_CHECKING:
    from flask import Flask

BODY = b'{"type":"comment.created","data":"' + b"x" * 560 + b'"}'
PATH = "/hooks/0"
HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": "bench",
    "webhook-timestamp": "1700000000",
    "webhook-signature": "v1," + "A" * 44,
    "X-Hub-Signature-256": "sha256=" + "0" * 64,
    "X-Guestbook-Event": "comment.created",
    "X-Guestbook-Attempt": "1",
}


Work = Callable[[int], None]  # does it so many times


def arrivals(count: int) -> list[tuple[str, str]]:
    """Return the path and the id of each request that a bare client sends."""
    return [(PATH, _id(number)) for number in range(count)]


def session(port: int) -> Work:
    """Send with a bare requests.Session that ignores the environment."""
    import requests

    client = requests.Session()
    client.trust_env = False
    return _repeated(lambda headers: client.post(_url(port), data=BODY, headers=headers, timeout=15))


def urllib3(port: int) -> Work:
    """Send with urllib3."""
    import urllib3

    pool = urllib3.PoolManager()
    return _repeated(lambda headers: pool.request("POST", _url(port), body=BODY, headers=headers, timeout=15))


def transport(port: int) -> Work:
    """Send with our transport: address checks and limits, without queue, signature and record."""
    from ipaddress import ip_network

    from guestbook.transport import Transport

    client = Transport(allow_networks=[ip_network("127.0.0.0/8")])
    return _repeated(lambda headers: client.post(_url(port), headers, BODY))


def deliver(concurrency: int) -> Work:
    """Run a whole pass as cron does, on the book of the environment, until nothing is due."""
    from guestbook.background import cron
    from guestbook.storage.database import db

    app = _app("cron")

    def drain(_count: int) -> None:
        with app.app_context():
            options = cron.Options(max_seconds=600, concurrency=concurrency)
            if cron.run(db.engine, app.config["GUESTBOOK"], options) is None:
                sys.exit("Another pass has this data folder.")

    return drain


def relay(_port: int) -> Work:
    """Run a relay on the book of the environment, until it is killed."""
    from guestbook.background.celery import relay
    from guestbook.storage.database import db

    app = _app("relay")

    def publish(_count: int) -> None:
        with app.app_context():
            relay.run(db.engine, app.config["GUESTBOOK"], max_seconds=600, stay=True)

    return publish


def _app(command: str) -> "Flask":
    """Make the application as the command does: a pass needs no pages, which take a sixth of the memory."""
    import flask

    from guestbook.cli import program
    from guestbook.lib.own_process import paused_gc
    from guestbook.storage import configured_app

    with paused_gc():
        program.load(command)
        return configured_app.make(flask.Flask)


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}{PATH}"


def _id(number: int) -> str:
    return f"{number:032x}"


def _repeated(send: Callable[[dict[str, str]], object]) -> Work:
    def repeat(count: int) -> None:
        for number in range(count):
            send({**HEADERS, "webhook-id": _id(number)})

    return repeat


def main(kind: str, number: str, count: str) -> None:
    """Run one from the start line on, and wait to be killed, so that its usage can be read."""
    kinds = {
        "session": session,
        "urllib3": urllib3,
        "transport": transport,
        "deliver": deliver,
        "relay": relay,
    }
    work = kinds[kind](int(number))
    start_line.wait()
    work(int(count))
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
