"""What a web server answers while the secret key is missing: readers read, and nothing is stored or sent."""

from flask import Flask, Response, current_app, g, json, request
from werkzeug.exceptions import ServiceUnavailable

from guestbook.web import book_signing, database_error_pages, error_pages, response_headers

READS = ("GET", "HEAD", "OPTIONS")
FOR_READERS = (None, "public", "looks", "feeds")  # blueprints; the first is of static files
RETRY_SECONDS = 300
HEALTH = "secret key is missing"
FOR_OWNER = (
    "The secret key is missing: its file has gone from the data folder. Comments, webhooks and settings are "
    "there, but nobody can read the encrypted secrets without the key. Until it is back nothing is stored or "
    "sent, and nothing is lost."
)
DOOR = ("admin.setup.ask_code", "admin.setup.enter_code", "admin.setup.show_key", "admin.setup.put_key")


def init_app(app: Flask) -> None:
    """Let the app refuse what needs the key, if the key is missing."""
    if app.extensions["guestbook"].lacks_key:
        app.before_request_funcs.setdefault(None, []).insert(0, _refuse)


def is_missing() -> bool:
    """Whether the app lacks its key."""
    return bool(current_app.extensions["guestbook"].lacks_key)


def _refuse() -> Response | None:
    if request.endpoint in DOOR or (request.method in READS and request.blueprint in FOR_READERS):
        return None
    if request.path == "/healthz":
        body = {"status": HEALTH, "last_pass_age": None, "oldest_due_age": None}
        return Response(json.dumps(body), ServiceUnavailable.code, content_type="application/json")
    is_admin = response_headers.is_admin_page()
    g.repair = "key"
    answer = error_pages.answer(
        ServiceUnavailable(FOR_OWNER if is_admin else None, retry_after=RETRY_SECONDS)
    )
    is_signing = request.endpoint in database_error_pages.SIGNING_ENDPOINTS
    return book_signing.with_text(answer) if is_signing else answer
