"""The public pages: the book, one comment, privacy and pictures.

A reader's page imports no SQLAlchemy: see cgi_app. So what signing needs is imported when somebody signs.
First come the pages, then the hit counter.
"""

import logging
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    after_this_request,
    current_app,
    g,
    render_template,
    request,
)
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from guestbook.comments.comment_form import Draft
from guestbook.lib import avatar, clock, ids, rate_counters
from guestbook.lib.errors import Translatable
from guestbook.queries import public_comments
from guestbook.settings import Settings
from guestbook.storage import hits_and_notes, preferences
from guestbook.web import embed, request_context, response_headers, visitor_tokens
from guestbook.web.translation_and_template_filters import shown_number, translated

if TYPE_CHECKING:  # A reader's page by CGI imports no SQLAlchemy.
    from guestbook.storage.models import Comment
    from guestbook.web.front_page_cache import FrontPageRows

pages = Blueprint("public", __name__)

SECURITY_TXT_LIFETIME = timedelta(days=180)  # RFC 9116 wants less than a year.
ETAG_SECONDS = visitor_tokens.MAX_AGE_SECONDS / 4  # how long a browser may show the form that it has
EMPTY_DRAFT = Draft("", None, "", {})
MADE = "guestbook front page"  # A request for a page that may be kept has this in its environment.
FAILED = "guestbook front page error"  # This is the error when the rows could not be read.


@dataclass
class MadePage:
    """A page that is to be made of these rows, and its parts around the form's token when that is done."""

    rows: "FrontPageRows"
    parts: tuple[bytes, bytes] | None = None


@pages.get("/")
def index() -> ResponseReturnValue:
    """Show a page of the book; the first one has the form."""
    made, about = _page_to_keep(), embed.page()
    if embed.names_wrong_page():
        abort(404)
    book, before = request_context.preferences(), response_headers.page_before()
    is_file = public_comments.AS_FILE in request.environ
    token = "" if is_file else visitor_tokens.new_token()
    if is_file:
        page = public_comments.page_to_cut(request_context.select(), before, book.per_page)
    elif made:
        page = public_comments.page_of(made.rows.comments, book.per_page)
    else:
        page = public_comments.page(request_context.select(), before, book.per_page, about)
    counts = before is None and book.counts_hits and not is_file
    digits = odometer(_count_view()) if counts else ""
    html = render_template(
        "book.html",
        page=page,
        before=before,
        about=about,
        **response_headers.page_links(page.older, **embed.parameters()),
        owned=_owned(*(one.id for one in page.rows)),
        receipt=visitor_tokens.receipt_of_request(),
        draft=EMPTY_DRAFT,
        token=token,
        odometer=digits,
    )
    if made and not counts:
        first, *after = html.encode().split(token.encode())
        made.parts = (first, after[0]) if len(after) == 1 else None  # A page without a form is not kept.
    return _unless_cached(html, token=token, odometer=digits)


def _owned(*shown: str) -> "dict[str, Comment] | None":
    """Return the rows for the owner's buttons; None to others, and in a frame: its site might hide them."""
    if embed.is_open() or response_headers.ADMIN_COOKIE not in request.cookies:
        return None
    from guestbook.web.admin import comments

    return comments.owned(shown)


def _page_to_keep() -> MadePage | None:
    """Return the page to make, where it may be kept: its rows have been read, or raised an error."""
    if error := request.environ.get(FAILED):
        g.preferences_are_away = True
        raise error
    made: MadePage | None = request.environ.get(MADE)
    if made:
        g.preferences = preferences.from_rows(made.rows.settings)
    return made


@pages.get("/favicon.ico")
def icon() -> ResponseReturnValue:
    """Return the icon at the address that browsers try by default; pages link a sharper one."""
    return current_app.send_static_file("favicon.ico")


@pages.post("/comments")
def sign() -> ResponseReturnValue:
    """Sign the book."""
    from guestbook.web import book_signing

    return book_signing.sign()


@pages.get("/comments/<comment_id>")
def comment(comment_id: str) -> ResponseReturnValue:
    """Show one comment at its own address."""
    select = request_context.select
    found = public_comments.find(select(), comment_id) if ids.ID.fullmatch(comment_id) else None
    if found is None:
        abort(404)
    receipt = visitor_tokens.receipt_of_own(found)
    html = render_template("comment.html", comment=found, receipt=receipt, owned=_owned(found.id))
    return _unless_cached(html)


@pages.get("/privacy")
def privacy() -> ResponseReturnValue:
    """Say what the book keeps of its visitors, where and for how long."""
    settings = request_context.settings()
    days = {
        "spam": settings.keep_spam_days,
        "delivered": settings.keep_processed_days,
        "failed": settings.keep_failed_days,
        "network": rate_counters.FORGET_TRIES_AFTER.days,
        "cookie": visitor_tokens.VISITOR_LIFETIME.days,
    }
    kept = {
        name: translated(Translatable.plural("%(count)s day", "%(count)s days", n))
        for name, n in days.items()
    }
    return _unless_cached(render_template("privacy.html", kept=kept, change_time=visitor_tokens.CHANGE_TIME))


@pages.get("/.well-known/security.txt")
def security_txt() -> Response:
    """Say how to report a weakness of this website to its owner (RFC 9116); 404 without a contact."""
    book, base_url = request_context.preferences(), request_context.settings().base_url
    if not book.contact:
        abort(404)
    end = clock.now().date() + SECURITY_TXT_LIFETIME
    body = f"Contact: {book.contact_uri}\nExpires: {end}T00:00:00Z\nPreferred-Languages: {book.language}\n"
    if base_url.startswith("https://"):  # No other web address may stand there.
        body += f"Canonical: {base_url}{request.path}\n"
    return response_headers.public(body, "text/plain; charset=utf-8")


@pages.get("/pictures/<face_id>.svg")
def picture(face_id: str) -> ResponseReturnValue:
    """Return a face, whether anybody has it or not."""
    if not avatar.FACE_ID.fullmatch(face_id):
        abort(404)
    response = current_app.response_class(avatar.svg(face_id), mimetype="image/svg+xml")
    response.headers["Cache-Control"] = response_headers.FOR_A_YEAR
    return response_headers.unless_known(response)


def _unless_cached(html: str, *, token: str = "", odometer: str = "") -> ResponseReturnValue:
    """Answer 304 to a browser that has this page already, ignoring what is always new.

    The page that it keeps has an older number of views, and an older token of the form. So it counts as
    changed every six hours, before the token expires.
    """
    content = html.replace(odometer, "") if odometer else html
    if token:
        content = content.replace(token, str(clock.now().timestamp() // ETAG_SECONDS))
    response = current_app.make_response(html)
    if request_context.preferences().accepts_mentions:
        response.headers["Link"] = f'<{request_context.settings().base_url}/webmention>; rel="webmention"'
    if g.get("login"):  # Nobody may keep the owner's page, and no answer stands for it.
        response.headers["Cache-Control"] = "private, no-store"
        return response
    response.set_etag(response_headers.fingerprint(content.encode()), weak=True)
    return response.make_conditional(request)


# Robots that say what they are have one of these in their name, mostly with an address about themselves.
ROBOT = re.compile(r"bot|crawl|spider|slurp|preview|monitor|headless|://", re.IGNORECASE)
HITS_EXTENSION = "guestbook hits"

log = logging.getLogger(__name__)


def init_app(app: Flask, add: Callable[[int], None]) -> None:
    """Let `add` bring the views of a full batch to the database."""
    app.extensions[HITS_EXTENSION] = add


def _count_view() -> int:
    """Count this view if a person seems to look, and return the number with it."""
    settings, saved = request_context.settings(), hits_and_notes.saved_hits(request_context.select())
    name, headers = request.headers.get("User-Agent", ""), request.headers
    purpose = headers.get("Sec-Purpose", "") + headers.get("Purpose", "")
    is_browser = name.startswith("Mozilla/") and not ROBOT.search(name)
    if request.method != "GET" or not is_browser or "prefetch" in purpose:
        return saved + hits_and_notes.pending_hits(settings.data_dir)
    with suppress(OSError):  # On a full disk the book is still read.
        pending = hits_and_notes.note_hits(settings.data_dir)
        if pending >= hits_and_notes.HITS_BATCH:
            save = partial(_save, settings, current_app.extensions[HITS_EXTENSION])

            @after_this_request
            def save_when_sent(response: Response) -> Response:
                response.call_on_close(save)  # The server closes it when it is sent (PEP 3333).
                return response

        return saved + pending
    return saved


def odometer(number: int) -> Markup:
    """Return the number as the digits of an odometer, which screen readers read as one number."""
    digits = Markup("").join(Markup("<i>{}</i>").format(digit) for digit in f"{number:06}")
    element = Markup('<span class="odometer" role="img" aria-label="{}">{}</span>')
    return element.format(shown_number(number), digits)


def _save(settings: Settings, add: Callable[[int], None]) -> None:
    """Bring the batch to the database; where that fails it goes with the next one. Never raises."""
    number = 0
    try:
        if number := hits_and_notes.take_hits(settings.data_dir):
            add(number)
    except Exception as error:
        log.info("Views of the book wait for the next batch: %s.", error)
        with suppress(OSError):
            hits_and_notes.note_hits(settings.data_dir, number)
