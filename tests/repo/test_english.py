"""Documents, pages, help and errors are in plain English: short sentences, and none of the patterns below."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.support import documents
from tests.support.documents import PAGES
from tests.support.processes import ROOT

PACKAGE = ROOT / "guestbook"
ROOMS = sorted(PACKAGE.glob("*/"))
# The page of commands has the words of --help.
WRITTEN = [
    page for page in (*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md") if page.stem != "commands"
]
MEDIAN = 15  # words of a sentence: the median must be lower

# What a sentence must not have, and what to write in its place.
PATTERNS = {
    r"^(?:[Ww]ho|[Ww]hat(?! to))\b[^?]*[.:]$": "begins with a bare who or what; name the thing",
    r"(?:;|\bso that|\bbecause) (?:who|what) (?!for\b)[^?]*$": "a clause begins with a bare who or what",
    r"\b(?:is|are|was|were|be|been|being) told\b": "say who says it, or say the thing itself",
    r"\bby which\b": "say it in two sentences, or with so that",
    r"\bbelongs? into\b": "belongs in",
    r"\b[Mm]end(?:s|ed|ing)?\b": "fix",
    r"\b(?:begun|anew|shall)\b": "started, again, will",
    r"\b(?:is|are|was|were|be) away\b": "cannot be used, or cannot be reached",
    r"\bis no \w+ of\b": "say: No webhook has the id x",
    r"\b(?:is|are|was|were|be) done again\b": "retry, redeliver or reprocess",
}
FINDERS = {re.compile(pattern): why for pattern, why in PATTERNS.items()}

BAD = (
    "It has the same `webhook-id`, by which receivers tell.",
    "The settings belong into a file `.env`.",
    "reads it and acts; what fails keeps its reason",
    "it keeps its reason, and is done again with the next pass",
    "'x' is no id of a webhook",
    "who guesses your password makes you wait.",
    "The owner is told.",
    "The tables are made anew.",
    "The database is away.",
    "Mend or remove that row in the book.",
)


def faults(sentence: str) -> list[str]:
    """What is wrong with a sentence."""
    return [why for finder, why in FINDERS.items() if finder.search(sentence)]


def test_every_bad_example_is_found_and_every_pattern_finds_one() -> None:
    assert all(map(faults, BAD))
    assert [pattern for pattern in PATTERNS if not any(re.search(pattern, one) for one in BAD)] == []


# --- documents


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_document_is_in_plain_english(page: Path) -> None:
    text = page.read_text()
    found = [(one, why) for one in sentences(text) if (why := faults(one))]
    assert found == []


def test_half_of_the_sentences_are_short() -> None:
    lengths = [len(one.split()) for page in PAGES for one in sentences(page.read_text())]
    assert len(lengths) > 500
    assert median(lengths) < MEDIAN


def sentences(text: str) -> Iterator[str]:
    """The sentences of a document's paragraphs and lists; headings, tables and code are left out."""
    for part in re.split(r"\n\s*\n|\n(?= *(?:[-|#>]|\d+\.) )", documents.prose(text)):
        plain = re.sub(r"^ *(?:- |\d+\. )", "", part)
        if not re.match(r" *(?:[|#!<]|---)", plain):
            yield from split(marked_off(plain))


def marked_off(text: str) -> str:
    """A text without Markdown's marks; a piece of code is one word."""
    text = re.sub(r"`[^`]+`", "`code`", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return " ".join(text.replace("*", "").split())


def split(text: str) -> Iterator[str]:
    """The sentences of a paragraph. What does not end like one is a label and none."""
    for one in re.split(r"(?<=[.!?:]) +(?=[A-Z`\"“])", text):
        if re.search(r"[.!?:]$", one):
            yield one


# --- pages, help and errors


@pytest.mark.parametrize("page", sorted(PACKAGE.rglob("*.html")), ids=lambda path: path.name)
def test_a_page_is_in_plain_english(page: Path) -> None:
    found = [(one, why) for one in texts_of_a_page(page.read_text()) if (why := faults(one))]
    assert found == []


def texts_of_a_page(source: str) -> Iterator[str]:
    """What stands between the tags, with one word in place of each value."""
    source = re.sub(r"(?s){#.*?#}|<(script|style|svg)\b.*?</\1>", "", source)
    source = re.sub(r"(?s){{.*?}}", "Value", source)
    for part in re.split(r"(?s){%.*?%}|</?(?!a\b|/a\b|code|strong|em|b\b|time)[a-z][^>]*>", source):
        plain = " ".join(re.sub(r"<[^>]*>", "", part).split())
        yield from (one for one in re.split(r"(?<=[.!?]) +", plain) if re.search("[a-z]", one))


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: path.name)
def test_help_errors_and_docstrings_are_in_plain_english(room: Path) -> None:
    texts = ((str(path.relative_to(room)), one) for path in room.rglob("*.py") for one in texts_in(path))
    assert [(where, one, why) for where, one in texts if (why := faults(one))] == []


def texts_in(path: Path) -> Iterator[str]:
    """The docstrings, help texts and messages of a module, in sentences."""
    for node in ast.walk(ast.parse(path.read_text())):
        # A docstring may be headed like a page: "What a receiver has answered."
        plain = re.sub("^(?:What|Who) ", "", " ".join(text_of(node).split()))
        yield from re.split(r"(?<=[.!?]) +(?=[A-Z`])", plain) if " " in plain else ()


def text_of(node: ast.AST) -> str:
    """A text, with one word in place of each value; no text for what is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "value" for one in node.values)
    return ""
