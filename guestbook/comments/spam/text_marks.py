"""What spam rules look at in a text. Its marks find texts that are almost the same.

The lists have words of what spam sells and of how it flatters, in some languages. One alone proves nothing.
They are the beginnings of words: `casino` finds casinos too. Each book learns further words from its owner.
"""

import hashlib
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, delete
from sqlalchemy.orm import Session

from guestbook.storage import plain_sql
from guestbook.storage.models import Comment, TextMark
from guestbook.storage.plain_sql import Select

# The page makes links of these: an address, or a bare host under one of the old top-level domains.
BARE_HOST = r"(?<![@\w.-])[\w-]+(?:\.[\w-]+)*\.(?:com|net|int|edu|gov|org|info|mil)\b"
LINK_PATTERN = re.compile(rf"https?://[\w.-]*|\bwww\.[\w.-]+|{BARE_HOST}", re.IGNORECASE)
# In a name also hosts that the page would not link. A host has a letter before its dot, "J.R." has one only.
NAME_LINK = re.compile(
    r"https?:|\bwww\.|[\w-]{3,}\.(?:com|net|org|info|biz|ru|cn|xyz|top|shop|online|site|club|store|vip)\b",
    re.IGNORECASE,
)
LINK_MARKUP = {
    "BBCode": re.compile(r"\[(?:url|link)\b[^\]\n]{0,300}\]", re.IGNORECASE),
    "HTML": re.compile(r"<a\s[^>\n]{0,300}\bhref\b", re.IGNORECASE),
    "Markdown": re.compile(r"\]\(\s{0,9}https?://", re.IGNORECASE),
}
# Nine digits or more, as people write numbers to call, and not part of a longer code.
TELEPHONE = re.compile(r"(?<![\w./-])(?:\+|00|\(?\d)(?:[ ().\u2011-]{0,2}\d){8,13}(?![\w/-])")
CONTACT_WORD = re.compile(
    r"whats ?app|telegram|viber|加微信|微信号|\b(?:wechat|line id)\b|"
    r"\b(?:toll.?free|helpline|customer (?:care|service|support)|contact (?:me|us|him|her))\b",
    re.IGNORECASE,
)
MONEY = re.compile(
    r"[$€£¥₽] ?\d|\d ?(?:[$€£¥₽]|(?:%|percent|prozent) (?:off|cheaper|rabatt|discount|bonus))"
    r"|\d{2} (?:euros?|usd|dollars?|руб)",
    re.IGNORECASE,
)
ACCOUNT = re.compile(r"@\w|\d{5}|信.{0,3}[a-z]+\d")
MAIL_LIKE = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}\.\w")
SCRIPT_NAMES = {  # by the first word of a letter's name in Unicode, if they differ
    "CJK": "Chinese or Japanese",
    "HIRAGANA": "Chinese or Japanese",
    "KATAKANA": "Chinese or Japanese",
    "HANGUL": "Korean",
}
LOOKALIKE_SCRIPTS = {"Latin", "Cyrillic", "Greek"}
FEWEST_LETTERS = 4  # letters of a script that is used
SHARE = 0.3  # a share of the letters
LETTERS_READ = 600  # The rest of a text looks the same.
ONE_WORD = re.compile(r"[^\W\d_]+")


def links(text: str) -> int:
    """Return how many links the page would make of it, roughly."""
    return len(LINK_PATTERN.findall(text))


def link_markup(text: str) -> dict[str, int]:
    """Return how many links it writes in BBCode, HTML and Markdown."""
    found = {kind: len(pattern.findall(text)) for kind, pattern in LINK_MARKUP.items()}
    return {kind: count for kind, count in found.items() if count}


def contact(text: str) -> str | None:
    """Return what kind of contact a stranger gives for business: a telephone number or an account."""
    has_number, word = TELEPHONE.search(text), CONTACT_WORD.search(text)
    if word and (has_number or ACCOUNT.search(text)):
        return f"“{word[0]}” with a number or an account"
    return "a telephone number" if has_number else None


def scripts(text: str) -> frozenset[str]:
    """Return the writing systems that make up a good part of a text; a foreign word makes none."""
    counts = Counter(map(_script, filter(str.isalpha, text[:LETTERS_READ])))
    letters = counts.total()
    return frozenset(
        script for script, count in counts.items() if count >= FEWEST_LETTERS and count >= SHARE * letters
    )


def used_scripts(texts: Iterable[str]) -> frozenset[str]:
    """Return the writing systems of which any of the texts has a letter."""
    return frozenset(map(_script, filter(str.isalpha, set("".join(texts)))))


def mixed_word(text: str) -> str | None:
    """Return a word that mixes letters of scripts that only look alike, as spam does to hide its words."""
    for match in ONE_WORD.finditer(text[: 4 * LETTERS_READ]):
        if len(match[0]) > 3 and len(LOOKALIKE_SCRIPTS & set(map(_script, match[0]))) > 1:
            return match[0][:30]
    return None


def _script(letter: str) -> str:
    if letter.isascii():
        return "Latin"
    first = unicodedata.name(letter, "UNKNOWN").partition(" ")[0]
    return SCRIPT_NAMES.get(first, first.capitalize())


FEWEST_LETTERS_MARKED = 40  # Shorter greetings are often the same.
PART = 8  # letters of the overlapping parts that texts are compared by
SAME_SHARE = 0.6  # a share of the parts of both texts
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
    overlapping = [letters[place : place + PART] for place in range(len(letters) - PART + 1)]
    return set(map(str.encode, overlapping))


@lru_cache(maxsize=16)  # A new comment needs them twice.
def marks_of(text: str) -> tuple[str, str] | None:
    """Return the marks of a text, or None if it is short.

    Each is the part with the smallest checksum of one kind. Two texts have the same one as likely as a part
    of both is in each of them (min-wise hashing).
    """
    found = parts(text)
    if not found:
        return None
    first, second = min(found, key=zlib.crc32), min(found, key=lambda part: zlib.crc32(part, SECOND_SEED))
    return _hash(first), _hash(second)


def is_almost_same(one: set[bytes], other: set[bytes]) -> bool:
    """Whether most parts of the two texts are in both."""
    return len(one & other) >= SAME_SHARE * len(one | other) > 0


def _hash(part: bytes) -> str:
    return hashlib.blake2b(part, digest_size=8).hexdigest()


COMPARED = 5  # newest comments for each mark
WITH_MARK = [
    "SELECT comment_id FROM text_marks"
    f" WHERE text_marks.{column} = :mark ORDER BY comment_id DESC LIMIT {COMPARED}"
    for column in ("first", "second")
]
ADD_MARKS = plain_sql.insertion("text_marks", ("comment_id", "first", "second"))
COMPARED_COLUMNS = "SELECT name, status, message FROM comments WHERE id IN "


def find_repeated(select: Select, name: str, message: str, own_id: str | None = None) -> Repeated | None:
    """Return another comment with almost the same text, rather one that is spam; None without one."""
    marks = marks_of(message)
    if marks is None:
        return None
    looks = zip(WITH_MARK, marks, strict=True)
    near = {comment_id for query, mark in looks for (comment_id,) in select(query, mark=mark)}
    near.discard(own_id or "")
    if not near:
        return None
    mine, (ids, named) = parts(message), plain_sql.listed(near)
    found = [
        Repeated(its_name == name, status)
        for its_name, status, text in select(COMPARED_COLUMNS + ids, **named)
        if is_almost_same(mine, parts(text))
    ]
    return min(found, key=lambda one: one.status != "spam", default=None)


def remember_new_text(connection: Connection, comment: Comment) -> None:
    """Store the marks of a comment that has none, in the caller's transaction."""
    if marks := marks_of(comment.message):
        values = {"comment_id": comment.id, "first": marks[0], "second": marks[1]}
        plain_sql.run(connection, ADD_MARKS, **values)


def remember_text(session: Session, comment: Comment) -> None:
    """Store the marks of a comment that is new or has another text, in the caller's transaction."""
    session.execute(delete(TextMark).where(TextMark.comment_id == comment.id))
    remember_new_text(session.connection(), comment)


SPACELESS = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
SOLD, PRAISE = "advertising", "praise"  # files of beginnings of words, several a line


@cache  # This takes longer than all else in the file.
def _pattern(kind: str) -> re.Pattern[str]:
    """Return a pattern that finds the words at the beginning of words, and anywhere in unspaced scripts."""
    words = sorted(_listed(kind), key=len, reverse=True)
    spaced = "|".join(re.escape(word) for word in words if not SPACELESS.search(word))
    unspaced = "|".join(re.escape(word) for word in words if SPACELESS.search(word))
    return re.compile(rf"(?<![^\W_])(?:{spaced})|{unspaced}")


def _listed(kind: str) -> list[str]:
    lines = Path(__file__).with_name(f"{kind}.txt").read_text(encoding="utf-8").splitlines()
    listed = ",".join(line for line in lines if not line.startswith("#"))
    return [word.strip() for word in listed.split(",") if word.strip()]


@lru_cache(maxsize=5_000)  # No list has more words.
def beginning_of(word: str) -> re.Pattern[str]:
    """Return a pattern that finds a word or phrase of the owner's list in the same way."""
    return re.compile(re.escape(word) if SPACELESS.search(word) else rf"(?<![^\W_]){re.escape(word)}")


@cache
def common_words() -> frozenset[str]:
    """Return words that are common in every text, in many languages."""
    return frozenset(_listed("common_words"))


def sold(text: str) -> list[str]:
    """Return the words for what spam sells that a casefolded text holds, each once."""
    return list(dict.fromkeys(_pattern(SOLD).findall(text)))


def praise(text: str) -> list[str]:
    """Return the words with which spam flatters any page that a casefolded text holds, each once."""
    return list(dict.fromkeys(_pattern(PRAISE).findall(text)))
