"""Errors of a change under the names that the API gives to its fields."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from guestbook.lib.errors import Refused

Rename = Callable[[str, str], tuple[str, str]]  # a field's name and its sentence, before and after


@contextmanager
def renamed(rename: Rename) -> Iterator[None]:
    """Raise a Refused again with the names and sentences that `rename` returns, one for each name."""
    try:
        yield
    except Refused as error:
        fields: dict[str, str] = {}
        for name, sentence in (rename(*pair) for pair in error.fields.items()):
            fields.setdefault(name, sentence)
        raise (Refused.of(fields) if fields else error) from None
