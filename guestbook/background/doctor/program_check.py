"""The versions of the programs that take part."""

import platform
import sqlite3
from collections.abc import Iterator
from importlib import metadata

from guestbook.background.doctor.examined_book import ExaminedBook
from guestbook.background.doctor.finding import DoctorFinding, ok
from guestbook.lib.version import VERSION

LIBRARIES = {"Flask": "flask", "SQLAlchemy": "sqlalchemy"}


def check_programs(_book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Name the versions, which a report of a fault should have."""
    versions = {
        "Guestbook": VERSION,
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        **{name: _version(package) for name, package in LIBRARIES.items()},
    }
    yield ok("versions", f"{', '.join(f'{name} {number}' for name, number in versions.items())}.")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(unknown)"
