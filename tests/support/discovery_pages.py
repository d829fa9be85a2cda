"""Pages that name their Webmention endpoint in every way: one for each discovery test of webmention.rocks.

The words are our own. `{e}` stands for the path of the endpoint, `{base}` for the address of the site. A
false endpoint has the path `/false`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.receiver import Answer, Receiver

HTML_TYPE = {"Content-Type": "text/html; charset=utf-8"}
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

        headers = {**HTML_TYPE, **({self.link_name: filled(self.link)} if self.link else {})}
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
