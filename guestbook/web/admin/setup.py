"""Set up a new book in the browser; and without a terminal make, upgrade, restore or replace its database.

A code opens these pages, without a login: that of the link which a start prints, or of the file in the data
folder. It stands in their addresses, so no other website can send their forms. No GET uses it up.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from jinja2.filters import do_filesizeformat as size_in_words
from sqlalchemy.exc import SQLAlchemyError

from guestbook import settings
from guestbook.auth import login, second_factor, setup_code
from guestbook.auth.setup_code import UnusableCode
from guestbook.background import public_files
from guestbook.lib import validate
from guestbook.lib.current_process import in_silence
from guestbook.lib.errors import Refused
from guestbook.settings import SETTING_PREFIX, Settings, environment, parsers, secret_key
from guestbook.storage import (
    audit_log,
    backup,
    database,
    database_errors,
    disk_room,
    encrypted_columns,
    hits_and_notes,
    preferences,
    restore,
)
from guestbook.storage.audit_log import Actor
from guestbook.storage.backup import FoundBackup
from guestbook.storage.database import db, writing
from guestbook.storage.database_errors import Fault
from guestbook.storage.restore import RestoreReport, StagedBook
from guestbook.web import missing_key, request_context, row_lookup
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
    is_full = disk_room.is_full(request_context.settings())
    lacks_key = missing_key.is_missing()
    is_open = not has_password or is_full or lacks_key or setup_code.is_requested(data_dir)
    if is_open:
        setup_code.offer_file(data_dir)
    elif not reason:
        return redirect(url_for("admin.dashboard.index"), 303)
    shown = {"reason": reason, "fault": fault, "is_open": is_open, "has_password": has_password}
    no_room = is_full and not setup_code.is_requested(data_dir)
    return render_template(
        "admin/setup_code.html", **shown, is_full=is_full, no_room=no_room, lacks_key=lacks_key
    )


@pages.post("/")
def enter_code() -> ResponseReturnValue:
    """Go to the page of the code that was typed."""
    code = request.form.get("code", "").strip()
    _require(code)
    page = ".show_room" if disk_room.is_full(request_context.settings()) else ".show_setup"
    return redirect(url_for(".show_key" if missing_key.is_missing() else page, code=code), 303)


@pages.get("/<code>")
def show_setup(code: str, **more: object) -> str:
    """Show the form for a new book, or what its tables need first."""
    fault, known = _require(code), request_context.preferences_or_defaults()
    values = {**preferences.typed(known), "address": _seen_address()}
    data_dir = request_context.settings().data_dir
    page = "admin/setup_tables.html" if fault else "admin/setup.html"
    return render_template(
        "admin/setup_damaged.html" if fault is Fault.DAMAGED else page,
        code=code,
        fault=fault,
        damage=hits_and_notes.damage(data_dir),
        data_dir=data_dir,
        backups=_backups(),
        has_key=request_context.settings().keyring.has,
        values=request.form if "title" in request.form else values,
        moderation=known.moderation,
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
    fault = _require(code)
    if fault is Fault.OLD_TABLES:
        from guestbook.storage import upgrade  # Alembic makes a start slower.

        upgrade.run(request_context.settings(), progress=in_silence, waiting=lambda: None)
    elif fault is not Fault.DAMAGED:
        database.create_tables(db.engine)
    return _go_on(code)


@pages.post("/<code>/restore")
@responses.form_on(show_setup)
def restore_backup(code: str) -> ResponseReturnValue:
    """Put a backup of the data folder in the place of the book as the command does, also of a damaged one."""
    _require(code)
    read, name = request_context.settings(), request.form.get("backup", "")
    if name not in _backups():
        raise Refused("Choose one of the backups.", field="backup")
    db.session.remove()  # Its transaction would stand in the way.
    with restore.staged(read, read.data_dir / name) as staged_book:
        if "hold" in request.form:
            restore.hold(staged_book)
        report = _put_in_place(read, staged_book)
    public_files.forget(read)
    responses.say(f"The book is restored: {backup.contents(report.rows)}.")
    if report.aside:
        responses.say(f"The damaged file is kept as {report.aside.name}, beside the new one.")
    if not report.has_key:
        responses.say(restore.OTHER_KEY)
    return _go_on(code)


def _put_in_place(read: Settings, staged_book: StagedBook) -> RestoreReport:
    try:
        return restore.run(read, staged_book, progress=in_silence, waiting=lambda: None)
    except restore.DamagedBook:
        return restore.replace_damaged(read, staged_book, progress=in_silence, waiting=lambda: None)


@pages.get("/<code>/room")
def show_room(code: str, **more: object) -> str:
    """Show what takes the room on the disk, and which files the book can do without."""
    _require(code)
    read = request_context.settings()
    shown = {
        "room": disk_room.look(read),
        "files": disk_room.removable(read),
        "is_full": disk_room.is_full(read),
    }
    return render_template("admin/setup_room.html", code=code, backups=backup.find(read), **shown, **more)


@pages.post("/<code>/room")
@responses.form_on(show_room)
def make_room(code: str) -> ResponseReturnValue:
    """Remove the chosen files."""
    _require(code)
    size = disk_room.remove(request_context.settings(), request.form.getlist("files"))
    responses.say(f"Removed {size_in_words(size)}.")
    return redirect(url_for(".show_room", code=code), 303)


@pages.get("/<code>/key")
def show_key(code: str, **more: object) -> str:
    """Say what is encrypted with the missing key, and take a copy of it."""
    _require(code)
    return render_template("admin/setup_key.html", code=code, locked=_locked_rows(), **more)


@pages.post("/<code>/key")
@responses.form_on(show_key)
def put_key(code: str) -> ResponseReturnValue:
    """Put a copy of the key back if it decrypts secrets of the book; or make a new one where it is lost."""
    _require(code)
    if not missing_key.is_missing():
        return redirect(url_for("admin.login.log_in"), 303)
    data_dir, key = request_context.settings().data_dir, request.form.get("key", "").strip()
    is_lost = "lost" in request.form and not key
    try:
        if is_lost:
            secret_key.make(data_dir)
        else:
            secret_key.put_back(data_dir, _checked_key(key))
    except (OSError, settings.SettingsError) as error:
        raise Refused(f"The key cannot be stored: {getattr(error, 'strerror', None) or error}.") from None
    setup_code.remove_file(data_dir)
    return render_template("admin/setup_key.html", is_lost=is_lost, is_done=True)


def _checked_key(key: str) -> str:
    """Return the key if more secrets can be decrypted with it than without; raises Refused."""
    if not key:
        raise Refused("Paste the key, or say that it is lost.", field="key")
    try:
        parsers.secret(key)
    except ValueError as error:
        raise Refused(f"This is not the key: {error}.", field="key") from None
    if _locked_rows((key,)).total() >= _locked_rows().total():
        raise Refused("This is another key: it decrypts none of the secrets of the book.", field="key")
    return key


def _locked_rows(keys: tuple[str, ...] = ()) -> Counter[str]:
    """Return of how many rows of each table secrets cannot be decrypted with these and the older keys."""
    read = request_context.settings()
    keyring = replace(read, secret_key="", secret_key_fallbacks=keys + read.secret_key_fallbacks).keyring
    with db.engine.connect() as connection:
        return Counter(table for table, _ in encrypted_columns.look(connection, keyring).unreadable)


def _go_on(code: str) -> ResponseReturnValue:
    """Go to the login if the book has a password now, else on with the same code."""
    if not login.has_password(db.session()):
        return redirect(url_for(".show_setup", code=code), 303)
    setup_code.remove_file(request_context.settings().data_dir)
    return responses.done(HAS_PASSWORD, "admin.login.log_in")


def _backups() -> dict[str, FoundBackup]:
    """Return the backups that lie in the data folder by their names there, the newest first."""
    if not request_context.settings().on_sqlite and _fault() is Fault.OLD_TABLES:
        return {}  # On a server, older tables must be upgraded first.
    return backup.find(request_context.settings())


def _fault() -> Fault | None:
    """Return what is wrong with the database that these pages can repair; raise any other error."""
    on_sqlite = request_context.settings().on_sqlite
    try:
        database.require_version(db.engine)
    except SQLAlchemyError as error:
        fault = database_errors.fault_of(error)
        if not fault.repair and not (on_sqlite and fault is Fault.DAMAGED):
            raise
        return fault
    # Where only a part of the file is damaged, the version can be read.
    is_damaged = on_sqlite and hits_and_notes.damage(request_context.settings().data_dir)
    return Fault.DAMAGED if is_damaged else None


def _require(code: str) -> Fault | None:
    """Return what is wrong with the database, if the code counts; else raise UnusableCode, or answer 429."""
    fault = _fault()
    try:
        setup_code.check(None if fault else db.session(), request_context.settings().data_dir, code)
    except UnusableCode:
        # Else nothing can be counted.
        if not fault and not missing_key.is_missing() and not disk_room.is_full(request_context.settings()):
            row_lookup.count_wrong_link("setup")
        raise
    audit_log.act_as(Actor("admin", name=request.user_agent.string))
    return fault


@pages.errorhandler(UnusableCode)
def explain_code(error: UnusableCode) -> ResponseReturnValue:
    """Say why a code opens nothing, and how to get another."""
    return ask_code(str(error)), 403 if str(error) == setup_code.UNKNOWN else 410  # type: ignore[return-value]
