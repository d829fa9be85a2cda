"""The picture beside a comment: the same for the same name in this book, another one in any other book."""

import hashlib
import hmac
import unicodedata
from typing import NamedTuple

from guestbook.storage.preferences import Preferences


class CommentPicture(NamedTuple):
    """A drawn face, or one of the owner's characters in its place."""

    id: str  # of the face
    glyph: str | None


def of(name: str, book: Preferences, secret_key: str) -> CommentPicture | None:
    """Return the picture of whoever signs with this name; None where the owner wants none."""
    glyphs = book.glyphs.split()
    if book.pictures == "none" or (book.pictures == "glyphs" and not glyphs):
        return None
    picture_id = id_of(name, secret_key)
    is_drawn = book.pictures == "drawn"
    return CommentPicture(picture_id, None if is_drawn else glyphs[int(picture_id, 16) % len(glyphs)])


def id_of(name: str, secret_key: str) -> str:
    """Return 16 hexadecimal digits, from which nobody without the key can try names.

    Everybody may see them for any name. So their key is for them alone.
    """
    same = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name.strip()).casefold())
    key = hashlib.sha256(f"comment pictures {secret_key}".encode()).digest()
    return hmac.digest(key, same.encode(errors="replace"), "sha256")[:8].hex()
