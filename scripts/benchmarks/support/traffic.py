"""What people, programs and cron do with a served book during a bench."""

import itertools
import json
import os
import random
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import requests
from flask import Flask

from guestbook.lib import ids, signatures
from scripts.benchmarks.support import temp_book
from scripts.benchmarks.support.processes import FLASK, Process


@contextmanager
def repeating(action: Callable[[], object], pause: Callable[[], float]) -> Iterator[None]:
    """Repeat the action in a thread until the block ends; `pause` returns the seconds until the next one."""
    is_over = threading.Event()

    def repeat() -> None:
        action()
        while not is_over.wait(pause()):
            action()

    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(repeat)
        try:
            yield
        finally:
            is_over.set()
        future.result()  # raises what the action raised


DELIVERY = re.compile(r'href="/admin/deliveries/([0-9a-f]{32})"')
SIGNED = re.compile(r"[?&]signed=([0-9a-f]{32})")
HOOK = "soak"  # the last part of the source's URL
VISITORS = 4  # threads that share the rate of the comments, so that a slow answer does not delay the rest
NETWORKS = 200  # of the visitors; each may write only so much
ADMIN_PAGES = (
    *("/admin/", "/admin/deliveries/", "/admin/deliveries/?status=failed"),
    *("/admin/comments/", "/admin/webhooks/", "/admin/inbox/"),
)
TIMEOUT = 60  # seconds
READS, WEBHOOKS, CLICKS = 10.0, 5.0, 1.0  # a second


@dataclass(slots=True)
class Log:
    """The answers."""

    comments: list[str] = field(default_factory=list)  # ids of accepted ones
    events: list[str] = field(default_factory=list)  # ids of accepted webhooks to us
    redelivered: list[str] = field(default_factory=list)
    answers: list[tuple[str, float]] = field(default_factory=list)  # kind of the request, ms
    refused: list[str] = field(default_factory=list)  # kind and reason


class Traffic:
    """All that is done, each kind in threads of its own."""

    def __init__(self, site: str, secret: str) -> None:
        self.log = Log()
        self._site = site
        self._key = signatures.key_of(secret)
        self._token = temp_book.hidden_field(requests.get(site, timeout=TIMEOUT).text, "token")
        self._numbers, self._pages = itertools.count(), itertools.cycle([*ADMIN_PAGES, ""])

    @contextmanager
    def running(self, comments: float) -> Iterator[None]:
        """Do all of it until the block ends, with so many comments a second."""
        actors = [(self._sign, comments / VISITORS)] * VISITORS
        actors += [(self._read, READS), (self._send, WEBHOOKS), (self._click, CLICKS)]
        with ExitStack() as stack:
            for act, rate in actors:
                if rate:
                    session = stack.enter_context(requests.Session())
                    session.trust_env = False
                    session.headers["X-Forwarded-For"] = _network()
                    if act == self._click:
                        temp_book.log_in(session, self._site)
                    stack.enter_context(repeating(partial(act, session), partial(random.expovariate, rate)))
            yield

    def _ask(
        self, kind: str, session: requests.Session, path: str, wanted: int = 200, **sent: Any
    ) -> requests.Response | None:
        """Send a GET, or a POST with what is sent, and log its time; None when the answer is another one."""
        start, method = time.perf_counter(), "POST" if sent else "GET"
        try:
            url = self._site + path
            answer = session.request(method, url, timeout=TIMEOUT, allow_redirects=False, **sent)
        except requests.RequestException as error:
            self.log.refused.append(type(error).__name__)
            return None
        self.log.answers.append((kind, (time.perf_counter() - start) * 1000))
        if answer.status_code == wanted:
            return answer
        self.log.refused.append(f"{kind} {answer.status_code}")
        return None

    def _sign(self, session: requests.Session) -> None:
        session.headers["X-Forwarded-For"] = _network()
        form = {"token": self._token, "name": "Ada", "message": self._message()}
        answer = self._ask("POST", session, "/comments", 303, data=form)
        if found := answer and SIGNED.search(answer.headers["Location"]):
            self.log.comments.append(found[1])

    def _read(self, session: requests.Session) -> None:
        paths = ["/", "/", "/healthz"]
        if self.log.comments:
            comment = random.choice(self.log.comments)
            paths += [f"/?before={comment}", f"/comments/{comment}"]
        self._ask("GET", session, random.choice(paths))

    def _send(self, session: requests.Session) -> None:
        event_id, now = ids.new(), int(time.time())
        body = json.dumps({"type": "roof.repaired", "text": self._message()}).encode()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(now),
            "webhook-signature": signatures.standard((self._key,), event_id, now, body),
        }
        if answer := self._ask("webhook to us", session, f"/hooks/{HOOK}", 202, data=body, headers=headers):
            self.log.events.append(answer.json()["id"])

    def _click(self, session: requests.Session) -> None:
        """Look at the next page, or redeliver the latest delivery."""
        if path := next(self._pages):
            self._ask("admin page", session, path)
            return
        page = self._ask("admin page", session, "/admin/deliveries/?status=processed")
        if found := page and DELIVERY.search(page.text):
            path = f"/admin/deliveries/{found[1]}"
            if page := self._ask("admin page", session, path):
                form = {"csrf_token": temp_book.hidden_field(page.text, "csrf_token")}
                if self._ask("redeliver", session, f"{path}/redeliver", 303, data=form):
                    self.log.redelivered.append(found[1])

    def _message(self) -> str:
        return f"{temp_book.MESSAGE} {next(self._numbers)}"


def _network() -> str:
    return f"203.0.113.{random.randrange(NETWORKS)}"


STAY = 55 / 60  # of the time until the next pass


class Crontab:
    """Starts a pass every so many seconds."""

    def __init__(self, app: Flask, seconds: float) -> None:
        self._environ, self._seconds = {**os.environ, **app.config["ENVIRON"]}, seconds
        self.output = Path(self._environ["GUESTBOOK_DATA_DIR"], "output-of-cron")  # mail for the owner
        self.passes: list[Process] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start passes until the block ends; then let the last ones finish."""
        try:
            with repeating(self._start, lambda: self._seconds):
                yield
        finally:
            for one in self.passes:
                one.terminate()
            for one in self.passes:
                one.wait()

    def _start(self) -> None:
        command = (*FLASK, "cron", "--stay", "--max-seconds", f"{self._seconds * STAY:.2f}")
        with self.output.open("ab") as output:
            self.passes.append(subprocess.Popen(command, env=self._environ, stdout=output, stderr=output))
