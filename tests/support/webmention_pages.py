"""Pages that mention the book or take webmentions, served on loopback, and webmentions themselves."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

from flask import current_app
from sqlalchemy import update

from guestbook.lib import clock
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


@factories.in_book
def send(source: str, target: str | None = None) -> str:
    """Send a webmention, and return the path of its status page."""
    data = {"source": source, "target": target or home()}
    answer = current_app.test_client().post("/webmention", data=data)
    assert answer.status_code == 202, answer.text
    return "/webmention/" + answer.headers["Location"].rpartition("/")[2]


def read() -> None:
    """Work through all that is due, as a pass does, until all pages are read."""
    inbound_factories.process().close()


def mention(receiver: Receiver, *answers: Answer, path: str = "/post", target: str | None = None) -> str:
    """Send a webmention for a page of the receiver and read the page; return the path of its status page.

    With `answers` the page is served so from now on.
    """
    if answers:
        receiver.answer(path, *answers)
    return mention_url(receiver.url(path), target)


def mention_url(url: str, target: str | None = None) -> str:
    """Do the same for any page."""
    status = send(url, target)
    read()
    return status


def comments() -> list[Comment]:
    """Return all comments, the oldest first."""
    return factories.comments()


def make_due() -> None:
    """Let what waits for its next attempt be due."""
    factories.execute(update(INBOUND).where(INBOUND.c.status == "new").values(due_at=clock.now()))


# --- pages that name their Webmention endpoint: one for each discovery test of webmention.rocks

# The words are our own. {e} stands for the path of the endpoint, {base} for the address of the site, and
# /false is a false endpoint.
TEXT = "<!doctype html><html><head><title>A page</title>{head}</head><body><p>Hello {body}</p></body></html>"


class DiscoveryPage(NamedTuple):
    """A page, and where its endpoint is."""

    what: str
    link: str = ""  # header
    head: str = ""
    body: str = ""
    link_name: str = "Link"
    path: str = "/page"
    endpoint: str = "/endpoint"  # path and query
    redirects: Sequence[str] = ()  # the paths through which one comes to the page

    def serve(self, site: Receiver) -> str:
        """Serve the page and its endpoint; return the address to mention."""

        def filled(text: str) -> str:
            return text.replace("{e}", self.endpoint).replace("{base}", site.url(""))

        headers = {**HTML, **({self.link_name: filled(self.link)} if self.link else {})}
        text = TEXT.format(head=filled(self.head), body=filled(self.body))
        site.answer(self.path, Answer(headers=headers, body=text.encode()))
        if self.endpoint != self.path:  # else the page takes the webmention too
            site.answer(self.endpoint, Answer(202))
        way = [*self.redirects, self.path]
        for path, location in pairwise(way):
            site.answer(path, Answer(302, headers={"Location": location}))
        return site.url(way[0])


BARE, QUOTED, EMPTY = "<{e}>; rel=webmention", '<{e}>; rel="webmention"', '<link rel="webmention" href="">'
LINK, NO_LINK = '<link rel="webmention" href="{e}">', '<link rel="webmention" href="/false">'
ANCHOR, NO_ANCHOR = '<a rel="webmention" href="{e}">yes</a>', '<a rel="webmention" href="/false">no</a>'
DISCOVERY_PAGES = [
    DiscoveryPage("1: a header with a bare rel and a relative address", BARE),
    DiscoveryPage("2: a header with a bare rel and an absolute address", "<{base}{e}>; rel=webmention"),
    DiscoveryPage("3: <link> with a relative address", head=LINK),
    DiscoveryPage("4: <link> with an absolute address", head='<link rel="webmention" href="{base}{e}">'),
    DiscoveryPage("5: <a> with a relative address", body=ANCHOR),
    DiscoveryPage("6: <a> with an absolute address", body='<a rel="webmention" href="{base}{e}">here</a>'),
    DiscoveryPage("7: a header in a strange case", BARE, link_name="LinK"),
    DiscoveryPage("8: a header with a quoted rel", QUOTED),
    DiscoveryPage("9: several values in the rel of <link>", head='<link rel="me webmention x" href="{e}">'),
    DiscoveryPage("10: several values in the rel of a header", '<{e}>; rel="webmention somethingelse"'),
    DiscoveryPage("11: a header comes before <link> and <a>", BARE, NO_LINK, NO_ANCHOR),
    DiscoveryPage("12: rel must be webmention", "", '<link rel="not-webmention" href="/false">' + LINK),
    DiscoveryPage("13: a false one in a comment", body=f"<!-- {NO_ANCHOR} -->{ANCHOR}"),
    DiscoveryPage("14: a false one in escaped HTML", body=f"<i>{escape(NO_ANCHOR)}</i>{ANCHOR}"),
    DiscoveryPage("15: an empty address is the page itself", head=EMPTY, endpoint="/page"),
    DiscoveryPage("16: <a> comes before a later <link>", body=ANCHOR + NO_LINK),
    DiscoveryPage("17: <link> comes before a later <a>", body=LINK + NO_ANCHOR),
    DiscoveryPage("18: several headers", f"</false>; rel=other\r\nLink: {BARE}"),
    DiscoveryPage("19: one header of several values", f"</false>; rel=other, {BARE}"),
    DiscoveryPage("20: <link> without an address", "", '<link rel="webmention">', ANCHOR),
    DiscoveryPage("21: the query stays", head=LINK, endpoint="/endpoint?query=yes&x=1"),
    DiscoveryPage("22: relative to the path of the page", head='<link rel="webmention" href="page/endpoint">',
        path="/deep/page", endpoint="/deep/page/endpoint"),
    DiscoveryPage("23: relative to the page after redirects", head='<link rel="webmention" href="endpoint">',
        path="/new/page", endpoint="/new/endpoint", redirects=("/old/page", "/old/page/")),
]  # fmt: skip
