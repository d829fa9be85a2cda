"""Pages that mention the book, served on loopback, and the webmentions that tell of them."""

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from guestbook.inbound.processor import Processor
from guestbook.lib import clock
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import INBOUND, Comment
from tests.support import factories
from tests.support.receiver import Answer, Receiver

HTML = {"Content-Type": "text/html; charset=utf-8"}
ENTRY = """<!doctype html><title>A visit</title>
<article class="h-entry"><a class="p-author h-card" href="https://ada.example/">Ada</a>
<a class="u-in-reply-to" href="{target}">the book</a> <div class="e-content"><p>{words}</p></div></article>"""


def home() -> str:
    """Return the address of the book's first page."""
    return f"{factories.settings().base_url}/"


def page(words: str = "What a lovely book!", target: str | None = None) -> Answer:
    """Return a page with an entry that answers the book."""
    return html(ENTRY.format(target=target or home(), words=words))


def html(text: str, **headers: str) -> Answer:
    """Return a page of HTML."""
    return Answer(headers={**HTML, **headers}, body=text.encode())


def send(client: FlaskClient, source: str, target: str | None = None) -> str:
    """Send a webmention, and return the path of its status page."""
    answer = client.post("/webmention", data={"source": source, "target": target or home()})
    assert answer.status_code == 202, answer.text
    return "/webmention/" + answer.headers["Location"].rpartition("/")[2]


def read(app: Flask) -> Processor:
    """Work through all that is due, as a pass does, until all pages are read."""
    db.session.rollback()
    inbox = Processor(db.engine, app.config["GUESTBOOK"])
    while inbox.work():
        pass
    inbox.close()
    return inbox


def mention(app: Flask, receiver: Receiver, path: str = "/post", target: str | None = None) -> str:
    """Send a webmention for a page of the receiver and read the page; return the path of its status page."""
    status = send(app.test_client(), receiver.url(path), target)
    read(app)
    return status


def comments() -> list[Comment]:
    """Return all comments, the oldest first."""
    db.session.rollback()
    found = list(db.session.scalars(select(Comment).order_by(Comment.id)))
    db.session.expunge_all()
    db.session.rollback()
    return found


def make_due() -> None:
    """Let what waits for its next attempt be due."""
    with database.write(db.engine) as connection:
        connection.execute(update(INBOUND).where(INBOUND.c.status == "new").values(due_at=clock.now()))
