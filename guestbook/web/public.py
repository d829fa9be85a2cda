"""The public pages: the book, one comment, and the form.

A reader's page imports no SQLAlchemy: see reader_app. So what signing needs is imported when somebody signs.
"""

import hashlib

from flask import Blueprint, abort, current_app, render_template, request
from flask.typing import ResponseReturnValue

from guestbook.comments.comment_form import Draft
from guestbook.lib import clock, ids
from guestbook.queries import public_comments
from guestbook.queries.public_comments import PublicComment
from guestbook.web import (
    conditional,
    frame,
    hit_counter,
    kept_page,
    privacy_facts,
    request_context,
    visitor_form,
)

pages = Blueprint("public", __name__)

ETAG_SECONDS = visitor_form.MAX_AGE_SECONDS / 4  # how long a browser may show the form that it has
EMPTY_DRAFT = Draft("", None, "", {})


@pages.get("/")
def index() -> ResponseReturnValue:
    """Show a page of the book; the first one has the form."""
    rows, before, token = kept_page.rows(), conditional.page_before(), visitor_form.new_token()
    book = request_context.preferences()
    if rows:
        page = public_comments.page_of(rows.comments, book.per_page)
    else:
        page = public_comments.page(request_context.select(), before, book.per_page)
    counts = before is None and book.counts_hits
    odometer = hit_counter.odometer(hit_counter.view()) if counts else ""
    html = render_template(
        "book.html",
        page=page,
        before=before,
        **conditional.page_links(page.older, **frame.parameters()),
        receipt=visitor_form.receipt_of_request(),
        draft=EMPTY_DRAFT,
        token=token,
        odometer=odometer,
    )
    if not counts:
        kept_page.hand_over(html, token)
    return _unless_cached(html, token=token, odometer=odometer)


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
    found = _find(comment_id)
    if found is None:
        abort(404)
    return _unless_cached(
        render_template("comment.html", comment=found, receipt=visitor_form.receipt_of_own(found))
    )


@pages.get("/privacy")
def privacy() -> ResponseReturnValue:
    """Say what the book keeps of its visitors, where and for how long."""
    return _unless_cached(render_template("privacy.html", kept=privacy_facts.read()))


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


def _find(comment_id: str) -> PublicComment | None:
    return (
        public_comments.find(request_context.select(), comment_id) if ids.ID.fullmatch(comment_id) else None
    )
