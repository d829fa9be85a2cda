"""The filters and global names of the templates."""

import calendar
import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path

from flask import Flask, url_for
from markupsafe import Markup

from guestbook.comments import comment_form
from guestbook.lib import clock, text
from guestbook.settings import installation
from guestbook.web import comment_html, current, frame, looks

MONTHS = tuple(calendar.month_name)  # read once: each look at a name formats a date
STATIC = Path(__file__).parent.parent / "static"


def init_app(app: Flask) -> None:
    """Give the templates their filters and names."""
    app.jinja_env.filters.update(
        prose=comment_html.prose,
        weblink=comment_html.weblink,
        article=comment_html.article,
        preview=comment_html.preview,
        outward=comment_html.outward,
        visible=visible,
        day=day,
        date=date,
        moment=clock.to_text,
        ago=clock.ago,
    )
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
        rel=comment_html.LINK_REL,
        limits=comment_form,
        command=installation.named,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(current.template_names)


def visible(foreign: str) -> str:
    r"""Return foreign text with invisible and reordering characters written out, such as `\u{202e}`."""
    return text.UNWANTED.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", foreign.replace("\r\n", "\n"))


def day(when: datetime) -> str:
    """Return `3 March 2026`; readers live in many time zones, so the hour stays in the tooltip."""
    return f"{when.day} {MONTHS[when.month]} {when.year}"


def date(when: datetime, css_class: str = "") -> Markup:
    """Return the day as an element that gives the exact time to programs and in its tooltip."""
    exact, style = clock.to_text(when), f' class="{css_class}"' if css_class else ""
    return Markup(f'<time{style} datetime="{exact}" title="{exact}">{day(when)}</time>')


def asset(name: str) -> str:
    """Return the address of a static file; it changes with the content, so that browsers may keep it."""
    return url_for("static", filename=name, v=_fingerprint(name))


@cache
def _fingerprint(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
