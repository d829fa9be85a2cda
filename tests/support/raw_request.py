"""Requests as bytes, sent to a book as its web server would, and a strict look at each answer."""

import gzip
import io
import json
import re
import shutil
import socket
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

import html5lib
from werkzeug.test import run_wsgi_app

import guestbook
from guestbook.auth import api_tokens
from guestbook.storage.database import db
from guestbook.transport import addresses
from guestbook.web import visitor_tokens
from tests.support import databases, factories
from tests.support.visitor import set_

HOME = "https://book.example"
FRESH_AFTER = 200  # requests, after which the book is as it was


def headers_and_body(data: bytes) -> tuple[dict[str, str], bytes]:
    """Return the headers above the first blank line, with names in lower case, and the body below it."""
    head, _, body = data.partition(b"\n\n")
    lines = (line.replace("\r", "").partition(": ") for line in head.decode("latin-1").split("\n"))
    return {name.lower(): value for name, _, value in lines}, body


class RawRequests:
    """A book in a folder, and requests to it. `{token}` and the like stand in them for what only it knows."""

    def __init__(self, folder: Path, url: str = "") -> None:
        """Open an empty book: of SQLite in the folder, or at the URL of a server."""
        self.file, self.count, self._is_file = folder / "guestbook.db", 0, not url
        url = url or f"sqlite:///{self.file}"
        environ = {"GUESTBOOK_DATABASE_URL": url, "GUESTBOOK_DATA_DIR": str(folder)}
        environ |= {"GUESTBOOK_BASE_URL": HOME, "GUESTBOOK_TRUSTED_PROXIES": "1"}
        self.app = guestbook.create_app(environ | {"GUESTBOOK_SECRET_KEY": "a secret key for tests alone"})
        self.app.testing = True
        with self.app.app_context():
            databases.make_tables(db.engine, url)
        factories.books.append(self.app)
        set_(
            asks_place="yes", asks_note="yes", moods="happy", visitor_looks="yes", rate="10000", flood="10000"
        )
        keys = self.app.config["GUESTBOOK"].signing_keys
        source = factories.source(token="source")
        self.known = {
            "token": visitor_tokens.signed(keys, 60),
            "comment": factories.sign("Hello"),
            "webhook": factories.webhook("https://hook.example/"),
            "source": source,
            "owner": factories.written(lambda session: api_tokens.add(session, "fuzz")[1]),
        }
        self._close()
        if self._is_file:
            shutil.copy(self.file, folder / "fresh.db")

    def send(self, data: bytes) -> None:
        """Send a request; nothing may raise, and the answer must be what its type says."""
        for name, value in self.known.items():
            data = data.replace(b"{%s}" % name.encode(), value.encode())
        first, _, rest = data.partition(b"\n")
        headers, body = headers_and_body(rest)
        self.count += 1
        if self._is_file and self.count % FRESH_AFTER == 0:
            self._close()
            shutil.copy(self.file.with_name("fresh.db"), self.file)
        status, answer, text = self._answer(first.decode("latin-1"), headers, body)
        assert status < 500, status
        assert all(value.isprintable() for value in answer.values())
        assert re.match(f"(?=/|{HOME}/)(?!//)", answer.get("Location", "/")), answer["Location"]
        # A part of a file, or nothing, is of no kind.
        kind = answer.get("Content-Type", "").partition(";")[0] if text and status not in (206, 304) else ""
        if kind == "text/html":
            tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
            assert not [one for one in tree.iter() if "x-fuzz" in (one.tag, *one.attrib)]
        elif kind.endswith("json"):
            json.loads(text)
        elif kind.endswith("xml"):
            ElementTree.fromstring(text)

    def _answer(self, first: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, str]:
        method, _, target = first.strip().partition(" ")
        path, _, query = target.partition("?")
        environ: dict[str, Any] = {
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
            **{"REQUEST_METHOD": method or "GET", "SCRIPT_NAME": "", "QUERY_STRING": query},
            **{
                "PATH_INFO": unquote_to_bytes("/" + path.lstrip("/")).decode("latin-1"),
                "REMOTE_ADDR": f"192.0.{self.count % 250}.9",
            },
            **{"CONTENT_TYPE": headers.get("content-type", ""), "CONTENT_LENGTH": str(len(body))},
            **{"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "5000", "SERVER_PROTOCOL": "HTTP/1.1"},
            **{"wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr},
            **{
                "wsgi.version": (1, 0),
                "wsgi.multithread": False,
                "wsgi.multiprocess": False,
                "wsgi.run_once": False,
            },
        }
        with patch.object(addresses.shared, "find", side_effect=socket.gaierror):
            content, status, answer = run_wsgi_app(self.app, environ, buffered=True)
        data = b"".join(content)
        data = gzip.decompress(data) if answer.get("Content-Encoding") == "gzip" and data else data
        return int(status[:3]), answer, data.decode(errors="replace")

    def close(self) -> None:
        """Close the book."""
        self._close()
        factories.books.remove(self.app)

    def _close(self) -> None:
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()
