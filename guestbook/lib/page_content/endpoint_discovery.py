"""Find the Webmention endpoint of a page, as W3C's Webmention says in section 3.1.2. Pure."""

from guestbook.lib.page_content import WebPage, html_links, link_header

REL = "webmention"
ENDPOINT_TAGS = ("link", "a")


def endpoint(page: WebPage) -> str | None:
    """Return the absolute address: of the first Link header, or of the first <link> or <a>; else None."""
    for address, rel in link_header.links(page.link_header):
        if REL in rel:
            return html_links.absolute(page.url, address) or None
    if not page.is_html:
        return None
    for link in html_links.read(page.text, page.url).links:
        if REL in link.rel and link.tag in ENDPOINT_TAGS:
            return link.url
    return None
