"""Sentences for visitors: English text that pages can also show in other languages.

Commands, admin pages and the API show them as they are. `scripts/translations` finds them by the name of
the class.
"""

from typing import Self


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

    def __new__(cls, english: str, **values: str | int) -> Self:
        """Return the text with its values."""
        return cls._made(english, None, None, values)

    @classmethod
    def plural(cls, one: str, many: str, count: int, **values: str | int) -> Self:
        """Return the text for so many; both forms may hold `%(count)s`."""
        return cls._made(one, many, count, {"count": count, **values})

    @classmethod
    def _made(cls, english: str, many: str | None, count: int | None, values: dict[str, str | int]) -> Self:
        template = english if many is None or count == 1 else many
        shown = {name: f"{value:,}" if isinstance(value, int) else value for name, value in values.items()}
        text = super().__new__(cls, template % shown if values else template)
        text.english, text.many, text.amount, text.values = english, many, count, values
        return text
