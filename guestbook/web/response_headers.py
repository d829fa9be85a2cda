"""The headers of every answer: security, caching, compression, an id; and which pages are the owner's."""

import gzip
import hashlib
import secrets
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from flask import Response, abort, current_app, make_response, request, url_for
from werkzeug.exceptions import PreconditionFailed
from werkzeug.utils import redirect
from werkzeug.wrappers import Response as BaseResponse

from guestbook.lib import ids
from guestbook.lib.signed_links import MAIL_PATH, MODERATION_PATH, RECEIVER_PATH
from guestbook.queries import public_comments
from guestbook.web import request_context

YEAR_SECONDS = 365 * 24 * 3600
FOR_A_YEAR = f"public, max-age={YEAR_SECONDS}, immutable"  # Cache-Control of what never changes
# Half a year, and this host alone: the book knows nothing of other hosts on the domain.
HTTPS_ONLY = f"max-age={YEAR_SECONDS // 2}"

RESPONSE_HEADERS = {
    # Nothing of ours is inline and nothing runs, so markup that slips through in a comment stays dead.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# For pages that run a file of ours. All work the same without it.
WITH_SCRIPT = f"{RESPONSE_HEADERS['Content-Security-Policy']}; script-src 'self'"
ADMIN_CONTENT_POLICY = f"{WITH_SCRIPT}; connect-src 'self'"  # for the owner and receivers
ADMIN_PATH = "/admin"
# The cookie of a login. An older name for the admin pages; a new one would log every owner out.
ADMIN_COOKIE = "guestbook_admin"
# The headers of all answers below a path, also those of errors. Nobody may keep what is the owner's alone.
SECRET_PAGE = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # The address of the link is a secret.
    "X-Robots-Tag": "noindex, nofollow",
}
HEADERS_BELOW = {
    ADMIN_PATH: {
        "Cache-Control": "no-store",
        "Content-Security-Policy": ADMIN_CONTENT_POLICY,
        "Referrer-Policy": "same-origin",
        "X-Robots-Tag": "noindex",
    },
    MAIL_PATH: SECRET_PAGE,
    MODERATION_PATH: SECRET_PAGE,
    RECEIVER_PATH: {**SECRET_PAGE, "Content-Security-Policy": ADMIN_CONTENT_POLICY},
}


def finish(response: Response) -> Response:
    """Add the headers of the path, and those that the view has not set itself; compress what is public."""
    for path, headers in HEADERS_BELOW.items():
        if is_below(path):
            response.headers.update(headers)
    if response.status_code >= 400:
        response.headers["X-Request-Id"] = request_id()  # The log has it too.
    _compress(response)
    there = {name.lower() for name, _ in response.headers}
    response.headers.extend([one for one in RESPONSE_HEADERS.items() if one[0].lower() not in there])
    base = urlsplit(request_context.settings().base_url)
    if base.scheme == "https" and base.port in (None, 443):  # Browsers look for it there in place of http.
        response.headers["Strict-Transport-Security"] = HTTPS_ONLY  # RFC 6797; over http browsers ignore it
    if request.endpoint == "static" and "v" in request.args and response.status_code in (200, 304):
        response.headers["Cache-Control"] = FOR_A_YEAR
    if response.status_code == HTTPStatus.PERMANENT_REDIRECT and response.location:
        # Flask took the host from the request, where a stranger may choose it. The page names it too.
        path = "/" + urlunsplit(("", "", *urlsplit(response.location)[2:])).lstrip("/")
        response.location, response.data = path, redirect(path).get_data()
    # A browser may keep a page for its Back button, but must revalidate it before showing it as new.
    response.headers.setdefault("Cache-Control", "no-cache")
    return response


def file_policy() -> str | None:
    """Return the policy in a page that is a file: its web server may add no headers. No page may say all."""
    is_file = public_comments.AS_FILE in request.environ
    return WITH_SCRIPT.replace(" frame-ancestors 'none';", "") if is_file else None


def is_below(*paths: str) -> bool:
    """Whether the address is one of the paths or below it, whether a page exists there or not."""
    return f"{request.path}/".startswith(tuple(f"{path}/" for path in paths))


def is_admin_page() -> bool:
    """Whether the address is under /admin."""
    return is_below(ADMIN_PATH)


def has_admin_look() -> bool:
    """Whether it is an admin page, or one of a webhook's receiver."""
    return is_below(ADMIN_PATH, RECEIVER_PATH)


def is_for_owner() -> bool:
    """Whether no visitor opens it: an admin page, or one behind a link for the owner or a receiver."""
    return is_below(ADMIN_PATH, MODERATION_PATH, RECEIVER_PATH)


def set_cookie(
    response: BaseResponse,
    name: str,
    value: str | None,
    age: float,
    below: str = "",
    *,
    in_frame: bool = False,
) -> None:
    """Give the browser a cookie for the addresses below a path, for so many seconds; None removes it.

    In the frame of another site a browser keeps it only by https, and for frames on that site alone (CHIPS).
    """
    base = urlsplit(request_context.settings().base_url)
    is_partitioned = in_frame and base.scheme == "https"
    response.set_cookie(
        name,
        value or "",
        max_age=int(age) if value else 0,
        expires=None if value else 0,
        path=f"{base.path}{below or '/'}",
        secure=base.scheme == "https",
        httponly=True,
        # A strict one would be missing after a click in a chat.
        samesite="None" if is_partitioned else "Lax",
        partitioned=is_partitioned,
    )


GZIP = "gzip"  # Every browser takes it.
PAGE_LEVEL = 5  # More would save a hundredth, and take twice as long.


def _compress(response: Response) -> None:
    """Compress an answer for a browser that takes it so. Its ETag becomes weak: the bytes differ."""
    is_page = response.mimetype == "text/html" and request.blueprint in ("public", "embed")
    is_whole = response.status_code == HTTPStatus.OK
    has_both_forms = is_whole or response.status_code == HTTPStatus.NOT_MODIFIED
    if not has_both_forms or not (is_page or response.mimetype in ("text/css", "text/javascript")):
        return
    response.vary.add("Accept-Encoding")  # A cache may give either form to everybody.
    if not is_whole or not request.accept_encodings.quality(GZIP) or "Range" in request.headers:
        return
    if is_page and ("Cookie" in request.headers or "Set-Cookie" in response.headers):
        return
    if is_page:
        response.set_data(gzip.compress(response.get_data(), PAGE_LEVEL, mtime=0))
    else:
        response.direct_passthrough = False  # A file can be read here then.
        response.set_data(_compressed(response.get_data()))
    response.headers["Content-Encoding"] = GZIP
    response.headers.pop("Accept-Ranges", None)
    if etag := response.get_etag()[0]:
        response.set_etag(etag, weak=True)


@lru_cache(maxsize=16)
def _compressed(file: bytes) -> bytes:
    return gzip.compress(file, mtime=0)


def request_id() -> str:
    """Return the number of this request."""
    return request_context.once("request_id", partial(secrets.token_hex, 6))


FROM_ANY_SITE = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


def public(body: str, content_type: str) -> Response:
    """Answer with this body, which any website may read, or with 304."""
    response = current_app.response_class(body, content_type=content_type)
    response.headers.update(FROM_ANY_SITE)
    return unless_known(response)


def unless_known(response: Response) -> Response:
    """Give the answer an ETag of its content; make it 304 for a reader that has it already."""
    response.set_etag(fingerprint(response.get_data()))
    response.make_conditional(request)
    return response


def refuse_if_changed(document: dict[str, object] | Response) -> None:
    """Answer 412 if the request's If-Match names another version of this document (RFC 9110, 13.1.1).

    A weak ETag counts too: a proxy makes it so when it compresses the answer.
    """
    given = request.headers.get("If-Match", "").strip()
    if given and not request.if_match.contains_weak(fingerprint(make_response(document).get_data())):
        raise PreconditionFailed


def fingerprint(content: bytes) -> str:
    """Return what stands for this content, and for no other."""
    return hashlib.sha256(content).hexdigest()[:32]


def page_before() -> str | None:
    """Return the id in `?before=`; 404 for a value that is not an id."""
    before = request.args.get("before")
    if before is not None and not ids.ID.fullmatch(before):
        abort(404)
    return before


def page_links(older: str | None, **filters: Any) -> dict[str, str | None]:
    """Return the addresses of the newest page and of the next older one, with the same filters."""
    assert request.endpoint
    return {
        "newest": url_for(request.endpoint, **filters) if "before" in request.args else None,
        "older": url_for(request.endpoint, before=older, **filters) if older else None,
    }
