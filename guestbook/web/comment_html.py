"""What templates use to show a comment, and the names that every page needs."""

import calendar
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask, current_app, g, url_for
from jinja2.filters import do_xmlattr
from jinja2.nodes import EvalContext
from jinja2.utils import pass_eval_context, urlize
from markupsafe import Markup, escape
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from guestbook.comments import comment_form
from guestbook.lib import clock, text
from guestbook.storage import database, preferences
from guestbook.storage.database import db
from guestbook.storage.models import Comment
from guestbook.storage.preferences import Preferences
from guestbook.web import row_lookup

REL = "nofollow noopener ugc"
MONTHS = tuple(calendar.month_name)  # read once: each look at a name formats a date
SPACES = re.compile(r"(\s+)")
MAY_BE_LINK = re.compile(r"://|@|\.\w")  # what each address has that `urlize` knows
STATIC = Path(__file__).parent.parent / "static"


def init_app(app: Flask) -> None:
    """Give the templates their filters and names."""
    app.jinja_env.filters.update(prose=prose, visible=visible, weblink=weblink, permalink=permalink)
    app.jinja_env.filters.update(attributes=attributes, article=article)
    app.jinja_env.filters.update(day=day, date=date, moment=clock.to_text, ago=clock.ago)
    app.jinja_env.globals.update(asset=asset, rel=REL, limits=comment_form)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(names)


def names() -> dict[str, Any]:
    """Return what every page says: the owner's settings, and the address that canonical links start with."""
    return {"book": _settings_to_show(), "base_url": row_lookup.settings().base_url}


def settings_of_book() -> Preferences:
    """Return what the owner has set, read once a request."""
    if "preferences" not in g:
        try:
            g.preferences = _read()
        except SQLAlchemyError:
            g.preferences_are_away = True
            raise
    read: Preferences = g.preferences
    return read


def _settings_to_show() -> Preferences:
    """Return the same for a page; without the database, as it is at the start, for error pages."""
    try:
        return Preferences() if "preferences_are_away" in g else settings_of_book()
    except SQLAlchemyError:
        database.end(db.session())
        return Preferences()


def _read() -> Preferences:
    try:
        return preferences.read(db.session())
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        database.end(db.session())  # the server was restarted, and takes a new connection
        return preferences.read(db.session())


class Part(NamedTuple):
    """What is shown of a reply or of an origin, under the names that the templates know."""

    message: str = ""
    created_at: datetime | None = None
    name: str = ""
    url: str | None = None


class Shown(NamedTuple):
    """All that is shown of a comment."""

    id: str
    name: str
    website: str | None
    message: str
    created_at: datetime
    reply: Part | None
    origin: Part | None


def article(comment: Comment) -> Markup:
    """Return a comment as the book shows it."""
    reply, origin = comment.reply, comment.origin
    shown = Shown(
        comment.id,
        comment.name,
        comment.website,
        comment.message,
        comment.created_at,
        Part(reply.message, reply.created_at) if reply else None,
        Part(name=origin.name, url=origin.url) if origin else None,
    )
    return _article(shown, permalink(""))


@lru_cache(maxsize=256)  # the first pages show the same, and most of a page's time goes there
def _article(shown: Shown, _permalinks: str) -> Markup:
    macros: Any = current_app.jinja_env.get_template("_comment.html").module
    return Markup(macros.show(shown))


def prose(text: str) -> Markup:
    """Escape the text and make links of the addresses in it; line breaks are the stylesheet's work.

    `urlize` takes each word by itself, and a hundred times as long as escaping does: so it gets only those
    words that may be an address.
    """
    escaped = escape(text)
    if not MAY_BE_LINK.search(escaped):
        return escaped
    words = SPACES.split(escaped)
    return Markup("".join(_linked(word) if MAY_BE_LINK.search(word) else word for word in words))


def _linked(word: str) -> str:
    return urlize(Markup(word), rel=REL)


def permalink(comment_id: str) -> str:
    """Return the path of a comment; its rule is asked once a request, for a page links many."""
    if "permalinks" not in g:
        g.permalinks = url_for("public.comment", comment_id="-").removesuffix("-")
    return f"{g.permalinks}{comment_id}"


def weblink(url: str | None) -> str | None:
    """Return the website if it may be linked: escaping alone lets `javascript:` by."""
    return url if url and comment_form.website_error(url) is None else None


def visible(words: str) -> str:
    r"""Return foreign text with what hides, reorders or breaks written out, such as `\u{202e}`."""
    return text.UNWANTED.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", words.replace("\r\n", "\n"))


@pass_eval_context
def attributes(context: EvalContext, values: Mapping[str, object]) -> str:
    """Return attributes for a tag; those that are there or not, such as `required`, are True or None."""
    return do_xmlattr(context, {name: "" if value is True else value for name, value in values.items()})


def day(when: datetime) -> str:
    """Return `3 March 2026`; readers live in many time zones, so the hour stays in the tooltip."""
    return f"{when.day} {MONTHS[when.month]} {when.year}"


def date(when: datetime, look: str = "") -> Markup:
    """Return the day as an element that gives the exact time to programs, and in its tooltip."""
    exact, style = clock.to_text(when), f' class="{look}"' if look else ""
    return Markup(f'<time{style} datetime="{exact}" title="{exact}">{day(when)}</time>')


def asset(name: str) -> str:
    """Return the address of a file of ours, which changes with its content so that browsers may keep it."""
    return url_for("static", filename=name, v=_fingerprint(name))


@cache
def _fingerprint(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
