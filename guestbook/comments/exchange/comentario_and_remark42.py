"""The JSON of others: an export of Comentario or Commento, and a backup of Remark42 in lines."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from guestbook.comments.exchange import file_formats
from guestbook.comments.exchange.file_formats import FileRow
from guestbook.lib import clock, parse_html
from guestbook.lib.errors import Refused

DOCUMENT_LIMIT = 64_000_000  # bytes: the whole document is in memory, several times as large
NO_TIME = "0001-"  # Go writes this year for no time.


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _text(document: Mapping[str, Any], *names: str) -> str:
    """Return the first text that is not empty."""
    return next((one for name in names if isinstance(one := document.get(name), str) and one), "")


def _time(document: Mapping[str, Any], *names: str) -> str:
    """Return a time as texts can be sorted; one that is none stays as it is, and is refused by name."""
    text = _text(document, *names)
    try:
        return "" if text.startswith(NO_TIME) else clock.to_text(clock.from_text(text))
    except ValueError:
        return text


# The state in the exports of Commento and of Comentario before version 3.
STATES = {"approved": "published", "unapproved": "held", "flagged": "spam"}
DELETED = ("", "[deleted]")  # The latter is what Commento writes over the words.
NO_LINK = "undefined"  # Commento writes it for no website.


def read_comentario(file: BinaryIO) -> Iterator[FileRow]:
    """Yield the comments of an export of Comentario or Commento; raises Refused for any other document."""
    document = _read_document(file)
    comments = document.get("comments")
    if not isinstance(comments, list):
        raise Refused("The file is not an export of Comentario or Commento: it has no list `comments`.")
    people, pages = (_by_id(document, name) for name in ("commenters", "pages"))
    for number, comment in enumerate(comments, 1):
        where = f"Comment {number}"
        if not isinstance(comment, dict):
            yield FileRow(where, problem="it is not a JSON object")
        elif row := _comentario_row(where, comment, people, pages):
            yield row


def _read_document(file: BinaryIO) -> dict[str, Any]:
    data = file.read(DOCUMENT_LIMIT + 1)
    if len(data) > DOCUMENT_LIMIT:
        raise Refused(f"The file has more than {DOCUMENT_LIMIT:,} bytes, which is too long for one document.")
    try:
        document = json.loads(data, parse_int=lambda digits: int(digits[:20]))
    except (ValueError, RecursionError) as error:
        raise Refused(f"The file is not JSON: {error}.") from None
    return document if isinstance(document, dict) else {}


def _by_id(document: Mapping[str, Any], name: str) -> dict[str, Mapping[str, Any]]:
    """Return the objects of a list by their ids."""
    found = document.get(name)
    objects = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return {_text(one, "commenterHex", "id"): one for one in objects}


def _comentario_row(
    where: str, comment: Mapping[str, Any], people: Mapping[str, Any], pages: Mapping[str, Any]
) -> FileRow | None:
    author = people.get(_text(comment, "commenterHex", "userCreated"), {})
    page = _text(pages.get(_text(comment, "pageId"), comment), "path", "url")
    message, state = _text(comment, "markdown"), _text(comment, "state")
    is_deleted = comment.get("deleted") or comment.get("isDeleted") or message == DELETED[1]
    if is_deleted and message in DELETED:
        return None
    # Version 3 has flags for the state. A comment without any was rejected by a moderator.
    flagged = "held" if comment.get("isPending") else "published" if comment.get("isApproved") else "trash"
    status = "trash" if is_deleted else STATES.get(state) if "state" in comment else flagged
    if status is None:
        return FileRow(where, page=page, problem=f"its state is {state!r}")
    name, website = _text(author, "name") or _text(comment, "authorName"), _text(author, "websiteUrl", "link")
    at, edited = _time(comment, "creationDate", "createdTime"), _time(comment, "editedTime")
    fields = {"name": name, "message": message, "status": status, "created_at": at, "edited_at": edited}
    fields["website"] = "" if website == NO_LINK else website
    number, above = _text(comment, "commentHex", "id"), _text(comment, "parentHex", "parentId")
    key, above = number and f"comentario {number}", f"comentario {above}"
    names, is_owners = (_text(author, "name"), _text(author, "email")), author.get("isModerator") is True
    return FileRow(where, fields, key, 0, above, page, names, is_owners)


META = re.compile(r'\s*\{\s*"version"')  # the first line, with users and pages


def read_remark42(file: BinaryIO) -> Iterator[FileRow]:
    """Yield the comments of a backup; a deleted one has no words and is left out."""
    for number, line in enumerate(file_formats.lines(file), 1):
        if line.strip() and not META.match(line):
            where = f"Line {number}"
            try:
                comment = file_formats.json_object(line)
            except TypeError as error:
                yield FileRow(where, problem=str(error))
            else:
                if not comment.get("delete"):
                    yield _remark42_row(where, comment)


def _remark42_row(where: str, comment: Mapping[str, Any]) -> FileRow:
    user, page = _part(comment, "user"), _text(_part(comment, "locator"), "url")
    name = parse_html.unescaped(_text(user, "name"))
    # What was typed, in Markdown; older comments have only its HTML.
    message = _text(comment, "orig") or parse_html.of_html(_text(comment, "text"))
    fields = {"name": name, "message": message, "status": "published"}
    fields |= {"created_at": _time(comment, "time"), "edited_at": _time(_part(comment, "edit"), "time")}
    number, above = _text(comment, "id"), f"remark42 {_text(comment, 'pid')}"
    key, is_owners = number and f"remark42 {number}", user.get("admin") is True
    return FileRow(where, fields, key, 0, above, page, (name,), is_owners)
