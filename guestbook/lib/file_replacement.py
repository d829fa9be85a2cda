"""Write a file in one step: nobody reads half of it, and after a fault the old one is still there."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def replace(path: Path, text: str, *, is_secret: bool = False) -> None:
    """Put a file with this text at the path; raises OSError."""
    fresh = beside(path, text, is_secret=is_secret)
    try:
        fresh.replace(path)
    except OSError:
        _remove(fresh)
        raise


def beside(path: Path, text: str, *, is_secret: bool = False) -> Path:
    """Write a new file beside the path and return it; raises OSError, and leaves nothing then.

    A secret can be read by its owner alone, and is on the disk when this returns.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if is_secret else 0o666)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            if is_secret:
                file.flush()
                os.fsync(descriptor)
    except OSError:
        _remove(fresh)
        raise
    return fresh


def _remove(fresh: Path) -> None:
    with suppress(OSError):
        fresh.unlink()
