"""The answers where the database fails: 503 when it cannot be used or has another version, else 500."""

from flask import Response, current_app, g, redirect, request, url_for
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import InternalServerError, ServiceUnavailable

from guestbook.comments.submission import waiting_time
from guestbook.lib.errors import Translatable
from guestbook.settings import installation
from guestbook.storage import database_errors, disk_room, hits_and_notes
from guestbook.storage.database_errors import Fault, SecondHost, WrongVersion
from guestbook.web import book_signing, error_pages, request_context, response_headers
from guestbook.web.error_pages import BookUpdating

DATABASE_RETRY_SECONDS = 60
SIGNING_ENDPOINTS = ("public.sign", "embed.sign", "website_form.sign_on_website")
BOOK_UPDATING = Translatable("The book is being updated. Please try again in a few minutes.")
VERSION_ADVICE = {  # fault → sentence on admin pages
    Fault.OLD_TABLES: "The tables are older than the program. Run this on the server and reload the page: {}",
    Fault.TOO_OLD: f"{Fault.TOO_OLD.value}. Upgrade the book with an earlier program first.",
    Fault.NEW_TABLES: "The tables are newer than the program. Update the program and restart it.",
}
DATABASE_FAULTS = {  # Waiting does not repair these.
    Fault.OLD_TABLES: Translatable("The book was updated: its owner must update the tables."),
    Fault.DAMAGED: Translatable("The book's database is damaged: its owner must repair it."),
    Fault.REFUSED: Translatable("The database refused a value, so nothing was changed."),
}
DISK_FULL = "The disk is full, so nothing can be stored"
MAKE_ROOM = (
    "Nothing that was stored is lost, and the book can still be read. Remove old backups and other files "
    "that you do not need, or ask your host for more room. The book goes on by itself then."
)
# A column is missing for OLD_TABLES, though the version is right.
MAY_PASS = (Fault.NO_TABLES, Fault.AWAY, Fault.OLD_TABLES)


def answer(error: SQLAlchemyError) -> Response:
    """Answer as for every page, but show the form with the text where the book was being signed."""
    response = _page(error)
    if request.endpoint not in SIGNING_ENDPOINTS:
        return response
    return book_signing.with_text(response, _elsewhere(error) if isinstance(error, SecondHost) else None)


def log(error: SQLAlchemyError) -> Fault:
    """Log what is wrong with the database, and return it."""
    fault = database_errors.fault_of(error)
    if fault is Fault.DAMAGED and request_context.settings().on_sqlite:
        hits_and_notes.note_damage(request_context.settings().data_dir, database_errors.words(error))
    advice = f" Run {fault.repair}." if fault.repair else ""
    words = "" if isinstance(error, WrongVersion) else f": {database_errors.words(error)}"
    current_app.logger.error("Request %s: %s%s.%s", response_headers.request_id(), fault.value, words, advice)
    return fault


def _page(error: SQLAlchemyError) -> Response:
    if (fault := log(error)) is Fault.BROKEN:
        raise error
    if getattr(error, "statement", "") is None:  # No connection could be made: a visitor must not wait twice.
        g.preferences_are_away = True
    is_admin = response_headers.is_admin_page()
    can_set_up = isinstance(error, WrongVersion) or fault is Fault.NO_TABLES
    if is_admin and can_set_up and fault.repair and request.method == "GET" and not error_pages.is_setup():
        return current_app.make_response(redirect(url_for("admin.setup.ask_code"), 303))
    if isinstance(error, WrongVersion):
        advice = VERSION_ADVICE[fault].format(installation.named(fault.repair or ""))
        sentence = advice if is_admin else BOOK_UPDATING
        return error_pages.answer(BookUpdating(sentence, retry_after=DATABASE_RETRY_SECONDS))
    if isinstance(error, SecondHost):
        sentence = str(error) if is_admin and g.get("login") is not None else _elsewhere(error)
        return error_pages.answer(ServiceUnavailable(sentence, retry_after=error.seconds))
    reason: str | None = DATABASE_FAULTS.get(fault)
    if fault is Fault.NO_TABLES:
        reason = Translatable(
            "The book is not set up yet. Its owner can open %(address)s or run this on the server: "
            "%(command)s",
            address=request.script_root + response_headers.ADMIN_PATH + "/",
            command=installation.named(fault.repair or ""),
        )
    elif is_admin and fault in (Fault.AWAY, Fault.DAMAGED):
        reason = _for_owner(fault, error)
        g.repair = _repair(fault, error)
    if fault in MAY_PASS:
        return error_pages.answer(ServiceUnavailable(reason, retry_after=DATABASE_RETRY_SECONDS))
    return error_pages.answer(InternalServerError(reason))


def _repair(fault: Fault, error: SQLAlchemyError) -> str:
    """Return what the owner can do in the browser, with a code: `restore`, `room` or nothing."""
    settings = request_context.settings()
    if fault is Fault.DAMAGED:
        return "restore" if settings.on_sqlite else ""
    return "room" if database_errors.is_full_disk(error) or disk_room.is_full(settings) else ""


def _elsewhere(error: SecondHost) -> Translatable:
    return Translatable(
        "Another server has this book open, so nothing can be stored here. Please try again in %(wait)s.",
        wait=waiting_time(error.seconds),
    )


def _for_owner(fault: Fault, error: SQLAlchemyError) -> str:
    """Return the reason for the owner. The login is open to strangers, so it hides the database's words."""
    if fault is Fault.AWAY and _repair(fault, error) == "room":
        words = f" ({database_errors.words(error)})" if g.get("login") else ""
        return f"{DISK_FULL}{words}. {MAKE_ROOM}"
    if g.get("login") is None:
        return f"{fault.value}. To find out why, run this on the server: {installation.named('doctor')}"
    hint = "Please try again in a minute." if fault is Fault.AWAY else database_errors.advice_on_damage(error)
    return f"{fault.value}: {database_errors.words(error)}. {hint}"
