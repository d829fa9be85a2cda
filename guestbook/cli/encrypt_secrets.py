"""The command that encrypts all secrets in the database again."""

import secrets
from dataclasses import replace

import click
from sqlalchemy import Connection

from guestbook.cli import app_command
from guestbook.lib.encryption import EXTRA_OF_ENCRYPTION, Keyring
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
from guestbook.settings import Settings, installation, secret_key
from guestbook.storage import audit_log, stored_secrets, transaction_retry
from guestbook.storage.database import db
from guestbook.storage.stored_secrets import StoredSecrets

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
        click.echo(NEW_KEY.format(*files))  # now, for the rest may fail
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

    return transaction_retry.write(db.engine, encrypt)
