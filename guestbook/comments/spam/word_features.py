"""The words that the score learns from: those of all that a visitor types. Pure."""

import re
import unicodedata
from itertools import pairwise
from urllib.parse import urlsplit

from guestbook.comments.comment_form import Draft
from guestbook.comments.spam import advertising_words, text_facts

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


def of(draft: Draft) -> list[str]:
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
        bool(text_facts.links(text)),
        bool(text_facts.link_markup(text)),
        bool(text_facts.MONEY.search(text)),
        bool(text_facts.contact(text)),
        bool(text_facts.MAIL_LIKE.search(text)),
        bool(advertising_words.sold(text)),
        bool(advertising_words.praise(text)),
    )
    return [sign for sign, is_there in zip(SIGNS, holds, strict=True) if is_there]
