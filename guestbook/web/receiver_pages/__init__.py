"""The page of a webhook's receiver: its log, redelivery, tests and its secret, by a link of the owner's.

It shows one webhook alone, and nothing of the admin pages: no hidden header, no note to the owner, no link to
moderate. Opening it changes nothing.
"""

from flask import Blueprint, Flask, Response, request

from guestbook.lib.signed_links import RECEIVER_PATH
from guestbook.web.admin.access import ADMIN_CONTENT_POLICY
from guestbook.web.receiver_pages import receiver_access, receiver_actions, receiver_log
from guestbook.web.receiver_pages.receiver_access import NoAdmission

HEADERS_OF_ANSWERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": ADMIN_CONTENT_POLICY,
    "Referrer-Policy": "no-referrer",  # the address of the link is a secret
    "X-Robots-Tag": "noindex, nofollow",
}


def register(app: Flask) -> None:
    """Register the pages, and the headers of all answers at their path, also those of errors."""
    pages = Blueprint("receiver_pages", __name__, url_prefix=RECEIVER_PATH)
    pages.register_error_handler(NoAdmission, receiver_access.closed)
    for module in (receiver_log, receiver_actions):
        pages.register_blueprint(module.pages)
    app.register_blueprint(pages)
    app.after_request(_add_headers)  # on the app, because a 404 or 405 belongs to no blueprint


def _add_headers(response: Response) -> Response:
    if f"{request.path}/".startswith(f"{RECEIVER_PATH}/"):
        response.headers.update(HEADERS_OF_ANSWERS)
    return response
