"""The secret key of a restored book: what it signed or hashed is worth nothing under another one."""

import logging
import os
import secrets
from enum import Enum
from pathlib import Path

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
        _write(path, key)
    except OSError as error:
        log.warning("The secret key cannot be written to %s: %s.", path, error.strerror)
        return KeyFate.DIFFERENT
    return KeyFate.RESTORED


def _write(path: Path, key: str) -> None:
    fresh = path.with_name(f".{secret_key.KEY_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
