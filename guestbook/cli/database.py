"""The commands that make, upgrade, back up, restore, move, encrypt and take over the database."""

import secrets
import stat
import sys
from dataclasses import asdict, replace
from pathlib import Path

import click
from sqlalchemy import Connection

from guestbook.auth import setup_code
from guestbook.background import public_files
from guestbook.cli import app_command, options, output
from guestbook.cli.output import say_waiting, show_progress
from guestbook.lib import clock, files, ids
from guestbook.lib.encryption import EXTRA_OF_ENCRYPTION
from guestbook.lib.errors import TRY_LATER, Refused
from guestbook.lib.text import counted, printable
from guestbook.settings import Settings, database_url, installation, secret_key
from guestbook.storage import (
    audit_log,
    backup as backups,
    database,
    encrypted_columns,
    engines,
    hosts_sharing_sqlite,
    restore as restoring,
)
from guestbook.storage.database import db
from guestbook.storage.encrypted_columns import StoredSecrets
from guestbook.storage.restore import Comparison, RestoreReport, StagedBook
from guestbook.storage.table_copy import TargetAway, move_book

file_argument = click.argument("file", type=click.Path(path_type=Path))


@click.command("init-db", cls=app_command.AnyVersionCommand)
def init_db() -> None:
    """Create the tables, and print a link with which you set up a new book in the browser.

    It is safe to run again, and changes nothing of an older book: `upgrade` does.
    """
    make_tables()
    if link := setup_code.new_link(app_command.settings().base_url):
        click.echo(f"Serve the book, and set it up within 30 minutes at {link}")


def make_tables() -> None:
    """Create the tables, and say where the book is."""
    database.create_tables(db.engine)
    click.echo(f"The tables are ready in {db.engine.url.render_as_string(hide_password=True)}.")
    click.echo(f"The data folder is {app_command.settings().data_dir}.")


@click.command(cls=app_command.AnyVersionCommand)
@output.json_option
def upgrade() -> None:
    """Bring an older book to this version of the program. It makes a backup first.

    Run it after each update of the program. If it is interrupted, run it again. Pages answer that the book is
    being updated meanwhile, and nothing is sent.
    """
    from guestbook.storage import upgrade as storage_upgrade  # Alembic makes a start slower.

    report = storage_upgrade.run(app_command.settings(), progress=show_progress, waiting=say_waiting)
    copy, now = report.backup, f"The book is up to date: it has version {report.after}"
    rows = counted(sum(copy.rows.values()), "row") if copy else ""
    steps = [asdict(one) | {"seconds": round(one.seconds, 3)} for one in report.migrations]
    output.print_done(
        asdict(report) | {"backup": str(copy.path) if copy else None, "migrations": steps},
        copy and f"The backup is in {copy.path}: {rows}, read again and compared.",
        *(f"{one.version}  {one.title} ({one.seconds:.1f} s)" for one in report.migrations),
        f"{now} now. It was {report.before}." if copy else f"{now}.",
    )


HAS_NO_KEY = (
    "Its secrets are encrypted. Keep a copy of the secret key elsewhere: without it nobody can read them{}."
)
HAS_SECRETS = "It holds every secret of the book unencrypted, so keep it where only you can read it."


@click.command(cls=app_command.AnyVersionCommand)
@file_argument
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="Add the time to the name, and remove all but this many such backups.",
)
@output.json_option
def backup(file: Path, keep: int | None) -> None:
    """Write the whole book to one file, while it is in use.

    The file has the rows of one moment, from whatever database, but not the secret key. If FILE is an earlier
    backup, it is replaced. If FILE is a folder, the backup is stored in it, with the time in its name.
    """
    settings = app_command.settings()
    if keep or files.type_of(file) == stat.S_IFDIR:
        file = backups.dated(file, clock.now())
    report = backups.write(settings, file, progress=show_progress)
    removed = backups.remove_older(settings, report.path, keep) if keep else []
    is_ours = secret_key.is_in_data_folder(settings.data_dir, settings.secret_key)
    where = f" ({settings.data_dir / secret_key.KEY_FILE})" if is_ours else ""
    output.print_done(
        {"file": str(report.path), "rows": report.rows, "removed": list(map(str, removed))},
        f"The backup is in {report.path}: {backups.contents(report.rows)}, read again and compared.",
        removed and f"Removed {counted(len(removed), 'older backup')}.",
        HAS_NO_KEY.format(where) if settings.keyring.can_encrypt else HAS_SECRETS,
    )


LOCKED = (
    "Its secrets are encrypted with the old key, so nothing is sent with them, and deliveries wait. Put the "
    "old key into GUESTBOOK_SECRET_KEY_FALLBACKS or into {}, restart the web server and workers, "
    "and run encrypt-secrets."
)


@click.command(cls=app_command.AnyVersionCommand)
@file_argument
@click.option(
    "--hold", is_flag=True, help="Disable all webhooks, so that nothing is sent until you enable them."
)
@output.yes_option
@output.json_option
def restore(file: Path, hold: bool, yes: bool) -> None:
    """Put a backup in the place of the book, and check it.

    It verifies FILE, says what would change, and asks. The book's database may be of another kind than that
    of the backup. It makes a backup of the present book first. If it is interrupted, the present book stays.
    """
    settings = app_command.settings()
    with restoring.staged(settings, file) as staged_book:
        with engines.opened(settings) as engine, restoring.readable(engine):
            found = restoring.compare(engine, staged_book)
        if not output.is_json():
            _describe(file, staged_book, found, hold)
        if not yes:
            output.ask("Replace the present book?", "Nothing was changed.", "restore")
        held = restoring.hold(staged_book) if hold else 0
        report = restoring.run(settings, staged_book, progress=show_progress, waiting=say_waiting)
    public_files.forget(settings)
    app_command.keep_files_right()
    _print(staged_book, found, report, held)


def _describe(file: Path, staged_book: StagedBook, found: Comparison, hold: bool) -> None:
    gone, back, made_at = found.comments_gone, found.comments_back, clock.to_text(staged_book.label.made_at)
    sent = "They will be sent, some for the second time. With --hold all webhooks are disabled first."
    held = "All webhooks will be disabled, so nothing is sent until you enable them."
    output.say(
        f"{file} was made at {made_at}: {backups.contents(staged_book.rows)}.",
        f"The present book has {counted(found.comments, 'comment')}: {gone:,} that the backup does not have "
        f"would go. {back:,} that the present book does not have would come.",
        f"The backup has {counted(found.waiting, 'delivery', 'deliveries')} to send. The present book has "
        f"finished {found.finished_since:,} of them since, and does not know {found.unknown:,}.",
        found.inbound and f"The backup has {counted(found.inbound, 'inbound event')} to process.",
        held if hold else found.waiting and sent,
    )


def _print(staged_book: StagedBook, found: Comparison, report: RestoreReport, held: int) -> None:
    before, enable = report.before, app_command.typed("webhooks enable ID")
    old_keys = app_command.settings().data_dir / secret_key.OLD_KEYS_FILE
    output.print_done(
        {
            "made_at": clock.to_text(staged_book.label.made_at),
            "rows": report.rows,
            "comments_gone": found.comments_gone,
            "comments_back": found.comments_back,
            "deliveries_to_send": found.waiting,
            "finished_since": found.finished_since,
            "webhooks_disabled": held,
            "secret_key": "same" if report.has_key else "different",
            "rows_with_unreadable_secrets": report.unreadable,
            "before": str(before.path) if before else None,
        },
        before and f"The book from before is in {before.path}: {backups.contents(before.rows)}.",
        f"The book is restored: {backups.contents(report.rows)}, each compared.",
        held and f"{counted(held, 'webhook')} disabled. Enable each with: {enable}",
        not report.has_key and restoring.OTHER_KEY,
        report.unreadable and LOCKED.format(old_keys),
    )


# The target was empty, and what differs was refused.
ALWAYS = {"there_already": 0, "removed": 0, "is_whole": True, "is_still": True}
NEXT = """\
Now set GUESTBOOK_DATABASE_URL to it, and start the web server, cron and workers again. Keep the data folder:
the book needs the secret_key in it. If you have several hosts, set the same GUESTBOOK_SECRET_KEY on all."""


def _url(context: click.Context, param: click.Parameter, value: str) -> str:
    """Read the target's URL; `-` stands for standard input."""
    try:
        return database_url.parse(options.secret(context, param, value) or "")
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


@click.command("migrate-to", cls=app_command.AppCommand)
@click.argument("url", callback=_url)
@output.json_option
def migrate_to(url: str) -> None:
    """Copy the book to another database, and check the copy.

    Stop the web server, cron and workers first. A pass that is at work is asked to end, and gets a minute.
    URL is like GUESTBOOK_DATABASE_URL; with - it is read from standard input, which hides its password. The
    database must be empty. If the command is interrupted, or the book changes meanwhile, the database stays
    empty: run it again.
    """
    try:
        report = move_book(app_command.settings(), url, progress=show_progress, waiting=say_waiting)
    except TargetAway as error:
        click.echo(f"The target cannot be used now: {printable(str(error))}.", err=True)
        sys.exit(TRY_LATER)
    tables = [(name, one.rows, str(one)) for name, one in report.tables.items()]
    keys = ("table", "rows", "checksum")
    moved = [dict(zip(keys, one, strict=True)) | {"copied": one[1]} | ALWAYS for one in tables]
    output.end_with_json({"target": report.place, "tables": moved})
    shown = [(name, rows, checksum[:12]) for name, rows, checksum in tables]
    output.print_table(("TABLE", "ROWS", "CHECKSUM"), shown, "")
    total = counted(sum(rows for _, rows, _ in tables), "row")
    output.say(f"\nThe copy in {report.place} is complete: {total}, each compared.", NEXT)


KEY_IS_SET = (
    "The secret key comes from a setting. Set GUESTBOOK_SECRET_KEY_FALLBACKS to the present key and "
    "GUESTBOOK_SECRET_KEY, or the file of GUESTBOOK_SECRET_KEY_FILE, to a new one, restart everything, and "
    "run this without --new-key."
)
NEW_KEY = (
    "The data folder has a new secret key. Restart the web server and workers now. Keep a copy of {} "
    "elsewhere. The old key is in {}: remove that file when links and logins from before may end."
)


@click.command("encrypt-secrets", cls=app_command.AppCommand)
@click.option("--new-key", is_flag=True, help="First put a new secret key into the data folder.")
def encrypt_secrets(new_key: bool) -> None:
    """Encrypt all secrets in the database with the present secret key.

    Run it after a change of the secret key, while GUESTBOOK_SECRET_KEY_FALLBACKS names the old one. If it is
    interrupted, run it again, without --new-key. After --new-key, restart the web server and workers at once.
    """
    read = app_command.settings()
    if not read.keyring.can_encrypt:
        command = installation.install_command(EXTRA_OF_ENCRYPTION)
        raise Refused(f"The package cryptography is not installed. Install it with: {command}")
    if new_key:
        read = _with_new_key(read)
        files = read.data_dir / secret_key.KEY_FILE, read.data_dir / secret_key.OLD_KEYS_FILE
        click.echo(NEW_KEY.format(*files))  # The rest may fail.

    def encrypt(connection: Connection) -> StoredSecrets:
        found = encrypted_columns.encrypt_all(connection, read.keyring)
        if found.encrypted:
            audit_log.record(connection, "rotated", "encryption", number=found.encrypted)
        return found

    found = database.write_with_retry(db.engine, encrypt)
    click.echo(f"Encrypted {counted(found.encrypted, 'secret')} again, of {found.total:,}.")
    if found.unreadable:
        rows = ", ".join(f"{table} {key}" for table, key in sorted(found.unreadable))
        doctor = app_command.typed("doctor")
        raise Refused(f"These have secrets that cannot be decrypted: {rows}. See: {doctor}")


def _with_new_key(read: Settings) -> Settings:
    """Put a new key into the data folder, and return the settings that a program reads from now on."""
    if not secret_key.is_in_data_folder(read.data_dir, read.secret_key):
        raise Refused(KEY_IS_SET)
    fresh, still_old = secrets.token_hex(32), "The secret key is still the old one."
    try:
        secret_key.replace(read.data_dir, fresh, read.secret_key)
    except OSError as error:
        raise Refused(f"{read.data_dir} cannot be written: {error.strerror}. {still_old}") from None
    return replace(read, secret_key=fresh, secret_key_fallbacks=read.secret_keys)


ANY_HOSTS = "Any number of hosts may use a book on PostgreSQL or MariaDB, so there is nothing to take over."


@click.command("take-over", cls=app_command.AnyVersionCommand)
def take_over() -> None:
    """Let this host use the SQLite file at once, after the book has moved here.

    SQLite's locks work within one host, so only the host that came first writes. Stop the
    book on the old host, and run this where it is now. A host that still runs it only reads from then on.
    """
    read = app_command.settings()
    file = database_url.sqlite_file(read.data_dir, read.database_url)
    if file is None or not file.exists():
        raise Refused(f"{file} is not there: copy the book to it first." if file else ANY_HOSTS)
    try:
        others = hosts_sharing_sqlite.take_over(file)
    except OSError as error:
        raise Refused(f"{file.parent} cannot be written: {error.strerror}.") from None
    names = ", ".join(host.name for host in others)
    click.echo(f"This host, {ids.host_name()}, uses {file} from now on.")
    click.echo(f"It does so in place of {names}." if names else "No other host has used it lately.")
