"""The trained score: what 1,200 comments in forty languages teach a book that has learned nothing itself.

It is a logistic regression. `scripts/train_spam_score` computes its weights from the corpus of the tests.
"""

import math
import re
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from guestbook.comments.comment_form import Draft
from guestbook.comments.spam import learned_words, text_marks
from guestbook.comments.spam.learned_words import ANY_NUMBER, ANY_WORD, IN_ADDRESS, URL, folded

WEIGHTS = Path(__file__).with_name("trained_weights.txt")  # a feature, a tab and its weight in hundredths
BIAS = "(any comment)"
PIECE = 4  # letters of the overlapping pieces of a word
EXPLAINED = 3  # words in a reason
# Hosts that a page does not link, or that are written so that only people find them.
HIDDEN_ADDRESS = re.compile(
    r"\w ?[\[({] ?(?:\.|dot|punkt|point|punto|точка) ?[\])}] ?\w|\w \. ?\w{2,}|\w dot \w{2,}|hxxp"
    r"|\b(?:\w ){4,}\w\b|\b[a-z\d-]{4,}\.[a-z]{2,8}\b"
)
ACCOUNT = re.compile(
    r"\bt\.me/|\bwa\.me/|whats ?app|viber|discord|skype|\bzalo\b|\bline id\b|qq ?\d|[@＠]\w{4,}|微信"
    r"|カカオ|카톡|telegr|телегр|скайп|вотсап|вайбер|واتس|تلگرام|تيليجرام|טלגרם|ווטסאפ|व्हाट्स|হোয়াটস|ไลน์"
)
RANDOM_LETTERS = re.compile(r"[bcdfghjklmnpqrstvwxz]{4}")
PRICE, ADVERTISING, PRAISE = "(a price)", "(a word of advertising)", "(praise for any page)"
LEADS_AWAY: dict[str, Callable[[str], object]] = {  # a sign → what finds it in a text
    "(a link)": text_marks.links,
    "(links)": lambda text: text_marks.links(text) > 1,
    "(markup for links)": text_marks.link_markup,
    "(an e-mail address)": text_marks.MAIL_LIKE.search,
    "(a telephone number)": text_marks.TELEPHONE.search,
    "(an account)": ACCOUNT.search,
}
OTHER_SIGNS: dict[str, Callable[[str], object]] = {  # The same in a text without its addresses.
    PRICE: lambda text: text_marks.MONEY.search(text) or "%" in text or "٪" in text,
    "(a disguised word)": lambda text: re.search(r"[a-z]\d[a-z]", text),
    "(letters at random)": lambda text: len(RANDOM_LETTERS.findall(_rare(text).replace("sch", "s"))) > 1,
    "(a short text)": lambda text: len(ANY_WORD.findall(text)) < 6,
    "(a question)": lambda text: "?" in text,
    "(an exclamation)": lambda text: "!" in text,
}


class TrainedScore(NamedTuple):
    """The logarithm of the odds that a comment is spam, and the words that speak most for it."""

    weight: float
    telling: float  # the same without common words
    evidence: tuple[str, ...] = ()

    def plus(self, weight: float, telling: float) -> "TrainedScore":
        """Return the score with more on both sums."""
        return self._replace(weight=self.weight + weight, telling=self.telling + telling)


def of(draft: Draft) -> TrainedScore:
    """Weigh a comment by what the corpus taught. A note to the owner leads nobody away."""
    name = f"{draft.name} {draft.place or ''}"
    return _of(name, draft.website or "", draft.message[: learned_words.TEXT_READ])


@lru_cache(maxsize=16)  # Several rules ask for it.
def _of(name: str, website: str, message: str) -> TrainedScore:
    known, (signs, pieces) = _weights(), features_of(name, website, message)
    all_pieces, uncommon = set().union(*pieces.values()), _uncommon(pieces)
    plain = sum(known.get(one, 0.0) for one in (BIAS, *signs))
    weight = plain + _mean(known, all_pieces)
    telling = plain + _mean(known, set().union(*uncommon.values()))
    speaking = {word: _mean(known, parts) for word, parts in uncommon.items() if _is_word(word)}
    most = sorted(speaking, key=lambda word: -speaking[word])[:EXPLAINED]
    return TrainedScore(weight, telling, tuple(word for word in most if speaking[word] > 0))


def _uncommon(pieces: dict[str, set[str]]) -> dict[str, set[str]]:
    return {word: parts for word, parts in pieces.items() if word not in text_marks.common_words()}


def _rare(text: str) -> str:
    return " ".join(word for word in ANY_WORD.findall(text) if word not in text_marks.common_words())


def _is_word(word: str) -> bool:
    return len(word.removeprefix(IN_ADDRESS)) > (3 if word.isascii() else 1) and word != ANY_NUMBER


def _mean(known: dict[str, float], pieces: set[str]) -> float:
    return sum(known.get(piece, 0.0) for piece in pieces) / math.sqrt(max(1, len(pieces)))


@cache
def _weights() -> dict[str, float]:
    lines = (line.split("\t") for line in WEIGHTS.read_text(encoding="utf-8").splitlines()[1:])
    return {feature: int(weight) / 100 for feature, weight in lines}


def features_of(name: str, website: str, message: str) -> tuple[set[str], dict[str, set[str]]]:
    """Return signs, which count in full, and words with the overlapping pieces that other forms share."""
    text, name, hosts = folded(message), folded(name), [learned_words.host_of(website)]
    spoken = URL.sub(" ", text)
    signs = _signs(text, spoken, name, hosts[0])
    hosts += URL.findall(text)
    words = dict.fromkeys([*learned_words.words(f"{spoken} {name}"), *learned_words.host_words(hosts)])
    return signs, {word: _pieces(word) for word in words}


def _pieces(word: str) -> set[str]:
    plain = word.removeprefix(IN_ADDRESS)
    if word == ANY_NUMBER:
        return {word}
    if plain != word and plain in text_marks.common_words():
        return set()
    bounded = f"_{plain}_"
    return {word, *(f"~{bounded[place : place + PIECE]}" for place in range(len(bounded) - PIECE + 1))}


def _signs(text: str, spoken: str, name: str, host: str) -> set[str]:
    away = {sign for sign, find in LEADS_AWAY.items() if find(text)}
    if HIDDEN_ADDRESS.search(spoken):
        away.add("(a hidden address)")
    if host:
        away.add(learned_words.website_sign(name, host))
    found = {sign for sign, find in OTHER_SIGNS.items() if find(spoken)}
    outside = " ".join([name, host, *URL.findall(text)])
    sold, praise = text_marks.sold(f"{outside} {spoken}"), text_marks.praise(spoken)
    for sign, words in ((ADVERTISING, sold), (PRAISE, praise)):
        found |= {sign if count == 1 else f"{sign} × {count}" for count in range(1, min(3, len(words)) + 1)}
    if sold and text_marks.sold(outside):
        found.add("(advertising in name or host)")
    crossed = {f"{sign} that leads away" for sign in found & {PRICE, ADVERTISING, PRAISE}}
    return found | (away | crossed if away else {"(nothing leads away)"})
