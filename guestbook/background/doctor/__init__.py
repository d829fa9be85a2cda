"""The checks of `doctor`: each looks at one thing that can keep a book from working, and says what to do.

Here are a check's findings and the book that it looks at, whose connections wait two seconds at most.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from sqlalchemy import Engine

from guestbook.lib import clock
from guestbook.settings import Settings, database_url
from guestbook.storage import engines
from guestbook.storage.engines import Waits


class State(Enum):
    """How grave a finding is, the gravest first."""

    PROBLEM = "problem"  # Something does not work, or data is in danger.
    WARNING = "warning"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """What was looked at, how it is, and in all states but ok what to do; `command` is a line to copy."""

    subject: str  # If it is empty, it is the subject of the check.
    state: State
    sentence: str
    advice: str | None = None
    command: str | None = None


def ok(sentence: str, *, subject: str = "") -> DoctorFinding:
    """Return a finding that needs nothing."""
    return DoctorFinding(subject, State.OK, sentence)


def warning(sentence: str, advice: str, command: str | None = None, *, subject: str = "") -> DoctorFinding:
    """Return something that the owner should look at."""
    return DoctorFinding(subject, State.WARNING, sentence, advice, command)


def problem(sentence: str, advice: str, command: str | None = None) -> DoctorFinding:
    """Return something that does not work."""
    return DoctorFinding("", State.PROBLEM, sentence, advice, command)


PATIENCE = 2  # seconds for a connection, a lock or a statement
# The limit of a statement is that of a lock on a server, too.
WAITS = Waits(write=PATIENCE, read=PATIENCE, on_server=0, at_once=1, answer=2 * PATIENCE, statement=PATIENCE)


@dataclass(frozen=True, slots=True)
class ExaminedBook:
    """What the checks look at."""

    settings: Settings
    engine: Engine
    now: datetime
    file: Path | None  # of SQLite


@contextmanager
def opened_book(settings: Settings) -> Iterator[ExaminedBook]:
    """Give the book; nothing of it is opened before a check does so."""
    file = database_url.sqlite_file(settings.data_dir, settings.database_url)
    with engines.opened(settings, WAITS) as engine:
        yield ExaminedBook(settings, engine, clock.now(), file)
