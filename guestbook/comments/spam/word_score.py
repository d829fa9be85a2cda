"""The words of a comment, and a score from those that the owner judged before: naive Bayes. Pure."""

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import urlsplit

from guestbook.comments.comment_form import Draft
from guestbook.comments.spam import advertising_words, texts

FEATURE_LIMIT = 300  # of one comment, so that a decision changes few rows
TEXT_READ = 2000  # characters of a message
WORD_LIMIT = 30  # characters
ANY_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
# Scripts that put no spaces between words: pairs of letters take their place.
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
URL = re.compile(r"(?:https?://|\bwww\.)(\S{1,200})", re.IGNORECASE)
NUMBER = re.compile(r"\d+")
ANY_NUMBER = "(a number)"
HAS_OWN_WEBSITE, HAS_OTHER_WEBSITE = "(a website with that name)", "(a website with another name)"
HAS_LINK, HAS_MARKUP = "(a link)", "(markup for links)"
HAS_MONEY, HAS_CONTACT, HAS_MAIL = "(money or percent)", "(a contact)", "(an e-mail address)"
HAS_OFFER, HAS_PRAISE = "(a word of advertising)", "(praise for any page)"
SIGNS = (
    HAS_OWN_WEBSITE,
    HAS_OTHER_WEBSITE,
    HAS_LINK,
    HAS_MARKUP,
    HAS_MONEY,
    HAS_CONTACT,
    HAS_MAIL,
    HAS_OFFER,
    HAS_PRAISE,
)
NAME_PART = 3  # letters of a name that a host has too
TOP_LEVEL = re.compile(r"\.[a-z]{2,10}(?=[/:?#\s]|$)")  # says little, and would be in every address


def features_of(draft: Draft) -> list[str]:
    """Return the features, each once: words, pairs of words, words of addresses, and a few signs."""
    text = _folded("\n".join(filter(None, (draft.message[:TEXT_READ], draft.note))))
    addresses = " ".join([*URL.findall(text), _folded(draft.website or "")])
    words = _words(URL.sub(" ", text))
    pairs = [f"{one} {two}" for one, two in pairwise(words) if ANY_NUMBER not in (one, two)]
    names = _words(_folded(f"{draft.name} {draft.place or ''}"))
    found = [*_signs(draft, text), *_address_words(addresses), *names, *words, *pairs]
    return list(dict.fromkeys(found))[:FEATURE_LIMIT]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _words(text: str) -> list[str]:
    """Return words of spaced scripts and pairs of letters of the others; a number counts as any number."""
    words: list[str] = []
    for word in ANY_WORD.findall(UNSPACED.sub(" ", text)):
        words.append(ANY_NUMBER if NUMBER.fullmatch(word) else word[:WORD_LIMIT])
    for run in UNSPACED.findall(text):
        words += [run[place : place + 2] for place in range(len(run) - 1)] or [run]
    return words


def _address_words(text: str) -> list[str]:
    """Return the words in hosts and paths, which say what is sold there."""
    words = ANY_WORD.findall(re.sub(r"https?://|\bwww\.|[\d_-]+", " ", TOP_LEVEL.sub(" ", text)))
    return [word[:WORD_LIMIT] for word in words if len(word) > 2]


def _signs(draft: Draft, text: str) -> list[str]:
    host = urlsplit(draft.website or "").hostname or ""
    names = [word for word in _words(_folded(draft.name)) if len(word) >= NAME_PART]
    is_own = any(word in host for word in names)
    holds = (
        bool(host) and is_own,
        bool(host) and not is_own,
        bool(texts.links(text)),
        bool(texts.link_markup(text)),
        bool(texts.MONEY.search(text)),
        bool(texts.contact(text)),
        bool(texts.MAIL_LIKE.search(text)),
        bool(advertising_words.sold(text)),
        bool(advertising_words.praise(text)),
    )
    return [sign for sign, is_there in zip(SIGNS, holds, strict=True) if is_there]


FEWEST_DECISIONS = 30  # of each kind, before the score says anything: chance rules in fewer
TIMES_AS_OFTEN = 3  # in one kind as in the other, or a word tells nothing: "with" and "your" are in both
CERTAINTY = 0.6  # standard errors that are taken off a weight, so that a word seen once says little
CERTAINTY_IN_BOTH = 1.5  # the same for a word that was in both kinds, as most common words are
SMOOTHING = 0.5  # added to each count, so that none is zero
TELLING_WORDS = 40  # of a comment that count: the strongest
STRONGEST = 3.5  # weight of one word, so that none decides alone
STRONGEST_SIGN = 2.0  # weight of a sign, such as a website, which many good comments have too
SUSPICIOUS = 5.6  # a sum of weights; e^5.6: about 270 to 1
EXPLAINED = 3  # words in a reason


class Count(NamedTuple):
    """In how many comments that the owner published, and marked as spam, a word was."""

    good: int
    spam: int


class Score(NamedTuple):
    """The sum of the words' weights, and the words that speak most for spam with their counts."""

    weight: float
    evidence: tuple[tuple[str, int], ...]

    @property
    def is_suspicious(self) -> bool:
        """Whether the comment looks like those that the owner marked as spam."""
        return self.weight >= SUSPICIOUS


def of(words: Iterable[str], counts: Mapping[str, Count], decisions: Count) -> Score | None:
    """Weigh the words of a comment; None while there are too few decisions."""
    if min(decisions) < FEWEST_DECISIONS:
        return None
    weighed = [(_weight(word, counts[word], decisions), word) for word in words if word in counts]
    telling = sorted(weighed, key=lambda one: -abs(one[0]))[:TELLING_WORDS]
    speaking = [(word, counts[word].spam) for weight, word in telling if weight > 0]
    speaking.sort(key=lambda one: one[0] in SIGNS)  # words say more to a person
    return Score(sum(weight for weight, _ in telling), tuple(speaking[:EXPLAINED]))


def _weight(word: str, count: Count, decisions: Count) -> float:
    """Return the logarithm of how much likelier the word is in spam than in other comments."""
    shares = count.good / decisions.good, count.spam / decisions.spam
    if max(shares) < TIMES_AS_OFTEN * min(shares):
        return 0.0
    good, spam = count.good + SMOOTHING, count.spam + SMOOTHING
    all_good, all_spam = decisions.good + 2 * SMOOTHING, decisions.spam + 2 * SMOOTHING
    likelier = math.log(spam / all_spam * all_good / good)
    error = math.sqrt(max(0.0, 1 / spam - 1 / all_spam + 1 / good - 1 / all_good))  # of such a logarithm
    doubt = error * (CERTAINTY_IN_BOTH if min(shares) else CERTAINTY)
    limit = STRONGEST_SIGN if word in SIGNS else STRONGEST
    return math.copysign(min(limit, max(0.0, abs(likelier) - doubt)), likelier)
