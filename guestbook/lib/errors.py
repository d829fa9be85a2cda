"""A refusal: one sentence for people, and the fields that it is about. And sentences that have a detail."""

from collections.abc import Mapping

TRY_LATER = 75  # exit code; EX_TEMPFAIL of sysexits.h


class Refused(Exception):
    """The `sentence` says what and why; `fields` has one for each wrong field, where it is about fields."""

    def __init__(self, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.fields: dict[str, str] = {field: sentence} if field else {}

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> "Refused":
        """Return one that is about several fields, given as field → sentence."""
        refused = cls(" ".join(fields.values()))
        refused.fields = dict(fields)
        return refused


def with_detail(sentence: str, detail: object) -> str:
    """Return `sentence (detail)`: the same sentence for the same reason, so that pages can translate it."""
    return f"{sentence} ({detail})" if detail else sentence


def split_detail(text: str) -> tuple[str, str]:
    """Return the sentence, and what stands behind it, with its blank."""
    sentence, bracket, detail = text.partition(" (")
    return sentence, bracket + detail
