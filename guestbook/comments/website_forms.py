"""Plain forms on the owner's own pages: each page has a public key, which the owner can take back.

A key is no secret. It names the page to which the visitor is led back, and whose website alone may use it.
"""

import re
import secrets
from urllib.parse import urljoin

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.lib import validate
from guestbook.lib.errors import Refused, Translatable, refusing
from guestbook.storage import audit_log
from guestbook.storage.comment_fields import COMMENT_FIELDS
from guestbook.storage.models import BookState

PREFIX = "form:"  # The name of the row of a key begins so.
KEY_BYTES = 9
KEY = re.compile(r"[A-Za-z0-9_-]{12}")
FORMS_LIMIT = 100
PAGE_LIMIT = 500  # characters
TOO_MANY = f"There are {FORMS_LIMIT} forms already. Please remove one first."
TWICE = "This page has a form already."
# The ends of the address to which the form leads back, each with what the page says there.
ENDS = {
    "thanks": Translatable("Thank you! Your comment is in the book."),
    "waiting": Translatable("Thank you. The owner will look at it first."),
    "error-name": COMMENT_FIELDS["name"].missing,
    "error-message": COMMENT_FIELDS["message"].missing,
}


def pages(session: Session) -> dict[str, str]:
    """Return the address of each page by its key, in the order of the addresses."""
    rows = session.execute(select(BookState.name, BookState.value).where(BookState.name.startswith(PREFIX)))
    return {name.removeprefix(PREFIX): page for name, page in sorted(rows, key=lambda row: row.value)}


def page_of(session: Session, key: str) -> str | None:
    """Return the address of the page that has this key; None if it was taken back or was never made."""
    row = _row(session, key)
    return row.value if row else None


def add(session: Session, typed: str) -> str:
    """Make a key for the page at that address, in the caller's transaction; raises Refused."""
    page, known = _address(typed), pages(session)
    if page in known.values() or len(known) >= FORMS_LIMIT:
        raise Refused.of({"page": TWICE if page in known.values() else TOO_MANY})
    key = secrets.token_urlsafe(KEY_BYTES)
    session.add(BookState(name=PREFIX + key, value=page))
    audit_log.record(session, "added", "website form", name=page)
    return key


def remove(session: Session, key: str) -> bool:
    """Take a key back, in the caller's transaction, and return whether there was one."""
    if row := _row(session, key):
        session.delete(row)
        audit_log.record(session, "deleted", "website form", name=row.value)
    return row is not None


def is_from(page: str, origin: str | None, referer: str | None) -> bool | None:
    """Whether a request comes from the page's website, by its headers; None if they do not say it.

    Browsers send the origin `null` from pages that tell nobody where they are (Fetch Standard, 3.2).
    """
    said = origin if origin and origin != "null" else referer
    try:
        return validate.web_origin(said) == validate.web_origin(page) if said else None
    except ValueError:
        return False


def page_on(home: str, typed: str) -> str | None:
    """Return the page that a form is about, by its address or path; None without one.

    Raises ValueError for a page of another website than that of the form's own page.
    """
    page = validate.web_page(urljoin(home, typed)) if typed else None
    if page and validate.web_origin(page) != validate.web_origin(home):
        raise ValueError("This page is of another website.")
    return page


def _row(session: Session, key: str) -> BookState | None:
    return session.get(BookState, PREFIX + key) if KEY.fullmatch(key) else None


def _address(typed: str) -> str:
    page = validate.with_scheme(typed.strip().partition("#")[0])
    with refusing("page", ValueError):
        validate.web_origin(page)
    if len(page) > PAGE_LIMIT or not page.isprintable() or " " in page:
        raise Refused(f"Please use at most {PAGE_LIMIT} characters, and write a blank as %20.", field="page")
    return page
