"""Characters as people see them: é, 🐚 and 👩‍🚀 are one each, whatever they are made of. Pure."""

import re
import unicodedata

from guestbook.lib import text

CODE_POINTS = 16  # of one character: a family of four with skin tones has eleven
JOINER = "\u200d"
FLAG = re.compile("[\U0001f1e6-\U0001f1ff]{2}")
SKIN_TONES_AND_TAGS = re.compile("[\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
PICTOGRAPHS = ("So", "Cn")  # categories; new emoji are unknown to an older Python


def one_a_word(value: str, most: int) -> str:
    """Return the characters with a blank between them; raises ValueError with a sentence for a person."""
    words = text.clean_line(value).split()
    if len(words) > most:
        raise ValueError(f"These are {len(words):,} characters. Please use at most {most}.")
    for word in words:
        if not is_one(word):
            shown = text.shortened(word, CODE_POINTS)
            raise ValueError(f"“{shown}” is not one character. Please put a blank between two characters.")
    return " ".join(words)


def is_one(word: str) -> bool:
    """Whether it is one visible character, by UAX 29 without its rules for jamo and Indic conjuncts."""
    if len(word) > CODE_POINTS or text.clean_line(word) != word:
        return False
    parts = word.split(JOINER)
    joins = len(parts) == 1 or all(unicodedata.category(part[:1] or " ") in PICTOGRAPHS for part in parts)
    return joins and all(_is_marked(part) for part in parts)


def _is_marked(part: str) -> bool:
    """Whether it is a flag, or a character with nothing but marks behind it."""
    if not part or FLAG.fullmatch(part):
        return bool(part)
    base = unicodedata.category(part[0])
    is_seen = base == "Cn" or base[0] not in "CMZ"
    return is_seen and all(
        unicodedata.category(one)[0] == "M" or SKIN_TONES_AND_TAGS.match(one) for one in part[1:]
    )
