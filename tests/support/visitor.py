"""Somebody who reads the book and fills in its form, and a strict eye for what comes back."""

from collections.abc import Iterable
from xml.etree.ElementTree import Element

import html5lib
from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from guestbook.storage import preferences
from guestbook.storage.models import Comment
from tests.support import factories

GREETING = {"name": "Ada", "website": "", "message": "Hello"}
TIMES_SCRIPT = ["/static/times.js"]  # the only script of a page with dates


class Visitor:
    """A browser without scripts: it opens pages, and sends the form with all its hidden fields."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.client = app.test_client()

    def get(self, url: str, **how: object) -> TestResponse:
        return self.open("GET", url, **how)

    def open(self, method: str, url: str, **how: object) -> TestResponse:
        """Send a request and read all of the answer, so that no file stays open behind it."""
        return self.client.open(url, method=method, buffered=True, **how)  # type: ignore[arg-type]  # passed on

    def page(self, url: str = "/") -> Element:
        """Open a page that must be there."""
        response = self.get(url)
        assert response.status_code == 200, response.status
        return parse(response)

    def form(self, url: str = "/") -> dict[str, str]:
        return fields(self.page(url))

    def send(self, form: dict[str, str], environ: dict[str, str] | None = None) -> TestResponse:
        return self.client.post("/comments", data=form, environ_overrides=environ)

    def sign(self, **typed: str) -> TestResponse:
        """Open the book, fill in the form and send it."""
        return self.send(self.form() | GREETING | typed)


def set_(**changes: str) -> None:
    """Change the owner's preferences."""
    factories.written(lambda session: preferences.save(session, changes))


def let_write(rate: int = 10_000) -> None:
    """Let one network write so many comments in ten minutes."""
    set_(rate=str(rate), flood="10000")


def parse(response: TestResponse) -> Element:
    """Read a page; html5lib raises on every error that the HTML standard names."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    return parser.parse(response.text)


def fields(page: Element) -> dict[str, str]:
    """What a browser would send of the form on that page."""
    inputs = page.findall(".//form//input[@name]")
    sent = {field.attrib["name"]: field.attrib.get("value", "") for field in inputs}
    sent |= {area.attrib["name"]: area.text or "" for area in page.findall(".//form//textarea")}
    for one in page.findall(".//form//select"):
        options = one.findall("option")
        chosen = next((option for option in options if "selected" in option.attrib), options[0])
        sent[one.attrib["name"]] = chosen.attrib.get("value", text(chosen))
    return sent


def text(element: Element | None) -> str:
    return "".join(element.itertext())


def plain(element: Element | None) -> str:
    """The text in one line."""
    return " ".join(text(element).split())


def hrefs(element: Element) -> list[str]:
    """Where its links lead."""
    return [link.attrib["href"] for link in element.iter("a")]


def attributes(page: Element, path: str) -> dict[str, str]:
    """Return the attributes of an element that must be there."""
    found = page.find(path)
    assert found is not None, path
    return found.attrib


def by_class(page: Element, name: str) -> list[Element]:
    return [element for element in page.iter() if name in element.attrib.get("class", "").split()]


def scripts(page: Element) -> list[str]:
    """The addresses of its scripts without their versions; one inside the page has none, and is ""."""
    return [script.attrib.get("src", "").partition("?")[0] for script in page.iter("script")]


def messages(page: Element) -> list[str]:
    return [text(element) for element in by_class(page, "message")]


stored = factories.comments  # all, whatever their status


def add(messages: Iterable[str], **columns: object) -> list[str]:
    """Write comments into the table and give back their ids, oldest first."""

    def store(session: Session) -> list[str]:
        usual = {"name": "Ada", "status": "published"} | columns
        rows = [Comment(message=words, **usual) for words in messages]
        for row in rows:
            session.add(row)
            session.flush()
        return [row.id for row in rows]

    return factories.written(store)
