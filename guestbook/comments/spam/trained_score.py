"""The trained score: what 1,200 comments in forty languages teach a book that has learned nothing itself.

It is a logistic regression. `scripts/train_spam_score` computes its weights from the corpus of the tests.
"""

import math
import re
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from guestbook.comments.comment_form import Draft
from guestbook.comments.spam import learned_words, text_marks
from guestbook.comments.spam.learned_words import ANY_NUMBER, ANY_WORD, URL, folded

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
    "(an e-mail address)": text_marks.MAIL_LIKE.search,
    "(a telephone number)": text_marks.TELEPHONE.search,
    "(an account)": ACCOUNT.search,
    "(a hidden address)": lambda text: HIDDEN_ADDRESS.search(URL.sub(" ", text)),
}
OTHER_SIGNS: dict[str, Callable[[str], object]] = {
    PRICE: lambda text: text_marks.MONEY.search(text) or "%" in text or "٪" in text,
    "(links)": lambda text: text_marks.links(text) > 1,
    "(markup for links)": text_marks.link_markup,
    "(a disguised word)": lambda text: re.search(r"[a-z]\d[a-z]", URL.sub(" ", text)),
    "(letters at random)": lambda text: len(RANDOM_LETTERS.findall(text.replace("sch", "s"))) > 1,
    "(a short text)": lambda text: len(ANY_WORD.findall(text)) < 6,
    "(a question)": lambda text: "?" in text,
    "(an exclamation)": lambda text: "!" in text,
}


class TrainedScore(NamedTuple):
    """The logarithm of the odds that a comment is spam, and the words that speak most for it."""

    weight: float
    evidence: tuple[str, ...] = ()


def of(draft: Draft) -> TrainedScore:
    """Weigh a comment by what the corpus taught. A note to the owner leads nobody away."""
    name = f"{draft.name} {draft.place or ''}"
    return _of(name, draft.website or "", draft.message[: learned_words.TEXT_READ])


@lru_cache(maxsize=16)  # Several rules ask for it.
def _of(name: str, website: str, message: str) -> TrainedScore:
    known, (signs, pieces) = _weights(), features_of(name, website, message)
    all_pieces = set().union(*pieces.values())
    weight = sum(known.get(one, 0.0) for one in (BIAS, *signs)) + _mean(known, all_pieces)
    telling = (word for word in pieces if len(word) > (3 if word.isascii() else 1) and word != ANY_NUMBER)
    speaking = {word: _mean(known, pieces[word]) for word in telling}
    most = sorted(speaking, key=lambda word: -speaking[word])[:EXPLAINED]
    return TrainedScore(weight, tuple(word for word in most if speaking[word] > 0))


def _mean(known: dict[str, float], pieces: set[str]) -> float:
    return sum(known.get(piece, 0.0) for piece in pieces) / math.sqrt(max(1, len(pieces)))


@cache
def _weights() -> dict[str, float]:
    lines = (line.split("\t") for line in WEIGHTS.read_text(encoding="utf-8").splitlines()[1:])
    return {feature: int(weight) / 100 for feature, weight in lines}


def features_of(name: str, website: str, message: str) -> tuple[set[str], dict[str, set[str]]]:
    """Return signs, which count in full, and words with the overlapping pieces that other forms share."""
    text, name, host = folded(message), folded(name), urlsplit(website).hostname or ""
    typed = learned_words.words(f"{URL.sub(' ', text)} {name}")
    words = dict.fromkeys([*typed, *learned_words.host_words([*URL.findall(text), folded(website)])])
    return _signs(text, name, host), {word: _pieces(word) for word in words}


def _pieces(word: str) -> set[str]:
    bounded = f"_{word}_"
    if word == ANY_NUMBER:
        return {word}
    return {word, *(f"~{bounded[place : place + PIECE]}" for place in range(len(bounded) - PIECE + 1))}


def _signs(text: str, name: str, host: str) -> set[str]:
    away = {sign for sign, find in LEADS_AWAY.items() if find(text)}
    if host:
        away.add(learned_words.website_sign(name, host))
    found = {sign for sign, find in OTHER_SIGNS.items() if find(text)}
    sold, praise = text_marks.sold(f"{name} {host} {text}"), text_marks.praise(text)
    for sign, words in ((ADVERTISING, sold), (PRAISE, praise)):
        found |= {sign if count == 1 else f"{sign} × {count}" for count in range(1, min(3, len(words)) + 1)}
    if sold and text_marks.sold(f"{name} {host}"):
        found.add("(advertising in name or host)")
    crossed = {f"{sign} that leads away" for sign in found & {PRICE, ADVERTISING, PRAISE}}
    return found | (away | crossed if away else {"(nothing leads away)"})
