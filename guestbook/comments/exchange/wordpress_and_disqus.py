"""The XML of others: an export of WordPress (WXR), and one of Disqus."""

import re
from collections.abc import Iterator, Mapping, Set
from typing import BinaryIO, NamedTuple
from xml.parsers import expat

from guestbook.comments.exchange.file_formats import LINE_LIMIT, FileRow
from guestbook.lib import parse_html
from guestbook.lib.errors import Refused

PARSED_AT_ONCE = 65536  # bytes
MOST_DEPTH = 1000  # elements inside each other


class Element(NamedTuple):
    """An element that has ended."""

    name: str  # after its namespace and a space, if it has one
    parent: str  # the name of the element around it
    text: str  # since its last child
    id: str  # its number in Disqus
    line: int  # where it began


def read_elements(file: BinaryIO) -> Iterator[Element]:
    """Yield the elements in the order of their ends; raises Refused for what is not XML."""
    reader = _ExportParser()
    piece = b"..."
    while piece:
        piece = file.read(PARSED_AT_ONCE)
        try:
            reader.parser.Parse(piece, not piece)
        except expat.ExpatError as error:
            what = f"Line {error.lineno} is not XML: {expat.ErrorString(error.code)}"
            raise Refused(f"{what}. The rest of the file was not read.") from None
        except (LookupError, ValueError):  # Expat does not know the encoding.
            raise Refused("The file names an encoding that cannot be read. Save it as UTF-8.") from None
        finally:  # What came before a fault is good.
            yield from reader.ended
            reader.ended.clear()


class _ExportParser:
    """Collects the elements that have ended."""

    def __init__(self) -> None:
        self.ended: list[Element] = []
        self._open: list[tuple[str, str, int]] = [("", "", 0)]  # name, number and line; the file itself
        self._text: list[str] = []
        self._size = 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._add

    def _refuse_doctype(self, *_: object) -> None:
        raise Refused("The file has a DOCTYPE, which such an export never has. Nothing more was read.")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if len(self._open) > MOST_DEPTH:
            raise Refused("The file has elements too deep inside each other. The rest was not read.")
        self._text, self._size = [], 0
        number = attributes.get("http://disqus.com/disqus-internals id", "")
        self._open.append((name, number, self.parser.CurrentLineNumber))

    def _add(self, text: str) -> None:
        if self._size <= LINE_LIMIT:  # What is longer is refused.
            self._text.append(text)
            self._size += len(text)

    def _end(self, _name: str) -> None:
        name, number, line = self._open.pop()
        self.ended.append(Element(name, self._open[-1][0], "".join(self._text), number, line))
        self._text = []


WXR_NAMESPACE = re.compile(r"https?://wordpress\.org/export/[0-9.]+/ ")
APPROVALS = {"1": "published", "0": "held", "spam": "spam", "trash": "trash", "post-trashed": "trash"}
COMMENT_TYPES = ("", "comment")  # Others are pingbacks, trackbacks and notes of orders.
NO_TIME = "0000-00-00 00:00:00"
# Never the IP address. The e-mail address only tells who the owner is: this book does not store it.
WANTED = ("id", "author", "author_url", "content", "approved", "type", "date", "date_gmt", "parent")
WANTED_OF_WORDPRESS = {f"comment_{name}" for name in (*WANTED, "user_id", "author_email")}


def read_wordpress(file: BinaryIO) -> Iterator[FileRow]:
    """Yield the comments, page after page; the owner's are those of users who have written posts or pages."""
    link = site = ""
    authors: set[str] = set()  # the numbers of users who have written posts and pages
    fields: dict[str, str] = {}  # of the open comment
    for element in read_elements(file):
        local = WXR_NAMESPACE.sub("", element.name, 1)
        if element.name == "link":
            link = element.text
        elif local == "base_blog_url":
            site = element.text
        elif local == "author_id":
            authors.add(element.text.strip())
        elif local in WANTED_OF_WORDPRESS:
            fields[local] = element.text
        elif local == "comment" and element.name != "comment":
            if fields.get("comment_type", "") in COMMENT_TYPES:
                yield _wordpress_row(f"Line {element.line}", link, site, authors - {"", "0"}, fields)
            fields = {}


def _wordpress_row(where: str, link: str, site: str, authors: Set[str], found: Mapping[str, str]) -> FileRow:
    number, parent, user = (found.get(f"comment_{name}", "").strip() for name in ("id", "parent", "user_id"))
    approved, gmt = found.get("comment_approved", "").strip(), found.get("comment_date_gmt", NO_TIME)
    if approved not in APPROVALS:
        return FileRow(where, page=link, problem=f"its comment_approved is {approved!r}")
    texts = {"name": "author", "website": "author_url", "message": "content"}
    fields = {one: parse_html.of_html(found.get(f"comment_{name}", "")) for one, name in texts.items()}
    fields["status"] = APPROVALS[approved]
    fields["created_at"] = found.get("comment_date", "") if gmt.strip() == NO_TIME else gmt
    key, above = number and f"wordpress {site} {number}", f"wordpress {site} {parent}"
    names = (found.get("comment_author", ""), found.get("comment_author_email", ""))
    return FileRow(where, fields, key, _whole(number), above, link, names, user in authors)


def _whole(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else 0


DISQUS = "http://disqus.com"
DISQUS_NAMES = ("name", "username", "email")  # of an author
DISQUS_STATES = {("isSpam", "true"): "spam", ("isDeleted", "true"): "trash", ("isApproved", "false"): "held"}
WANTED_OF_DISQUS = {"id", "link", "message", "createdAt", "isAnonymous", *DISQUS_NAMES}
WANTED_OF_DISQUS |= {name for name, _ in DISQUS_STATES}


def read_disqus(file: BinaryIO) -> Iterator[FileRow]:
    """Yield the comments; the owner's are those of the accounts for which the threads of pages were made."""
    links: dict[str, str] = {}  # the number of a thread → the address of its page
    owners: set[str] = set()  # their user names
    fields: dict[str, str] = {}  # of the open thread or comment
    for element in read_elements(file):
        local = element.name.removeprefix(f"{DISQUS} ")
        if element.parent == f"{DISQUS} disqus":
            if local == "thread":
                links[element.id] = fields.get("link", "")
                owners |= (
                    {fields.get("username", "")} - {""} if fields.get("isAnonymous") != "true" else set()
                )
            elif local == "post" and (row := _disqus_row(element, links, owners, fields)):
                yield row
            fields = {}
        elif local in ("thread", "parent"):
            fields[local] = element.id
        elif local in WANTED_OF_DISQUS:
            fields[local] = element.text.strip()


def _disqus_row(
    post: Element, links: Mapping[str, str], owners: Set[str], found: Mapping[str, str]
) -> FileRow | None:
    number, message = post.id or found.get("id", ""), parse_html.of_html(found.get("message", ""))
    status = next((DISQUS_STATES[one] for one in DISQUS_STATES if one in found.items()), "published")
    if status == "trash" and not message:
        return None
    names, page = tuple(found.get(name, "") for name in DISQUS_NAMES), links.get(found.get("thread", ""), "")
    fields = {"name": names[0] or names[1], "message": message, "status": status}
    fields["created_at"] = found.get("createdAt", "")
    key, above = number and f"disqus {number}", f"disqus {found.get('parent', '')}"
    return FileRow(f"Line {post.line}", fields, key, _whole(number), above, page, names, names[1] in owners)
