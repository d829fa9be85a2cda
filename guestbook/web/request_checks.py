"""Before a view: how the request came is noted, its body limited, the version of the book required."""

import io
import os
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import urlsplit

from flask import Flask, abort, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

from guestbook.settings import Settings
from guestbook.storage import hits_and_notes, hosts_sharing_sqlite
from guestbook.storage.hosts_sharing_sqlite import HostNote
from guestbook.web import error_pages

NOTE_AGAIN_AFTER = 3600.0  # seconds
UNOBSERVED = ("/healthz", "/metrics", "/static/")  # Monitors often come past the proxy.
MOST_PROXIES = 11
RAW_BYTE, LONG_NUMBER = re.compile(rb"[\x80-\xff]"), re.compile(r"[^\"]*[0-9]{6}")  # An ETag has quotes.
DATES = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_RANGE")
HOST_HEADER = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,200}")  # Nothing else of a stranger's header is shown.


def init_app(app: Flask, check_version: Callable[[], None]) -> None:
    """Observe each request before anything can fail, limit its body, and require the book's version.

    `check_version` raises WrongVersion, or the error of a database that cannot be read.
    """
    settings: Settings = app.config["GUESTBOOK"]
    app.before_request(make_readable)
    is_server = "GATEWAY_INTERFACE" not in os.environ  # By CGI the next request starts the next process.
    host = HostNote(settings, hosts_sharing_sqlite.WEB, leaves=is_server)
    app.before_request(partial(observe, settings, host, {}))
    app.before_request(limit_body)
    app.extensions[VERSION_CHECK] = check_version
    app.before_request(
        lambda: None if request.endpoint in ANY_VERSION or error_pages.is_setup() else require_version()
    )


def make_readable() -> None:
    """Escape raw bytes of the query, and forget dates with long numbers: Werkzeug fails over both."""
    request.query_string = RAW_BYTE.sub(lambda found: b"%%%02X" % found[0][0], request.query_string)
    request.environ |= {name: "" for name in DATES if LONG_NUMBER.match(request.environ.get(name, ""))}


def observe(settings: Settings, host: HostNote, noted_until: dict[str, float]) -> None:
    """Note that this host serves the book, and how the current request reached it, each fact once an hour."""
    host.renew()
    if request.path.startswith(UNOBSERVED):
        return
    now = time.monotonic()
    if facts := {name: text for name, text in _facts(settings).items() if now >= noted_until.get(name, 0)}:
        noted_until |= dict.fromkeys(facts, now + NOTE_AGAIN_AFTER)
        hits_and_notes.note_observations(settings.data_dir, facts)


def _facts(settings: Settings) -> dict[str, str]:
    headers, before_proxy = request.headers, request.environ.get("werkzeug.proxy_fix.orig", {})
    scheme = before_proxy.get("wsgi.url_scheme", request.environ["wsgi.url_scheme"])
    scheme = headers.get("X-Forwarded-Proto", scheme).rpartition(",")[2].strip().lower()
    names = [name.lower() for key in ("Host", "X-Forwarded-Host") if (name := headers.get(key))]
    addresses = headers.get("X-Forwarded-For")
    facts = {hits_and_notes.NO_PROXY if addresses is None else hits_and_notes.BY_PROXY: ""}
    if addresses is not None:
        facts[f"{hits_and_notes.ADDRESSES}{min(addresses.count(',') + 1, MOST_PROXIES)}"] = ""
    facts[hits_and_notes.HTTPS if scheme == "https" else hits_and_notes.PLAIN_HTTP] = ""
    if urlsplit(settings.base_url).netloc.lower() in names:
        facts[hits_and_notes.SAME_HOST] = ""
    elif names and HOST_HEADER.fullmatch(names[-1]):
        facts[hits_and_notes.OTHER_HOST] = f"{'https' if scheme == 'https' else 'http'}://{names[-1]}"
    return facts


DEFAULT_LIMIT_BYTES = 64 * 1024  # 4,000 emoji take 48 kB, each sent as %F0%9F%98%80
BLUEPRINT_LIMIT_BYTES = {"inbound_webhook": 1024 * 1024, "bins": 10 * 1024 * 1024}
DISCARDED_BYTES = 11 * 1024 * 1024  # bytes
READ_AT_ONCE = 64 * 1024  # bytes


def limit_body() -> None:
    """Set the limit, which is higher where other programs send, whose bodies we cannot shorten.

    Refuse a longer body without Content-Length here: Werkzeug would silently cut it at the limit.
    """
    limit = BLUEPRINT_LIMIT_BYTES.get(request.blueprint or "", DEFAULT_LIMIT_BYTES)
    request.max_content_length = limit
    if request.content_length is not None:
        if request.content_length > limit:
            # Some servers, such as gunicorn, break the connection on an unread body. A proxy in front would
            # then answer 502, and the sender would try again and again.
            for _ in _parts(request.environ["wsgi.input"], min(request.content_length, DISCARDED_BYTES)):
                pass
    elif "wsgi.input_terminated" in request.environ:
        body = b"".join(_parts(request.environ["wsgi.input"], limit + 1))
        if len(body) > limit:
            abort(RequestEntityTooLarge.code)
        request.environ["wsgi.input"] = io.BytesIO(body)


def _parts(stream: io.RawIOBase, size: int) -> Iterator[bytes]:
    """Yield up to `size` bytes; a dechunking stream may give fewer than requested at a time."""
    while size > 0 and (part := stream.read(min(size, READ_AT_ONCE))):
        size -= len(part)
        yield part


# Endpoints that answer on any book; the last one calls `require_version` when it has checked a token.
ANY_VERSION = ("static", "public.picture", "admin.doctor.examine", "metrics.show")
VERSION_CHECK, CHECKED = "guestbook version check", "guestbook version"  # keys of the app's extensions


def require_version() -> None:
    """Raise what the check raises, unless the version was right before: an upgrade needs no restart."""
    extensions = current_app.extensions
    if CHECKED not in extensions:
        extensions[VERSION_CHECK]()
        extensions[CHECKED] = True
