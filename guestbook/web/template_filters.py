"""The filters and global names of the templates."""

import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, url_for
from markupsafe import Markup

from guestbook.comments import comment_form, comment_mark
from guestbook.lib import clock, text
from guestbook.queries import state_words
from guestbook.settings import installation
from guestbook.web import comment_html, current, frame, looks, time_zone, translation

STATIC = Path(__file__).parent.parent / "static"


def init_app(app: Flask) -> None:
    """Give the templates their filters and names."""
    _add_filters(app)
    app.jinja_env.tests["drawn"] = text.is_drawn
    app.jinja_env.globals.update(
        in_frame=frame.is_open,
        frame_site=frame.site,
        signed_sites=frame.signed_sites,
        home=frame.home,
        sign_address=frame.sign_address,
        asset=asset,
        look=looks.shown,
        looks=looks.LOOK_NAMES,
        may_choose_look=looks.may_choose,
        own_css_address=looks.own_css_address,
        is_in_visitors_zone=time_zone.is_visitors,
        zone_name=time_zone.shown,
        rel=comment_html.LINK_REL,
        limits=comment_form,
        command=installation.named,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    translation.init_app(app)
    app.context_processor(_names)


def _add_filters(app: Flask) -> None:
    app.jinja_env.filters.update(
        prose=comment_html.prose,
        words=comment_html.words,
        weblink=comment_html.weblink,
        article=comment_html.article,
        preview=comment_html.preview,
        outward=comment_html.outward,
        visible=visible,
        day=translation.day,
        date=date,
        moment=clock.to_text,
        ago=clock.ago,
        mark=comment_mark.of,
        for_people=state_words.for_people,
    )


def _names() -> dict[str, Any]:
    """Return the names that every template uses; a default title or welcome has the page's language."""
    names = current.template_names()
    return {**names, "book": translation.of_book(names["book"])}


def visible(foreign: str) -> str:
    r"""Return foreign text with invisible and reordering characters written out, such as `\u{202e}`."""
    return text.UNWANTED.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", foreign.replace("\r\n", "\n"))


def date(when: datetime, css_class: str = "") -> Markup:
    """Return the day as an element that gives the exact time to programs and in its tooltip."""
    exact, style = clock.to_text(when), f' class="{css_class}"' if css_class else ""
    return Markup(f'<time{style} datetime="{exact}" title="{exact}">{translation.day(when)}</time>')


def asset(name: str) -> str:
    """Return the address of a static file; it changes with the content, so that browsers may keep it."""
    return url_for("static", filename=name, v=_fingerprint(name))


@cache
def _fingerprint(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
