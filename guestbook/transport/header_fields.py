"""The headers of an answer."""

from collections.abc import Iterator, Mapping
from typing import Any


class HeaderFields(Mapping[str, str]):
    """Headers as received. A name is looked up in any case; repeated ones are joined."""

    __slots__ = ("_fields",)

    def __init__(self) -> None:
        self._fields: dict[str, tuple[str, str]] = {}  # the name as received and the value, by the small name

    def add(self, name: str, value: str) -> None:
        """Add a line."""
        key = name.lower()
        first = self._fields.get(key)
        self._fields[key] = (first[0], f"{first[1]}, {value}") if first else (name, value)

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()][1]

    def get(self, name: str, default: Any = None) -> Any:  # faster than the Mapping's
        """Return a value, or the default where it is missing."""
        found = self._fields.get(name.lower())
        return found[1] if found else default

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)
