"""What a view has to do with a page that front_page keeps: it makes it of given rows, and hands it over."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import g, request

from guestbook.storage import preferences

if TYPE_CHECKING:  # a reader's page by CGI imports no SQLAlchemy
    from guestbook.queries.front_page_rows import FrontPageRows

MADE = "guestbook front page"  # in the environment of a request for a page that may be kept
FAILED = "guestbook front page error"  # the same for one whose rows could not be read: the error


@dataclass
class MadePage:
    """A page that is to be made of these rows, and its parts around the form's token when that is done."""

    rows: "FrontPageRows"
    parts: tuple[bytes, bytes] | None = None


def rows() -> "FrontPageRows | None":
    """Return the rows to make this page of, where it may be kept; the preferences are among them.

    Raises the error with which the database has not given them.
    """
    if error := request.environ.get(FAILED):
        g.preferences_are_away = True
        raise error
    made: MadePage | None = request.environ.get(MADE)
    if made is None:
        return None
    g.preferences = preferences.from_rows(made.rows.settings)
    return made.rows


def hand_over(html: str, token: str) -> None:
    """Let the page be kept, if it may be. One without a form is made each time."""
    made: MadePage | None = request.environ.get(MADE)
    before, *after = html.encode().split(token.encode())
    if made and len(after) == 1:
        made.parts = before, after[0]
