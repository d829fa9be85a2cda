"""The version of a book's tables, without SQLAlchemy and Alembic: an idle pass reads it each minute.

A book has one row in `alembic_version`. Versions are numbers of four digits, one for each file in
migrations/versions. The first is the baseline: books from before it are not upgraded.
"""

from collections.abc import Sequence
from enum import Enum
from functools import cache
from pathlib import Path

VERSIONS = Path(__file__).parent / "migrations" / "versions"
QUERY = "SELECT version_num FROM alembic_version"


class Age(Enum):
    """How a book's tables compare with the program."""

    CURRENT = "current"
    OLDER = "older"
    TOO_OLD = "too old"  # older than the baseline, or the tables of another program
    NEWER = "newer"  # newer than any version that this program knows


@cache
def known() -> tuple[str, ...]:
    """Return all versions of this program, the oldest first."""
    return tuple(sorted(path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*_*.py")))


def head() -> str:
    """Return the version that this program needs: that of schema.sql."""
    return known()[-1]


def age(stored: Sequence[str]) -> Age:
    """Compare the rows of `alembic_version` with the program; a book without a row is from before them."""
    if list(stored) == [head()]:
        return Age.CURRENT
    if not stored or max(stored) < known()[0]:
        return Age.TOO_OLD
    return Age.OLDER if set(stored) <= set(known()) else Age.NEWER
