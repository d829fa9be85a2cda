"""A refusal: one sentence for people, and the fields that it is about. And sentences that have a detail."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

TRY_LATER = 75  # exit code; EX_TEMPFAIL of sysexits.h


class Refused(Exception):
    """The `sentence` says what and why; `fields` has one for each wrong field, where it is about fields.

    `only_here` says that another book might accept the same fields: one with other settings or other rows.
    """

    def __init__(self, sentence: str, *, field: str | None = None, only_here: bool = False) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.fields: dict[str, str] = {field: sentence} if field else {}
        self.only_here = only_here

    @classmethod
    def of(cls, fields: Mapping[str, str], *, only_here: bool = False) -> "Refused":
        """Return one that is about several fields, given as field → sentence."""
        refused = cls(" ".join(fields.values()), only_here=only_here)
        refused.fields = dict(fields)
        return refused


@contextmanager
def only_here() -> Iterator[None]:
    """Note of a refusal that it comes from the rows or the settings of this book."""
    try:
        yield
    except Refused as error:
        error.only_here = True
        raise


def with_detail(sentence: str, detail: object) -> str:
    """Return `sentence (detail)`: the same sentence for the same reason, so that pages can translate it."""
    return f"{sentence} ({detail})" if detail else sentence


def split_detail(text: str) -> tuple[str, str]:
    """Return the sentence, and what stands behind it, with its blank."""
    sentence, bracket, detail = text.partition(" (")
    return sentence, bracket + detail
