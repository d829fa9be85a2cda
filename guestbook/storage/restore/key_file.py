"""The secret key of a restored book: what it signed or hashed is worth nothing under another one."""

import logging
from enum import Enum

from guestbook.lib import file_replacement
from guestbook.settings import Settings, secret_key

log = logging.getLogger(__name__)


class KeyFate(Enum):
    """What became of the backup's key."""

    SAME = "same"  # it is the one in use
    RESTORED = "restored"  # it is in the data folder now; running web servers have the other until a restart
    DIFFERENT = "different"  # a setting has another one


def place(settings: Settings, key: str) -> KeyFate:
    """Put the key in the data folder, if that is where the present one comes from."""
    if key == settings.secret_key:
        return KeyFate.SAME
    path = settings.data_dir / secret_key.KEY_FILE
    try:
        if path.read_text().strip() != settings.secret_key:
            return KeyFate.DIFFERENT
        file_replacement.replace(path, key, is_secret=True)
    except OSError as error:
        log.warning("The secret key cannot be written to %s: %s.", path, error.strerror)
        return KeyFate.DIFFERENT
    return KeyFate.RESTORED
