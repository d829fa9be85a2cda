"""The secret key of a restored book: it decrypts the book's secrets, and verifies what the book signed."""

import logging
from enum import Enum

from guestbook.settings import Settings, secret_key
from guestbook.storage.backup_file import BackupLabel

log = logging.getLogger(__name__)


class KeyFate(Enum):
    """Whether this host has the backup's key."""

    SAME = "same"  # it is in use, or among the older keys
    RESTORED = "restored"  # it is in the data folder now; running web servers have the other until a restart
    DIFFERENT = "different"  # this host has another one


def place(settings: Settings, label: BackupLabel) -> KeyFate:
    """Put the key in the data folder, if an earlier program left it in the backup and no setting has one.

    The present key stays beside it: the secrets of an older book were encrypted with that on their way here.
    """
    if settings.keyring.has(label.key_id):
        return KeyFate.SAME
    if not label.secret_key or not secret_key.is_in_data_folder(settings.data_dir, settings.secret_key):
        return KeyFate.DIFFERENT
    try:
        secret_key.replace(settings.data_dir, label.secret_key, settings.secret_key)
    except OSError as error:
        log.warning("The secret key cannot be written to %s: %s.", settings.data_dir, error.strerror)
        return KeyFate.DIFFERENT
    return KeyFate.RESTORED
