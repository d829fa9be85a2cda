"""Set up a new book in the browser; and where the owner has no terminal, make, upgrade or restore its tables.

A code opens these pages, without a login: that of the link which a start prints, or of the file in the data
folder. It stands in their addresses, so no other website can send their forms. No GET uses it up.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from guestbook import settings
from guestbook.auth import login, second_factor, setup_code
from guestbook.auth.setup_code import UnusableCode
from guestbook.lib import validate
from guestbook.lib.current_process import in_silence
from guestbook.lib.errors import Refused
from guestbook.settings import SETTING_PREFIX, environment, parsers
from guestbook.storage import audit_log, backup, database, database_errors, preferences, restore
from guestbook.storage.audit_log import Actor
from guestbook.storage.database import db, writing
from guestbook.storage.database_errors import Fault
from guestbook.web import request_context, row_lookup
from guestbook.web.admin import responses
from guestbook.web.admin.login import limit_cookie, set_cookie

pages = Blueprint("setup", __name__, url_prefix="/setup")

ADDRESS, WITHOUT_CRON = SETTING_PREFIX + "BASE_URL", SETTING_PREFIX + "SEND_AFTER_REQUESTS"
OTHER_ADDRESS = "Your browser has opened {}. If visitors use the address in this field, send the form again."
HAS_PASSWORD = "Your book is ready. Log in with its password."


@pages.get("/")
def ask_code(reason: str = "") -> ResponseReturnValue:
    """Say where the owner finds a code, and take it. The file gets one, if none in it counts."""
    data_dir, fault = request_context.settings().data_dir, _fault()
    has_password = not fault and login.has_password(db.session())
    is_open = not has_password or setup_code.is_requested(data_dir)
    if is_open:
        setup_code.offer_file(data_dir)
    elif not reason:
        return redirect(url_for("admin.dashboard.index"), 303)
    shown = {"reason": reason, "fault": fault, "is_open": is_open, "has_password": has_password}
    return render_template("admin/setup_code.html", **shown)


@pages.post("/")
def enter_code() -> ResponseReturnValue:
    """Go to the page of the code that was typed."""
    code = request.form.get("code", "").strip()
    _require(code)
    return redirect(url_for(".show_setup", code=code), 303)


@pages.get("/<code>")
def show_setup(code: str, **more: object) -> str:
    """Show the form for a new book, or what its tables need first."""
    fault, known = _require(code), request_context.preferences_or_defaults()
    values = {**preferences.typed(known), "address": _seen_address()}
    return render_template(
        "admin/setup_tables.html" if fault else "admin/setup.html",
        code=code,
        fault=fault,
        backups=[(name, name) for name in _backups()],
        values=request.form if "title" in request.form else values,
        writable=_writable_settings(),
        **more,
    )


@pages.post("/<code>")
@responses.form_on(show_setup)
def finish(code: str) -> ResponseReturnValue:
    """Set the password and all else, and log this browser in: everything or nothing."""
    if _require(code):
        return redirect(url_for(".show_setup", code=code), 303)
    data_dir = request_context.settings().data_dir
    with writing() as session:
        setup_code.use_up(session, data_dir, code)
        changes = _saved()
        has_factor = second_factor.read(session) is not None
        value = None if has_factor else login.open_for(session, request.user_agent.string)
        if changes:  # Last, because no transaction takes it back.
            environment.save_to_file(data_dir / ".env", changes)
    setup_code.remove_file(data_dir)
    if ADDRESS in changes:
        limit_cookie(current_app.config, changes[ADDRESS])  # The cookie of this answer goes there already.
    if value is None:
        return responses.done(HAS_PASSWORD, "admin.login.log_in")
    set_cookie(value)
    return responses.done("Your book is set up, and you are logged in.", "admin.welcome.show_welcome")


def _saved() -> dict[str, str]:
    """Save the form, and return the settings that it changes; raises Refused with all wrong fields."""
    form, writable, changes = request.form, _writable_settings(), dict[str, str]()
    typed = {name: form.get(name, "") for name in ("title", "moderation")}
    steps: dict[str, Callable[[], object]] = {
        "password": partial(login.set_password, db.session(), form.get("password", "")),
        "preferences": partial(preferences.save, db.session(), typed),
        "address": lambda: changes.update({ADDRESS: _checked_address()} if ADDRESS in writable else {}),
    }
    validate.all_of(steps)
    if changes.get(ADDRESS) == request_context.settings().base_url:
        changes.clear()  # `run` has chosen it, and may choose another port next time.
    if WITHOUT_CRON in writable and "without_cron" in form:
        changes[WITHOUT_CRON] = "true"
    return changes


def _checked_address() -> str:
    """Return the book's address; raises Refused for one that is not the browser's, unless sent again."""
    typed, sure = (request.form.get(name, "").strip() for name in ("address", "sure"))
    try:
        address = parsers.base_url(typed)
    except ValueError as error:
        raise Refused(f"This is not an address for the book: {error}.", field="address") from None
    seen = _seen_address()
    if address.lower() != seen.lower() and typed != sure:
        raise Refused(OTHER_ADDRESS.format(seen), field="address")
    return address


def _seen_address() -> str:
    """Return the address of the book as this browser has it; a proxy may have changed the scheme."""
    scheme = request.headers.get("X-Forwarded-Proto", request.scheme).rpartition(",")[2].strip().lower()
    origin = request.headers.get("Origin", "")  # Browsers send it with a form (RFC 6454, 7).
    site = origin if "://" in origin else f"{scheme}://{request.host}"
    try:
        return parsers.base_url(site + request.script_root)
    except ValueError:
        return request_context.settings().base_url


def _writable_settings() -> set[str]:
    """Return the settings that the form may write: nothing outside the data folder sets them."""
    given = current_app.extensions["guestbook"]
    free = {ADDRESS, WITHOUT_CRON} - settings.read_outer(given.environ, alone=given.is_alone).keys()
    is_beside_run = environment.chosen_folder(request_context.settings().data_dir)
    return free - {WITHOUT_CRON} if is_beside_run else free


@pages.post("/<code>/tables")
@responses.form_on(show_setup)
def make_tables(code: str) -> ResponseReturnValue:
    """Make the tables of a new book, or bring older ones up to date as the command does."""
    if _require(code) is Fault.OLD_TABLES:
        from guestbook.storage import upgrade  # Alembic makes a start slower.

        upgrade.run(request_context.settings(), progress=in_silence, waiting=lambda: None)
    else:
        database.create_tables(db.engine)
    return _go_on(code)


@pages.post("/<code>/restore")
@responses.form_on(show_setup)
def restore_backup(code: str) -> ResponseReturnValue:
    """Put a backup of the data folder in the place of the book, as the command does."""
    _require(code)
    read, file = request_context.settings(), _backups().get(request.form.get("backup", ""))
    if file is None:
        raise Refused("Choose one of the backups.", field="backup")
    db.session.remove()  # Its transaction would stand in the way.
    with restore.staged(read, file) as staged_book:
        if "hold" in request.form:
            restore.hold(staged_book)
        restore.run(read, staged_book, progress=in_silence, waiting=lambda: None)
    return _go_on(code)


def _go_on(code: str) -> ResponseReturnValue:
    """Go to the login if the book has a password now, else on with the same code."""
    if not login.has_password(db.session()):
        return redirect(url_for(".show_setup", code=code), 303)
    setup_code.remove_file(request_context.settings().data_dir)
    return responses.done(HAS_PASSWORD, "admin.login.log_in")


def _backups() -> dict[str, Path]:
    """Return the backups that lie in the data folder by their names there, the newest first."""
    data_dir, on_sqlite = request_context.settings().data_dir, request_context.settings().on_sqlite
    if not on_sqlite and _fault() is Fault.OLD_TABLES:
        return {}  # On a server, older tables must be upgraded first.
    found = [*data_dir.glob("*.db"), *(data_dir / backup.OWN_FOLDER).glob("*.db")]
    ours = [path for path in found if path.is_file() and not path.is_symlink() and backup.is_backup(path)]
    newest_first = sorted(ours, key=lambda path: path.stat().st_mtime, reverse=True)
    return {path.relative_to(data_dir).as_posix(): path for path in newest_first}


def _fault() -> Fault | None:
    """Return what is wrong with the tables that these pages can repair; raise any other error."""
    try:
        database.require_version(db.engine)
    except SQLAlchemyError as error:
        fault = database_errors.fault_of(error)
        if not fault.repair:
            raise
        return fault
    return None


def _require(code: str) -> Fault | None:
    """Return what is wrong with the tables, if the code counts; else raise UnusableCode, or answer 429."""
    fault = _fault()
    try:
        setup_code.check(None if fault else db.session(), request_context.settings().data_dir, code)
    except UnusableCode:
        if not fault:
            row_lookup.count_wrong_link("setup")
        raise
    audit_log.act_as(Actor("admin", name=request.user_agent.string))
    return fault


@pages.errorhandler(UnusableCode)
def explain_code(error: UnusableCode) -> ResponseReturnValue:
    """Say why a code opens nothing, and how to get another."""
    return ask_code(str(error)), 403 if str(error) == setup_code.UNKNOWN else 410  # type: ignore[return-value]
