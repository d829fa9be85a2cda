"""A comment as HTML: its text with links, and its permalink."""

import re
from functools import lru_cache

from flask import g, get_template_attribute, url_for
from jinja2.utils import urlize
from markupsafe import Markup, escape

from guestbook.comments import comment_form, comment_mark
from guestbook.comments.comment_form import Draft
from guestbook.comments.comment_mark import CommentPicture
from guestbook.lib import clock
from guestbook.lib.text import is_drawn
from guestbook.queries.public_comments import PublicComment
from guestbook.web import language, request_context, time_zone

LINK_REL = "nofollow noopener ugc"
WHITESPACE = re.compile(r"(\s+)")
LINK_LIKE = re.compile(r"://|@|\.\w")  # every address that `urlize` recognises contains one of these


def article(comment: PublicComment) -> Markup:
    """Return a comment as the book shows it."""
    if "permalinks" not in g:  # the route is built once per request, because a page links many
        g.permalinks = url_for("public.comment", comment_id="-").removesuffix("-")
    return _article(
        comment, f"{g.permalinks}{comment.id}", *_picture(comment.name), language.shown(), time_zone.shown()
    )


def preview(draft: Draft) -> Markup:
    """Return a comment as the book would show it. It is not kept, because nobody else asks for it."""
    shown = PublicComment(
        id="preview",
        created_at=clock.now(),
        replied_at=None,
        name=draft.name,
        website=draft.website,
        message=draft.message,
        reply=None,
        origin=None,
        origin_url=None,
        number=None,
        place=draft.place,
    )
    return _article.__wrapped__(
        shown, "#c-preview", *_picture(shown.name), language.shown(), time_zone.shown()
    )


def _picture(name: str) -> tuple[CommentPicture | None, str]:
    """Return the picture for a name, and the folder of the drawn ones."""
    if "pictures" not in g:
        g.pictures = url_for("public.picture", face_id="-").removesuffix("-.svg")
    return comment_mark.picture_of(
        name, request_context.preferences(), request_context.settings().secret_key
    ), g.pictures


@lru_cache(maxsize=256)  # the first pages show the same comments, and this takes most of a page's time
def _article(
    comment: PublicComment,
    path: str,
    picture: CommentPicture | None,
    pictures: str,
    _language: str,
    _zone: str,
) -> Markup:
    return Markup(get_template_attribute("_comment.html", "article")(comment, path, picture, pictures))


def outward(html: Markup) -> Markup:
    """Let the links of a comment open outside the frame that shows it; its text is escaped and has none."""
    return Markup(html.replace("<a ", Markup('<a target="_blank" ')))


def prose(text: str) -> Markup:
    """Escape the text and link the addresses in it; the stylesheet keeps its line breaks.

    `urlize` handles each word alone and takes a hundred times as long as escaping. So it gets only the words
    that may be an address.
    """
    escaped = escape(text)
    if not LINK_LIKE.search(escaped):
        return escaped
    words = WHITESPACE.split(escaped)
    linked = (urlize(Markup(word), rel=LINK_REL) if LINK_LIKE.search(word) else word for word in words)
    return Markup("".join(linked))


def words(text: str, css_class: str) -> Markup:
    """Return a paragraph with the text. A drawing scrolls in its own box, and the keyboard reaches it."""
    drawn = Markup(' drawn" tabindex="0') if is_drawn(text) else ""
    return Markup('<p class="{}{}" dir="auto">{}</p>').format(css_class, drawn, prose(text))


def weblink(url: str | None) -> str | None:
    """Return the website if it is safe to link: escaping alone would let `javascript:` through."""
    return url if url and comment_form.website_error(url) is None else None
