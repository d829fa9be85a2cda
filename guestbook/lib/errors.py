"""A refusal: one sentence for people, and the fields that it is about. And sentences that pages translate."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

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


@contextmanager
def refusing(field: str, *wrong: type[Exception]) -> Iterator[None]:
    """Refuse a field with the sentence of an error, if it is one of these."""
    try:
        yield
    except wrong as error:
        raise Refused(str(error), field=field) from None


def with_detail(sentence: str, detail: object) -> str:
    """Return `sentence (detail)`: the same sentence for the same reason, so that pages can translate it."""
    return f"{sentence} ({detail})" if detail else sentence


class Translatable(str):
    """A text in English, and what a translation needs: the text with `%(name)s` in it, and the values.

    A value is text, another translatable one, or a whole number, which each language writes in its own way.
    Copies, such as `str(text)` and f-strings, are English alone.
    """

    __slots__ = ("amount", "english", "many", "values")
    english: str
    many: str | None  # the English plural
    amount: int | None  # the number that decides which of the two it is
    values: dict[str, str | int]

    def __new__(
        cls, english: str, *, many: str | None = None, amount: int | None = None, **values: str | int
    ) -> Self:
        """Return the text with its values."""
        template = english if many is None or amount == 1 else many
        shown = {name: f"{value:,}" if isinstance(value, int) else value for name, value in values.items()}
        text = super().__new__(cls, template % shown if values else template)
        text.english, text.many, text.amount, text.values = english, many, amount, values
        return text

    @classmethod
    def plural(cls, one: str, many: str, count: int, **values: str | int) -> Self:
        """Return the text for so many; both forms may hold `%(count)s`."""
        return cls(one, many=many, amount=count, count=count, **values)
