"""Write a file in one step: nobody reads half of it, and after a fault the old one is still there.

The new file has a random name until it is whole, and must not be there before. So no link is followed.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from guestbook.lib.errors import Refused


def refuse_link(path: Path) -> None:
    """Refuse to write where a link leads: somebody else may have put it there."""
    if path.is_symlink():
        raise Refused(f"{path} is a link. Name the file or the folder to which it leads.")


def replace(path: Path, text: str, *, is_secret: bool = False, is_first: bool = False) -> None:
    """Put a file with this text at the path; raises OSError."""
    with replacing(path, is_secret=is_secret, is_first=is_first) as file:
        file.write(text)


@contextmanager
def replacing(
    path: Path, encoding: str = "utf-8", *, is_secret: bool = False, is_first: bool = False
) -> Iterator[TextIO]:
    """Give a file to write, which takes the path in the end; raises OSError, and leaves nothing then.

    A secret can be read by its owner alone, and is on the disk before it takes the path. With `is_first` the
    file of another process that was faster stays.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if is_secret else 0o666)
    try:
        with os.fdopen(descriptor, "w", encoding=encoding, newline="") as file:
            yield file
            if is_secret:
                file.flush()
                os.fsync(descriptor)
        if not (is_first and _linked(fresh, path)):
            fresh.replace(path)
    finally:
        with suppress(OSError):
            fresh.unlink()


def _linked(fresh: Path, path: Path) -> bool:
    """Give the file the name as well, if it is free; return False where no step can do both."""
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        return path.exists()
    return True
