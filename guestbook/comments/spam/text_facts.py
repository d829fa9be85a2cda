"""What a text holds that spam often holds: links, markup for links, numbers to call, other scripts. Pure."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

# The page makes links of these: an address, or a bare host under one of the old top-level domains.
LINK_PATTERN = re.compile(
    r"https?://[\w.-]*|\bwww\.[\w.-]+|(?<![@\w.-])[\w-]+(?:\.[\w-]+)*\.(?:com|net|int|edu|gov|org|info|mil)\b",
    re.IGNORECASE,
)
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
SCRIPT_NAMES = {  # the first word of a letter's name in Unicode; what is written together counts as one
    "CJK": "Chinese or Japanese",
    "HIRAGANA": "Chinese or Japanese",
    "KATAKANA": "Chinese or Japanese",
    "HANGUL": "Korean",
    "LATIN": "Latin",
    "CYRILLIC": "Cyrillic",
    "GREEK": "Greek",
}
LOOKALIKE_SCRIPTS = {"Latin", "Cyrillic", "Greek"}
FEWEST_LETTERS = 4  # of a script, to count as used
SHARE = 0.3  # of the letters
LETTERS_READ = 600  # of a text; the rest looks the same
ONE_WORD = re.compile(r"[^\W\d_]+")


@lru_cache(maxsize=16)  # several rules ask for them
def links(text: str) -> int:
    """Return how many links the page would make of it, roughly."""
    return len(LINK_PATTERN.findall(text))


@lru_cache(maxsize=16)
def link_markup(text: str) -> Mapping[str, int]:
    """Return how many links it writes in BBCode, HTML and Markdown."""
    found = {kind: len(pattern.findall(text)) for kind, pattern in LINK_MARKUP.items()}
    return MappingProxyType({kind: count for kind, count in found.items() if count})


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
