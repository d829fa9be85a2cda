"""Whether the secrets in the database are encrypted, and can be decrypted."""

from collections import Counter
from collections.abc import Iterator

from guestbook.background.doctor.examined_book import ExaminedBook
from guestbook.background.doctor.finding import DoctorFinding, ok, problem, warning
from guestbook.lib.encryption import EXTRA_OF_ENCRYPTION, NO_PACKAGE, has_package
from guestbook.lib.text import counted
from guestbook.settings import installation, secret_key
from guestbook.settings.environment import SETTING_PREFIX
from guestbook.storage import stored_secrets

NOUNS = {"webhooks": "webhook", "sources": "source", "settings": "setting"}
OLD_KEY_ADVICE = (
    "Put the old secret key in {}, or in {}SECRET_KEY_FALLBACKS, and restart the web server and workers. "
    "If it is lost, give each of these a new secret; the page on the secret key says how."
)


def check_stored_secrets(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look at every secret: those that nobody can read keep deliveries waiting."""
    keyring = book.settings.keyring
    with book.engine.connect() as connection:
        found = stored_secrets.look(connection, keyring)
    if found.unreadable:
        rows = Counter(table for table, _ in found.unreadable)
        which = " and ".join(counted(rows[table], noun) for table, noun in NOUNS.items() if rows[table])
        sentence = f"Secrets of {which} cannot be decrypted, so what needs them waits. {found.why}"
        if found.why == NO_PACKAGE:
            yield problem("secrets", sentence, "Install it.", _install_command())
        else:
            path = book.settings.data_dir / secret_key.OLD_KEYS_FILE
            yield problem("secrets", sentence, OLD_KEY_ADVICE.format(path, SETTING_PREFIX))
    if found.total and not has_package():
        if not found.unreadable:
            sentence = "Secrets are stored unencrypted, because the package cryptography is not installed."
            yield warning("secrets", sentence, "Install it, then run encrypt-secrets.", _install_command())
    elif found.encrypted:
        sentence = (
            f"{counted(found.encrypted, 'secret')} must be encrypted again with the present secret key."
        )
        yield warning("secrets", sentence, "Encrypt them.", installation.typed("encrypt-secrets"))
    elif not found.unreadable:
        count = counted(found.total, "secret")
        yield ok("secrets", f"{count} can be decrypted." if found.total else "There is no secret to encrypt.")


def _install_command() -> str:
    return installation.install_command(EXTRA_OF_ENCRYPTION)
