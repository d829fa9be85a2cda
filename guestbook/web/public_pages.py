"""The public pages: the book, one comment, privacy, pictures, and the book in the frame of another website.

A reader's page imports no SQLAlchemy: see cgi_reader. So what signing needs is imported when somebody signs.
First come the pages, then what a page that kept_front_page keeps needs, then the hit counter.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
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
from guestbook.lib import clock, drawn_face, ids, rate_counters
from guestbook.lib.errors import Translatable
from guestbook.queries import public_comments
from guestbook.settings import Settings
from guestbook.storage import observations, preferences
from guestbook.web import frame, request_context, response_headers, template_filters, visitor_form
from guestbook.web.template_filters import translated

if TYPE_CHECKING:  # A reader's page by CGI imports no SQLAlchemy.
    from guestbook.web.kept_front_page import FrontPageRows

pages = Blueprint("public", __name__)

ETAG_SECONDS = visitor_form.MAX_AGE_SECONDS / 4  # how long a browser may show the form that it has
EMPTY_DRAFT = Draft("", None, "", {})


@pages.get("/")
def index() -> ResponseReturnValue:
    """Show a page of the book; the first one has the form."""
    rows, before, token = _rows_to_keep(), response_headers.page_before(), visitor_form.new_token()
    book = request_context.preferences()
    if rows:
        page = public_comments.page_of(rows.comments, book.per_page)
    else:
        page = public_comments.page(request_context.select(), before, book.per_page)
    counts = before is None and book.counts_hits
    digits = odometer(_count_view()) if counts else ""
    html = render_template(
        "book.html",
        page=page,
        before=before,
        **response_headers.page_links(page.older, **frame.parameters()),
        receipt=visitor_form.receipt_of_request(),
        draft=EMPTY_DRAFT,
        token=token,
        odometer=digits,
    )
    if not counts:
        _hand_over(html, token)
    return _unless_cached(html, token=token, odometer=digits)


@pages.get("/favicon.ico")
def icon() -> ResponseReturnValue:
    """Return the icon at the address that browsers try by default; pages link a sharper one."""
    return current_app.send_static_file("favicon.ico")


@pages.post("/comments")
def sign() -> ResponseReturnValue:
    """Sign the book."""
    from guestbook.web import signing

    return signing.sign()


@pages.get("/comments/<comment_id>")
def comment(comment_id: str) -> ResponseReturnValue:
    """Show one comment at its own address."""
    select = request_context.select
    found = public_comments.find(select(), comment_id) if ids.ID.fullmatch(comment_id) else None
    if found is None:
        abort(404)
    return _unless_cached(
        render_template("comment.html", comment=found, receipt=visitor_form.receipt_of_own(found))
    )


@pages.get("/privacy")
def privacy() -> ResponseReturnValue:
    """Say what the book keeps of its visitors, where and for how long."""
    settings = request_context.settings()
    days = {
        "spam": settings.keep_spam_days,
        "delivered": settings.keep_processed_days,
        "failed": settings.keep_failed_days,
        "network": rate_counters.FORGET_TRIES_AFTER.days,
        "cookie": visitor_form.VISITOR_LIFETIME.days,
    }
    kept = {
        name: translated(Translatable.plural("%(count)s day", "%(count)s days", n))
        for name, n in days.items()
    }
    return _unless_cached(render_template("privacy.html", kept=kept, change_time=visitor_form.CHANGE_TIME))


@pages.get("/pictures/<face_id>.svg")
def picture(face_id: str) -> ResponseReturnValue:
    """Return a face, whether anybody has it or not."""
    if not drawn_face.FACE_ID.fullmatch(face_id):
        abort(404)
    response = current_app.response_class(drawn_face.svg(face_id), mimetype="image/svg+xml")
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
    response.set_etag(hashlib.sha256(content.encode()).hexdigest()[:32], weak=True)
    return response.make_conditional(request)


frame_pages = Blueprint(frame.BLUEPRINT, __name__)

SCRIPT_FILE = Path(__file__).parent.parent / "static" / "embed.js"
TITLE_IN_SCRIPT = '"Guestbook"'
SCRIPT_MAX_AGE = 24 * 3600  # seconds; other sites name it without a version


@frame_pages.before_request
def require_sites() -> None:
    """Answer 404 while no website may show the book."""
    if not frame.sites():
        request_context.preferences()  # If the database cannot be used, that is the error.
        abort(404)


@frame_pages.after_request
def let_sites_show(response: Response) -> Response:
    """Let the allowed sites show the answer, be it an error; all other pages forbid every site."""
    response.headers["Content-Security-Policy"] = frame.content_policy()
    return response


@frame_pages.get("/embed", endpoint="index")
def framed() -> ResponseReturnValue:
    """Show the book as it stands in the frame."""
    return index()


@frame_pages.post("/embed", endpoint="sign")
def sign_in_frame() -> ResponseReturnValue:
    """Sign the book inside the frame."""
    return sign()


@frame_pages.get("/embed.js")
def script() -> Response:
    """Return the script that makes the frame, for any page: the browser asks the book who may show it."""
    title = json.dumps(template_filters.of_book(request_context.preferences()).title)
    response = response_headers.public(
        _script().replace(TITLE_IN_SCRIPT, title), "text/javascript; charset=utf-8"
    )
    response.headers["Cache-Control"] = f"public, max-age={SCRIPT_MAX_AGE}"
    return response


@cache
def _script() -> str:
    return SCRIPT_FILE.read_text()


MADE = "guestbook front page"  # A request for a page that may be kept has this in its environment.
FAILED = "guestbook front page error"  # This is the error when the rows could not be read.


@dataclass
class MadePage:
    """A page that is to be made of these rows, and its parts around the form's token when that is done."""

    rows: "FrontPageRows"
    parts: tuple[bytes, bytes] | None = None


def _rows_to_keep() -> "FrontPageRows | None":
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


def _hand_over(html: str, token: str) -> None:
    """Let the page be kept, if it may be. One without a form is made each time."""
    made: MadePage | None = request.environ.get(MADE)
    before, *after = html.encode().split(token.encode())
    if made and len(after) == 1:
        made.parts = before, after[0]


DIGITS = 6
# Robots that say what they are have one of these in their name, mostly with an address about themselves.
ROBOT = re.compile(r"bot|crawl|spider|slurp|preview|monitor|headless|://", re.IGNORECASE)
BROWSER = "Mozilla/"  # Every browser's name begins with it.
HITS_EXTENSION = "guestbook hits"

log = logging.getLogger(__name__)


def init_app(app: Flask, add: Callable[[int], None]) -> None:
    """Let `add` bring the views of a full batch to the database."""
    app.extensions[HITS_EXTENSION] = add


def _count_view() -> int:
    """Count this view if a person seems to look, and return the number with it."""
    data_dir, saved = request_context.settings().data_dir, observations.saved_hits(request_context.select())
    if not _is_by_person():
        return saved + observations.pending_hits(data_dir)
    with suppress(OSError):  # On a full disk the book is still read.
        pending = observations.note_hit(data_dir)
        if pending >= observations.HITS_BATCH:
            after_this_request(_save_when_sent)
        return saved + pending
    return saved


def odometer(number: int) -> Markup:
    """Return the number as the digits of an odometer, which screen readers read as one number."""
    digits = Markup("").join(Markup("<i>{}</i>").format(digit) for digit in f"{number:0{DIGITS}}")
    return Markup('<span class="odometer" role="img" aria-label="{}">{}</span>').format(
        template_filters.shown_number(number), digits
    )


def _is_by_person() -> bool:
    name = request.headers.get("User-Agent", "")
    purpose = request.headers.get("Sec-Purpose", "") + request.headers.get("Purpose", "")
    is_browser = name.startswith(BROWSER) and not ROBOT.search(name)
    return request.method == "GET" and is_browser and "prefetch" not in purpose


def _save_when_sent(response: Response) -> Response:
    """Save the batch after the answer was sent: the server closes it then (PEP 3333)."""
    settings, add = request_context.settings(), current_app.extensions[HITS_EXTENSION]
    response.call_on_close(partial(_save, settings, add))
    return response


def _save(settings: Settings, add: Callable[[int], None]) -> None:
    """Bring the batch to the database; where that fails it goes with the next one. Never raises."""
    number = 0
    try:
        if number := observations.take_hits(settings.data_dir):
            add(number)
    except Exception as error:
        log.info("Views of the book wait for the next batch: %s.", error)
        with suppress(OSError):
            observations.give_back_hits(settings.data_dir, number)
