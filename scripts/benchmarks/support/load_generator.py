"""What people and programs do with a served book all the while: sign, read, send webhooks, look after it."""

import itertools
import json
import random
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import requests

from guestbook.lib import ids, signing
from scripts.benchmarks import pages
from scripts.benchmarks.support import temp_book

TOKEN = re.compile(r'name="token" value="([^"]+)"')
CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')
DELIVERY = re.compile(r'href="/admin/deliveries/([0-9a-f]{32})"')
SIGNED = re.compile(r"[?&]signed=([0-9a-f]{32})")
PLACE = "soak"  # the last part of the URL that the source was given
VISITORS = 4  # threads that share the rate of the comments, so that a slow answer does not hold up the rest
NETWORKS = 200  # from which visitors come; each may write only so much
DESK = (
    "/admin/",
    "/admin/deliveries/",
    "/admin/deliveries/?status=failed",
    "/admin/comments/",
    "/admin/webhooks/",
    "/admin/inbox/",
)
TIMEOUT = 60  # seconds


@dataclass(frozen=True, slots=True)
class Rates:
    """How often each is done, a second."""

    comments: float = 20.0
    reads: float = 10.0
    webhooks: float = 5.0
    clicks: float = 1.0


class Log:
    """What came of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.comments: list[str] = []  # ids of those that were accepted
        self.events: list[str] = []  # ids of webhooks to us that were accepted
        self.redelivered: list[str] = []
        self.refused: Counter[str] = Counter()  # by what and why
        self.times: dict[str, list[float]] = defaultdict(list)  # ms, by what

    def took(self, what: str, milliseconds: float) -> None:
        """Note how long an answer took."""
        with self._lock:
            self.times[what].append(milliseconds)

    def refuse(self, what: str) -> None:
        """Note what was not done."""
        with self._lock:
            self.refused[what] += 1


class Traffic:
    """All that is done, each kind in threads of its own."""

    def __init__(self, site: str, secret: str) -> None:
        self.log = Log()
        self._site = site
        self._key = signing.key_of(secret)
        self._numbers = itertools.count()
        self._over = threading.Event()

    @contextmanager
    def going_on(self, rates: Rates) -> Iterator[Log]:
        """Do it all until the end of the block."""
        doers = [(self._visitor, rates.comments / VISITORS)] * VISITORS
        doers += [(self._reader, rates.reads), (self._sender, rates.webhooks), (self._owner, rates.clicks)]
        threads = [threading.Thread(target=self._pace, args=one) for one in doers if one[1]]
        for thread in threads:
            thread.start()
        try:
            yield self.log
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _pace(self, start: Callable[[requests.Session], Callable[[], None]], rate: float) -> None:
        """Do it so often a second; after a slow answer it goes on from there, and does not catch up."""
        with requests.Session() as session:
            session.trust_env = False
            session.headers["X-Forwarded-For"] = self._network()
            act = start(session)
            while not self._over.wait(random.expovariate(rate)):
                try:
                    act()
                except requests.RequestException as error:
                    self.log.refuse(type(error).__name__)

    def _ask(
        self, what: str, session: requests.Session, method: str, path: str, wanted: int, **more: object
    ) -> requests.Response | None:
        """Ask, and take the time; None when the answer is another than wanted."""
        start = time.perf_counter()
        answer = session.request(
            method,
            self._site + path,
            timeout=TIMEOUT,
            allow_redirects=False,
            **more,  # type: ignore[arg-type]
        )
        self.log.took(what, (time.perf_counter() - start) * 1000)
        if answer.status_code == wanted:
            return answer
        self.log.refuse(f"{what} {answer.status_code}")
        return None

    def _visitor(self, session: requests.Session) -> Callable[[], None]:
        token = TOKEN.search(session.get(self._site, timeout=TIMEOUT).text)
        assert token

        def sign() -> None:
            session.headers["X-Forwarded-For"] = self._network()
            form = {
                "token": token[1],
                "name": "Ada",
                "message": f"{temp_book.MESSAGE} {next(self._numbers)}",
            }
            answer = self._ask("POST", session, "POST", "/comments", 303, data=form)
            found = answer and SIGNED.search(answer.headers["Location"])
            if found:
                self.log.comments.append(found[1])

        return sign

    def _reader(self, session: requests.Session) -> Callable[[], None]:
        def read() -> None:
            some = random.choice(self.log.comments) if self.log.comments else "0" * 32
            paths = (
                "/",
                "/",
                f"/?before={some}",
                f"/comments/{some}" if self.log.comments else "/",
                "/healthz",
            )
            self._ask("GET", session, "GET", random.choice(paths), 200)

        return read

    def _sender(self, session: requests.Session) -> Callable[[], None]:
        def send() -> None:
            event_id, now = ids.new(), int(time.time())
            body = json.dumps(
                {"type": "roof.mended", "text": f"{temp_book.MESSAGE} {next(self._numbers)}"}
            ).encode()
            headers = {
                "Content-Type": "application/json",
                "webhook-id": event_id,
                "webhook-timestamp": str(now),
                "webhook-signature": signing.standard((self._key,), event_id, now, body),
            }
            path = f"/hooks/{PLACE}"
            answer = self._ask("webhook to us", session, "POST", path, 202, data=body, headers=headers)
            if answer:
                self.log.events.append(answer.json()["id"])

        return send

    def _owner(self, session: requests.Session) -> Callable[[], None]:
        form = {"csrf_token": self._csrf(session, "/admin/login"), "password": pages.PASSWORD}
        self._ask("login", session, "POST", "/admin/login", 303, data=form)
        round_ = itertools.cycle((*DESK, None))

        def click() -> None:
            path = next(round_)
            if path:
                self._ask("desk", session, "GET", path, 200)
            else:
                self._redeliver(session)

        return click

    def _redeliver(self, session: requests.Session) -> None:
        shown = self._ask("desk", session, "GET", "/admin/deliveries/?status=processed", 200)
        found = shown and DELIVERY.search(shown.text)
        if not found:
            return
        path = f"/admin/deliveries/{found[1]}"
        form = {"csrf_token": self._csrf(session, path)}
        if self._ask("redeliver", session, "POST", f"{path}/redeliver", 303, data=form):
            self.log.redelivered.append(found[1])

    def _csrf(self, session: requests.Session, path: str) -> str:
        token = CSRF.search(session.get(self._site + path, timeout=TIMEOUT).text)
        assert token, path
        return token[1]

    @staticmethod
    def _network() -> str:
        return f"203.0.113.{random.randrange(NETWORKS)}"
