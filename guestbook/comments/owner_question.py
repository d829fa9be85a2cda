"""The owner's question in the form, which programs cannot answer. Pure."""

import re
import unicodedata

from guestbook.lib.translatable import Translatable

ANSWER_LIMIT = 200  # characters that are looked at
NOT_COMPARED = re.compile(r"[\W_]+")
WRONG_ANSWER = Translatable("That is not the answer that the owner of this book expects. Please try again.")
WRONG_ANSWER_OF_PROGRAM = "Answer the question of this book: {}"


def is_right(given: str, accepted: str) -> bool:
    """Whether an answer is one of the accepted ones, which stand one a line; case and signs do not matter."""
    wanted = {_compared(line) for line in accepted.splitlines() if line.strip()}
    return _compared(given[:ANSWER_LIMIT]) in wanted


def _compared(answer: str) -> str:
    folded = unicodedata.normalize("NFKC", answer).casefold().strip()
    # An answer of signs alone, such as ☺, is compared as it is.
    return NOT_COMPARED.sub(" ", folded).strip() or folded
