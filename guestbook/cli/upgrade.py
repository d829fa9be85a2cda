"""The commands that set up the database, upgrade it, encrypt its secrets, or take over its file."""

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy import Connection

from guestbook.cli import app_command, output
from guestbook.cli.output import say_waiting, show_progress
from guestbook.lib import ids
from guestbook.lib.encryption import EXTRA_OF_ENCRYPTION, Keyring
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
from guestbook.settings import Settings, database_url, installation, secret_key
from guestbook.storage import audit_log, book_file, database, stored_secrets
from guestbook.storage.database import db
from guestbook.storage.stored_secrets import StoredSecrets

if TYPE_CHECKING:
    from guestbook.storage.upgrade import UpgradeReport


@click.command("init-db", cls=app_command.AnyVersionCommand)
def init_db() -> None:
    """Create the tables. It is safe to run again, and changes nothing of an older book: `upgrade` does."""
    database.create_tables(db.engine)
    click.echo(f"The tables are ready in {db.engine.url.render_as_string(hide_password=True)}.")
    click.echo(f"The data folder is {app_command.settings().data_dir}.")


@click.command(cls=app_command.AnyVersionCommand)
@output.as_json
def upgrade(as_json: bool) -> None:
    """Bring an older book to this version of the program. It makes a backup first.

    Run it after each update of the program. If it is interrupted, run it again. Pages answer that the book is
    being updated meanwhile, and nothing is sent.
    """
    from guestbook.storage import upgrade as storage_upgrade  # Alembic makes a start slower.

    report = storage_upgrade.run(app_command.settings(), progress=show_progress, waiting=say_waiting)
    if as_json:
        output.print_json(_document(report))
    else:
        _print(report)


def _print(report: "UpgradeReport") -> None:
    if not report.backup:
        click.echo(f"The book is up to date: it has version {report.after}.")
        return
    rows = sum(report.backup.rows.values())
    click.echo(f"The backup is in {report.backup.path}: {counted(rows, 'row')}, read again and compared.")
    for one in report.migrations:
        click.echo(f"{one.version}  {one.title} ({one.seconds:.1f} s)")
    click.echo(f"The book is up to date: it has version {report.after} now. It was {report.before}.")


def _document(report: "UpgradeReport") -> dict[str, Any]:
    return {
        "before": report.before,
        "after": report.after,
        "backup": str(report.backup.path) if report.backup else None,
        "migrations": [
            {"version": one.version, "title": one.title, "seconds": round(one.seconds, 3)}
            for one in report.migrations
        ],
    }


KEY_BYTES = 32
KEY_IS_SET = (
    "The secret key comes from a setting. Set GUESTBOOK_SECRET_KEY_FALLBACKS to the present key and "
    "GUESTBOOK_SECRET_KEY, or the file of GUESTBOOK_SECRET_KEY_FILE, to a new one, restart everything, and "
    "run this without --new-key."
)
NEW_KEY = (
    "The data folder has a new secret key. Restart the web server and workers now. Keep a copy of {} "
    "elsewhere. The old key is in {}: remove that file when links and logins from before may end."
)

STILL_OLD = "The secret key is still the old one."


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
    found = _encrypted(read.keyring)
    click.echo(f"Encrypted {counted(found.encrypted, 'secret')} again, of {found.total:,}.")
    if found.unreadable:
        rows = ", ".join(f"{table} {key}" for table, key in sorted(found.unreadable))
        doctor = app_command.typed("doctor")
        raise Refused(f"These have secrets that cannot be decrypted: {rows}. See: {doctor}")


def _with_new_key(read: Settings) -> Settings:
    """Put a new key into the data folder, and return the settings that a program reads from now on."""
    if not secret_key.is_in_data_folder(read.data_dir, read.secret_key):
        raise Refused(KEY_IS_SET)
    fresh = secrets.token_hex(KEY_BYTES)
    try:
        secret_key.replace(read.data_dir, fresh, read.secret_key)
    except OSError as error:
        raise Refused(f"{read.data_dir} cannot be written: {error.strerror}. {STILL_OLD}") from None
    return replace(read, secret_key=fresh, secret_key_fallbacks=read.secret_keys)


def _encrypted(keyring: Keyring) -> StoredSecrets:
    def encrypt(connection: Connection) -> StoredSecrets:
        found = stored_secrets.encrypt_all(connection, keyring)
        if found.encrypted:
            audit_log.record(connection, "rotated", "encryption", number=found.encrypted)
        return found

    return database.write_with_retry(db.engine, encrypt)


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
        others = book_file.take_over(file)
    except OSError as error:
        raise Refused(f"{file.parent} cannot be written: {error.strerror}.") from None
    names = ", ".join(host.name for host in others)
    click.echo(f"This host, {ids.host_name()}, uses {file} from now on.")
    click.echo(f"It does so in place of {names}." if names else "No other host has used it lately.")
