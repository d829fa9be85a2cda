"""Pages that mention the book or take webmentions, served on loopback, and webmentions themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from guestbook.inbound.processor import Processor
from guestbook.lib import clock
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import INBOUND, Comment
from tests.support import factories, inbound_factories
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
    inbox = inbound_factories.process(app)
    inbox.close()
    return inbox


def mention(app: Flask, receiver: Receiver, path: str = "/post", target: str | None = None) -> str:
    """Send a webmention for a page of the receiver and read the page; return the path of its status page."""
    return mention_url(app, receiver.url(path), target)


def mention_url(app: Flask, url: str, target: str | None = None) -> str:
    """Do the same for any page."""
    status = send(app.test_client(), url, target)
    read(app)
    return status


def comments() -> list[Comment]:
    """Return all comments, the oldest first."""
    return factories.comments()


def make_due() -> None:
    """Let what waits for its next attempt be due."""
    with database.write(db.engine) as connection:
        connection.execute(update(INBOUND).where(INBOUND.c.status == "new").values(due_at=clock.now()))


# --- pages that name their Webmention endpoint: one for each discovery test of webmention.rocks

# The words are our own. {e} stands for the path of the endpoint, {base} for the address of the site, and
# /false is a false endpoint.
TEXT = "<!doctype html><html><head><title>A page</title>{head}</head><body><p>Hello {body}</p></body></html>"


@dataclass(frozen=True)
class DiscoveryPage:
    """A page, and where its endpoint is."""

    what: str
    head: str = ""
    body: str = ""
    link: str = ""  # header
    link_name: str = "Link"
    path: str = "/page"
    endpoint: str = "/endpoint"  # path and query
    redirects: Mapping[str, str] = field(default_factory=dict)  # from one path to another address
    start: str = ""  # the path that is mentioned, if it is not that of the page

    def serve(self, site: Receiver) -> str:
        """Serve the page and its endpoint; return the address to mention."""

        def filled(text: str) -> str:
            return text.replace("{e}", self.endpoint).replace("{base}", site.url(""))

        headers = {**HTML, **({self.link_name: filled(self.link)} if self.link else {})}
        text = TEXT.format(head=filled(self.head), body=filled(self.body))
        site.answer(self.path, Answer(headers=headers, body=text.encode()))
        if self.endpoint != self.path:  # else the page takes the webmention too
            site.answer(self.endpoint, Answer(202))
        for path, location in self.redirects.items():
            site.answer(path, Answer(302, headers={"Location": location}))
        return site.url(self.start or self.path)


DISCOVERY_PAGES = [
    DiscoveryPage("1: a header with a bare rel and a relative address", link="<{e}>; rel=webmention"),
    DiscoveryPage("2: a header with a bare rel and an absolute address", link="<{base}{e}>; rel=webmention"),
    DiscoveryPage("3: <link> with a relative address", head='<link rel="webmention" href="{e}">'),
    DiscoveryPage("4: <link> with an absolute address", head='<link rel="webmention" href="{base}{e}">'),
    DiscoveryPage("5: <a> with a relative address", body='<a rel="webmention" href="{e}">here</a>'),
    DiscoveryPage("6: <a> with an absolute address", body='<a rel="webmention" href="{base}{e}">here</a>'),
    DiscoveryPage("7: a header in a strange case", link="<{e}>; rel=webmention", link_name="LinK"),
    DiscoveryPage("8: a header with a quoted rel", link='<{e}>; rel="webmention"'),
    DiscoveryPage("9: several values in the rel of <link>", head='<link rel="me webmention x" href="{e}">'),
    DiscoveryPage("10: several values in the rel of a header", link='<{e}>; rel="webmention somethingelse"'),
    DiscoveryPage(
        "11: a header comes before <link> and <a>",
        link="<{e}>; rel=webmention",
        head='<link rel="webmention" href="/false">',
        body='<a rel="webmention" href="/false">no</a>',
    ),
    DiscoveryPage(
        "12: rel must be webmention exactly",
        head='<link rel="not-webmention" href="/false"><link rel="webmention" href="{e}">',
    ),
    DiscoveryPage(
        "13: a false one in a comment",
        body='<!-- <a href="/false" rel="webmention">no</a> --><a href="{e}" rel="webmention">yes</a>',
    ),
    DiscoveryPage(
        "14: a false one in escaped HTML",
        body='<i>&lt;a href="/false" rel="webmention"&gt;&lt;/a&gt;</i><a href="{e}" rel="webmention">x</a>',
    ),
    DiscoveryPage(
        "15: an empty address is the page itself", head='<link rel="webmention" href="">', endpoint="/page"
    ),
    DiscoveryPage(
        "16: <a> comes before a later <link>",
        body='<a href="{e}" rel="webmention">yes</a><link href="/false" rel="webmention">',
    ),
    DiscoveryPage(
        "17: <link> comes before a later <a>",
        body='<link href="{e}" rel="webmention"><a href="/false" rel="webmention">no</a>',
    ),
    DiscoveryPage("18: several headers", link="</false>; rel=other\r\nLink: <{e}>; rel=webmention"),
    DiscoveryPage("19: one header of several values", link="</false>; rel=other, <{e}>; rel=webmention"),
    DiscoveryPage(
        "20: <link> without an address",
        head='<link rel="webmention">',
        body='<a rel="webmention" href="{e}">x</a>',
    ),
    DiscoveryPage(
        "21: the query stays",
        head='<link rel="webmention" href="{e}">',
        endpoint="/endpoint?query=yes&amp;x=1".replace("&amp;", "&"),
    ),
    DiscoveryPage(
        "22: relative to the path of the page",
        head='<link rel="webmention" href="page/endpoint">',
        path="/deep/page",
        endpoint="/deep/page/endpoint",
    ),
    DiscoveryPage(
        "23: relative to the page after redirects",
        head='<link rel="webmention" href="endpoint">',
        path="/new/page",
        endpoint="/new/endpoint",
        start="/old/page",
        redirects={"/old/page": "/old/page/", "/old/page/": "/new/page"},
    ),
]
