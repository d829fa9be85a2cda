"""Whether two texts are almost the same, and two marks that let a table find such texts. Pure."""

import hashlib
import re
import unicodedata
import zlib
from functools import lru_cache
from typing import NamedTuple

FEWEST_LETTERS_MARKED = 40  # shorter greetings are often the same
PART = 8  # letters of the overlapping parts that texts are compared by
SAME_SHARE = 0.6  # of the parts of both texts, which makes them almost the same
SECOND_SEED = 0x5EED
ADDRESSES = re.compile(r"https?://\S+|\bwww\.\S+", re.IGNORECASE)
NOT_LETTERS = re.compile(r"[\W\d_]+")


class Repeated(NamedTuple):
    """An earlier comment with almost the same text."""

    same_name: bool
    status: str


def parts(text: str) -> set[bytes]:
    """Return the overlapping parts of the letters of a text, without addresses; none of a short text."""
    folded = unicodedata.normalize("NFKC", ADDRESSES.sub(" ", text)).casefold()
    letters = NOT_LETTERS.sub("", folded)
    if len(letters) < FEWEST_LETTERS_MARKED:
        return set()
    places = range(len(letters) - PART + 1)
    if letters.isascii():
        text_bytes = letters.encode()
        return {text_bytes[place : place + PART] for place in places}  # the same, in half the time
    return {letters[place : place + PART].encode() for place in places}


@lru_cache(maxsize=16)  # a new comment needs them twice: to be compared, and to be compared with
def marks_of(text: str) -> tuple[str, str] | None:
    """Return the marks of a text, or None if it is short."""
    return marks(parts(text))


def marks(found: set[bytes]) -> tuple[str, str] | None:
    """Return the marks of a text's parts, or None without parts.

    Each is the part with the smallest checksum of one kind. Two texts have the same one as likely as a part
    of both is in each of them (min-wise hashing).
    """
    if not found:
        return None
    first, second = min(found, key=zlib.crc32), min(found, key=lambda part: zlib.crc32(part, SECOND_SEED))
    return _hash(first), _hash(second)


def is_almost_same(one: set[bytes], other: set[bytes]) -> bool:
    """Whether most parts of the two texts are in both."""
    return len(one & other) >= SAME_SHARE * len(one | other) > 0


def _hash(part: bytes) -> str:
    return hashlib.blake2b(part, digest_size=8).hexdigest()
