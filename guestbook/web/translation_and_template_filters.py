"""The filters and global names of the templates; texts, dates and numbers in the page's language."""

import calendar
import re
from dataclasses import replace
from datetime import datetime
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

from flask import Flask, current_app, g, get_template_attribute, url_for
from jinja2.utils import urlize
from markupsafe import Markup, escape

from guestbook.comments import comment_form
from guestbook.comments.comment_form import CommentPicture, Draft
from guestbook.lib import clock, text
from guestbook.lib.errors import Translatable
from guestbook.lib.text import is_drawn
from guestbook.queries.public_comments import PublicComment
from guestbook.settings import installation
from guestbook.storage.comment_fields import COMMENT_FIELDS, PUBLIC_FIELDS
from guestbook.storage.preferences import BOOK_LANGUAGES, Preferences
from guestbook.web import embed, look_language_time_zone, request_context, response_headers

LINK_REL = "nofollow noopener ugc"
WHITESPACE = re.compile(r"(\s+)")
BETWEEN_BACKTICKS = re.compile("`([^`]*)`")
SMILEYS = {  # The pattern of each in escaped text, with its picture and the words for it.
    r":-?\)": ("smile", Translatable("smile")),
    r";-?\)": ("wink", Translatable("wink")),
    r":-?D": ("grin", Translatable("grin")),
    r":-?[Pp]": ("tongue", Translatable("tongue out")),
    r":-?\(": ("sad", Translatable("sad face")),
    r":-?[Oo]": ("surprised", Translatable("surprised face")),
    r"8-\)": ("sunglasses", Translatable("sunglasses")),
    "&lt;3": ("heart", Translatable("heart")),
}
# A smiley stands alone between blanks, so none is in an address, in code or behind a number.
SMILEY = re.compile(rf"(?<!\S)(?:{'|'.join(f'({one})' for one in SMILEYS)})(?=[.,!?]*(?:\s|$))")
LINK_LIKE = re.compile(r"://|@|\.\w")  # Every address that `urlize` recognises contains one of these.


def article(comment: PublicComment) -> Markup:
    """Return a comment as the book shows it."""
    # A page links many, so the route is built once.
    permalink = request_context.once("permalink", partial(url_for, "public.comment", comment_id="-"))
    return _article(comment, permalink.removesuffix("-") + comment.id, *_surroundings(comment.name))


def preview(draft: Draft) -> Markup:
    """Return a comment as the book would show it."""
    typed: Any = {name: draft.values[name] for name in PUBLIC_FIELDS}
    nothing: Any = dict.fromkeys(("replied_at", "reply", "origin", "origin_url", "number"))
    return waiting(PublicComment(id="preview", created_at=clock.now(), **nothing, **typed))


def waiting(comment: PublicComment) -> Markup:
    """Return a comment that has no page of its own. It is not kept, because nobody else asks for it."""
    shown = comment._replace(number=None)  # Spam has none, and its visitor must not see a difference.
    return _article.__wrapped__(shown, f"#c-{shown.id}", *_surroundings(shown.name))


def _surroundings(name: str) -> tuple[CommentPicture | None, str, bool, str, str]:
    """Return a name's picture, the folder of drawn ones, whether smileys are drawn, and language and zone."""
    drawn = request_context.once("picture", partial(url_for, "public.picture", face_id="-"))
    book, key = request_context.preferences(), request_context.settings().secret_key
    picture, folder = comment_form.picture_of(name, book, key), drawn.removesuffix("-.svg")
    language, zone = look_language_time_zone.language(), look_language_time_zone.zone()
    return picture, folder, book.smileys, language, zone


@lru_cache(maxsize=256)  # This takes most of a page's time.
def _article(
    comment: PublicComment,
    path: str,
    picture: CommentPicture | None,
    pictures: str,
    smileys: bool,
    _language: str,
    _zone: str,
) -> Markup:
    make = get_template_attribute("_comment.html", "article")
    return Markup(make(comment, path, picture, pictures, smileys))


def outward(html: Markup) -> Markup:
    """Let the links of a comment open outside a frame that shows it; its text is escaped and has none."""
    return Markup(html.replace("<a ", Markup('<a target="_blank" '))) if embed.is_open() else html


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


def words(text: str, css_class: str, smileys: bool = False) -> Markup:
    """Return a paragraph with the text. A drawing scrolls in its own box, and the keyboard reaches it."""
    drawn = Markup(' drawn" tabindex="0') if is_drawn(text) else ""
    html = Markup(SMILEY.sub(_smiley, prose(text))) if smileys and not drawn else prose(text)
    return Markup('<p class="{}{}" dir="auto">{}</p>').format(css_class, drawn, html)


def _smiley(found: re.Match[str]) -> str:
    """Return a smiley with its text in it, which the stylesheet covers with a picture."""
    picture, words = tuple(SMILEYS.values())[(found.lastindex or 1) - 1]
    label = escape(translated(words))
    return f'<span class="smiley {picture}" role="img" aria-label="{label}">{found[0]}</span>'


def weblink(url: str | None) -> str | None:
    """Return the website if it is safe to link: escaping alone would let `javascript:` through."""
    return url if url and comment_form.website_error(url) is None else None


MONTHS = tuple(calendar.month_name)  # Each look at a name would format a date.


def code_marked(sentence: str) -> Markup:
    """Return a sentence of ours in which what stands between backticks is code."""
    return Markup(BETWEEN_BACKTICKS.sub(r"<code>\1</code>", str(escape(sentence))))


def _is_english() -> bool:
    return look_language_time_zone.language() == look_language_time_zone.ENGLISH


def translated(sentence: str) -> str:
    """Return a sentence in the page's language. Text that is in no catalogue stays as it is."""
    if not sentence or _is_english():
        return sentence
    if not isinstance(sentence, Translatable):
        return _text(sentence)
    if sentence.many is not None and sentence.amount is not None:
        template = _plural(sentence.english, sentence.many, sentence.amount)
    else:
        template = _text(sentence.english)
    values = sentence.values.items()
    shown = {name: shown_number(one) if isinstance(one, int) else translated(one) for name, one in values}
    return template % shown if shown else template


def shown_number(value: int) -> str:
    """Return `4,000` as the page's language writes it."""
    return f"{value:,}" if _is_english() else str(_flask_babel().format_decimal(value))


def shown_day(when: datetime) -> str:
    """Return `3 March 2026`, the day in the page's time zone; the exact moment stays in the tooltip."""
    when = clock.in_zone(when, look_language_time_zone.zone())
    if _is_english():
        return f"{when.day} {MONTHS[when.month]} {when.year}"
    written = str(_flask_babel().format_date(when.date(), "long"))
    # The Unicode data that Babel has says `1 mars`.
    is_french_first = when.day == 1 and look_language_time_zone.language() == "fr"
    return f"1er{written[1:]}" if is_french_first else written


def of_book(book: Preferences) -> Preferences:
    """Return the preferences; a title or a welcome that the owner left as it was has the page's language."""
    if _is_english():
        return book
    default = Preferences()
    title = translated(book.title) if book.title == default.title else book.title
    welcome = translated(book.welcome) if book.welcome == default.welcome else book.welcome
    return replace(book, title=title, welcome=welcome)


def title_for_sites(book: Preferences) -> str:
    """Return the title as `for_sites` gives it; one that the owner wrote stays as it is."""
    return for_sites(book.title) if book.title == Preferences().title else book.title


def for_sites(sentence: str) -> str:
    """Return a sentence in the owner's language, for code that others put on their pages."""
    of_page, g.language = look_language_time_zone.language(), request_context.preferences().language
    try:
        with _flask_babel().force_locale(g.language):
            return translated(sentence)
    finally:
        g.language = of_page


def _text(english: str) -> str:
    return english if _is_english() else str(_flask_babel().get_translations().ugettext(english))


def _plural(one: str, many: str, count: int) -> str:
    if _is_english():
        return one if count == 1 else many
    return str(_flask_babel().get_translations().ungettext(one, many, count))


def _flask_babel() -> Any:
    import flask_babel

    if "babel" not in current_app.extensions:
        flask_babel.Babel(
            current_app, configure_jinja=False, locale_selector=look_language_time_zone.language
        )
    return flask_babel


STATIC = Path(__file__).parent.parent / "static"


def visible(foreign: str) -> str:
    r"""Return foreign text with invisible and reordering characters written out, such as `\u{202e}`."""
    return text.UNWANTED.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", foreign.replace("\r\n", "\n"))


def shown_date(when: datetime, css_class: str = "") -> Markup:
    """Return the day as an element that gives the exact time to programs and in its tooltip."""
    exact, style = clock.to_text(when), f' class="{css_class}"' if css_class else ""
    return Markup(f'<time{style} datetime="{exact}" title="{exact}">{shown_day(when)}</time>')


def asset(name: str) -> str:
    """Return the address of a static file; it changes with the content, so that browsers may keep it."""
    return url_for("static", filename=name, v=_fingerprint(name))


@cache
def _fingerprint(name: str) -> str:
    return response_headers.fingerprint((STATIC / name).read_bytes())[:12]


FUNCTIONS = (
    *(prose, words, weblink, article, preview, waiting, outward, visible, translated, for_sites),
    code_marked,
)
FILTERS = {one.__name__: one for one in FUNCTIONS} | {
    "number": shown_number,
    "day": shown_day,
    "date": shown_date,
    "moment": clock.to_text,
    "ago": clock.ago,
    "mark": comment_form.mark_of,
    "choices": comment_form.choices,
    "for_people": text.for_people,
}
GLOBALS = {
    "in_frame": embed.is_open,
    "frame_site": embed.site,
    "comment_count": embed.count,
    "signed_sites": embed.signed_sites,
    "home": embed.home,
    "frame_height": embed.height,
    "has_header": embed.has_header,
    "offers_reply_mails": request_context.offers_reply_mails,
    "sign_address": embed.sign_address,
    "file_policy": response_headers.file_policy,
    "asset": asset,
    "look": look_language_time_zone.look,
    "looks": look_language_time_zone.LOOK_NAMES,
    "shows_extras": look_language_time_zone.shows_extras,
    "may_choose_look": look_language_time_zone.may_choose_look,
    "own_css_address": look_language_time_zone.own_css_address,
    "language": look_language_time_zone.language,
    "is_right_to_left": look_language_time_zone.is_right_to_left,
    "languages": BOOK_LANGUAGES,
    "may_choose_language": look_language_time_zone.may_choose_language,
    "is_in_visitors_zone": look_language_time_zone.is_in_visitors_zone,
    "zone_name": look_language_time_zone.zone,
    "rel": LINK_REL,
    "comment_fields": COMMENT_FIELDS,
    "command": installation.named,
}


def init_app(app: Flask) -> None:
    """Give the templates these, and let them write `_("...")` and `{% trans %}`."""
    templates = app.jinja_env
    templates.trim_blocks = templates.lstrip_blocks = True
    templates.tests["drawn"] = text.is_drawn
    templates.add_extension("jinja2.ext.i18n")
    templates.policies["ext.i18n.trimmed"] = True  # Line breaks and indentation of a text do not count.
    templates.install_gettext_callables(_text, _plural, newstyle=True)  # type: ignore[attr-defined]  # of the extension
    templates.filters.update(FILTERS)
    templates.globals.update(GLOBALS)
    app.context_processor(_names)


def _names() -> dict[str, Any]:
    """Return the names that every template uses; a default title or welcome has the page's language."""
    book = of_book(request_context.preferences_or_defaults())
    return {"book": book, "base_url": request_context.settings().base_url}
