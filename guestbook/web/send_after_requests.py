"""Passes inside web requests, for hosts without cron: at the end of a request, or when a pinger calls.

Each process remembers when the next pass may be due, and the receivers that are too slow for it.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.wsgi import ClosingIterator

from guestbook.lib.errors import Refused
from guestbook.settings import Settings
from guestbook.web import request_checks

if TYPE_CHECKING:  # A page by CGI must not wait for this import.
    from guestbook.background.whole_pass import PassReport

SHORT = 0.5  # seconds of a pass while a visitor may be waiting
PATIENT = 5.0  # seconds of one that also sends to slow receivers, where no other worker serves visitors
PATIENT_EVERY = 600.0  # seconds between two of those: under 1 % of the time
LONG = 20.0  # seconds of a pass where others serve visitors; pingers often give up after 30
SLOW_FOR = 3600.0  # seconds for which a receiver counts as slow
LOOK_EVERY = 60.0  # seconds between two looks for work
LOOK_AFTER_POST = 1.0  # the same after requests that may have stored something to send
READS = ("GET", "HEAD", "OPTIONS")
SENT_FIRST = ("waitress", "gunicorn")  # SERVER_SOFTWARE of servers that close the answer once it has left
SENT_FIRST_KEYS = ("mod_wsgi.version", "uwsgi.version")  # Such servers add these to the environment.
EXTENSION = "guestbook short passes"

log = logging.getLogger(__name__)
Environ = dict[str, Any]


class ShortPasses:
    """The short passes of one process."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._settings: Settings = app.config["GUESTBOOK"]
        self._rest_until = 0.0  # All times are on the monotonic clock.
        self._looked_at = self._looked_after_post_at = -LOOK_EVERY
        self._patient_at = time.monotonic() + PATIENT_EVERY
        self._slow: dict[str, float] = {}  # ids of webhooks, and until when they count as slow
        self.problem: str | None = None  # why the last pass failed

    def may_be_due(self, method: str) -> bool:
        """Whether to look for work after a request. This uses memory alone, for each request asks it."""
        looked, wait = self._looked_after_post_at, LOOK_AFTER_POST
        if method in READS:
            looked, wait = self._looked_at, LOOK_EVERY
        return time.monotonic() >= max(self._rest_until, looked + wait)

    def after_request(self, environ: Environ) -> None:
        """Do what is due, unless a pass came in the last minute. Never raises: the answer has been given."""
        self._looked_at = time.monotonic()
        if environ["REQUEST_METHOD"] not in READS:
            self._looked_after_post_at = self._looked_at
        try:
            self._drain(environ)
            self.problem = None
        except Exception as error:
            self.problem = type(error).__name__
            self._rest(LOOK_EVERY)
            reason, shown = (f": {error}", None) if isinstance(error, Refused) else (".", error)
            log.warning("The work after this request waits for the next one%s", reason, exc_info=shown)

    def run(self, environ: Environ) -> "PassReport | None":
        """Do what is due for a pinger, who waits for it; None when another pass is at work."""
        from guestbook.background import whole_pass

        seconds = LONG if _others_serve(environ) else PATIENT
        return self._noted(whole_pass.run_short(self._settings, seconds, slow=self._known_slow()))

    def _drain(self, environ: Environ) -> None:
        from guestbook.background import whole_pass

        slow, now = self._known_slow(), time.monotonic()
        is_long = _others_serve(environ) and _is_sent_first(environ)
        is_patient = not is_long and bool(slow) and now >= self._patient_at
        skips_slow = not is_long and not is_patient
        wait = whole_pass.wait_for_work(self._settings, skipped=slow if skips_slow else frozenset())
        if wait:
            self._rest(wait.total_seconds())
        elif wait is not None:
            if is_patient:
                self._patient_at = now + PATIENT_EVERY
            seconds = LONG if is_long else PATIENT if is_patient else SHORT
            self._noted(whole_pass.run_short(self._settings, seconds, slow=slow, skips_slow=skips_slow))

    def _noted(self, report: "PassReport | None") -> "PassReport | None":
        from guestbook.background import public_files

        public_files.write(self._app, SHORT)
        self._rest(LOOK_EVERY)
        if report:
            until = time.monotonic() + SLOW_FOR
            self._slow |= dict.fromkeys(report.cut, until)
        return report

    def _known_slow(self) -> frozenset[str]:
        now = time.monotonic()
        self._slow = {row_id: until for row_id, until in self._slow.items() if until > now}
        return frozenset(self._slow)

    def _rest(self, seconds: float) -> None:
        self._rest_until = time.monotonic() + seconds


def of(app: Flask) -> ShortPasses:
    """Return those of this process."""
    passes: ShortPasses = app.extensions[EXTENSION]
    return passes


def init_app(app: Flask) -> None:
    """Let short passes be run, and if the owner wants that, at the end of requests."""
    settings: Settings = app.config["GUESTBOOK"]
    app.extensions[EXTENSION] = ShortPasses(app)
    if settings.send_after_requests and not app.extensions["guestbook"].lacks_key:
        app.wsgi_app = _after_requests(app, app.wsgi_app)  # type: ignore[method-assign]  # Flask's documented way


def _after_requests(app: Flask, wsgi: Callable[..., Iterable[bytes]]) -> Any:
    """Return the WSGI application with a pass after each answer: in `close`, which PEP 3333 promises."""
    passes = of(app)

    def answer(environ: Environ, start_response: Any) -> Iterable[bytes]:
        body = wsgi(environ, start_response)
        if not passes.may_be_due(environ["REQUEST_METHOD"]) or request_checks.CHECKED not in app.extensions:
            return body
        work = partial(passes.after_request, environ)

        def close() -> None:
            # Else the next request on the same connection would wait for the pass.
            if environ.get("wsgi.multithread") and _is_sent_first(environ):
                with suppress(RuntimeError):  # This host allows no further thread.
                    return threading.Thread(target=work, name="short-pass").start()
            return work()

        return ClosingIterator(body, [close])

    return answer


def _others_serve(environ: Environ) -> bool:
    """Whether other threads or processes serve visitors while this one is at work."""
    return bool(environ.get("wsgi.multithread") or environ.get("wsgi.multiprocess"))


def _is_sent_first(environ: Environ) -> bool:
    """Whether this server is known to send the whole answer before it closes it."""
    software = str(environ.get("SERVER_SOFTWARE", ""))
    return software.startswith(SENT_FIRST) or any(key in environ for key in SENT_FIRST_KEYS)
