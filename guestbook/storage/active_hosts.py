"""The hosts that use an SQLite file. Each keeps a small file beside it, because two must not use it at once.

The locks of SQLite and its write-ahead log work within one host. Over a network drive two hosts can destroy
the database. The small file tells them of each other even where the database cannot be read.
"""

import hashlib
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from guestbook.lib import clock, file_replacement, host_name
from guestbook.lib.errors import Refused
from guestbook.settings import Settings, database_url

ACTIVE_FOR = timedelta(minutes=15)  # since a host last noted itself
NOTE_EVERY = 300.0  # seconds between two notes of one process
GONE_AFTER = timedelta(days=2)  # a host that has gone
WEB, PASS = "web server", "passes"  # what a host does with the file
TWO_HOSTS = (
    "Two hosts use one SQLite file, {file}. {name} ({does}) was last active {ago}, and this host is {here}. "
    "That can destroy the book, because SQLite's locks do not work between hosts. So passes and workers do "
    "nothing. "
)
TWO_HOSTS_ADVICE = (
    "Run the web server and cron on one host, or use PostgreSQL or MariaDB. If you have moved the book, stop "
    f"it on the old host: {ACTIVE_FOR.seconds // 60} minutes after a host was last active it does not count "
    "any more."
)


@dataclass(frozen=True, slots=True)
class ActiveHost:
    """A host, and when it last did something with the file."""

    name: str
    boot_id: str | None
    seen: dict[str, datetime]  # by WEB or PASS

    @property
    def last_at(self) -> datetime:
        """When it was last active."""
        return max(self.seen.values())

    def is_active(self, now: datetime) -> bool:
        """Whether that was lately; a time far in the future is from before a clock was set right."""
        return abs(now - self.last_at) <= ACTIVE_FOR

    def is_this_one(self) -> bool:
        """Whether it is this host: containers share the kernel's id, a restart keeps the host's name."""
        has_same_kernel = self.boot_id is not None and self.boot_id == host_name.boot_id()
        return has_same_kernel or self.name == host_name.of_this_host()


class HostNote:
    """What a process does with its book's file. On PostgreSQL and MariaDB it has nothing to note."""

    def __init__(self, settings: Settings, does: str) -> None:
        self.file = database_url.sqlite_file(settings.data_dir, settings.database_url)
        self._does = does
        self._next = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time to note this host again."""
        return self.file is not None and time.monotonic() >= self._next

    def renew(self) -> None:
        """Note that this host is active, every five minutes; a full disk keeps nobody from working."""
        if self.file is None or not self.is_due:
            return
        self._next = time.monotonic() + NOTE_EVERY
        with suppress(OSError):
            _write(self.file, self._does, clock.now())

    def require_one_host(self) -> None:
        """Raise Refused while another host uses the file."""
        if self.file and (sentence := why_refused(self.file, clock.now())):
            raise Refused(sentence + TWO_HOSTS_ADVICE)


def why_refused(file: Path, now: datetime) -> str | None:
    """Say which other host uses the file, if one does."""
    for one in hosts(file):
        if not one.is_this_one() and one.is_active(now):
            here, does = host_name.of_this_host(), " and ".join(sorted(one.seen, reverse=True))
            return TWO_HOSTS.format(
                file=file, name=one.name, does=does, ago=clock.ago(one.last_at), here=here
            )
    return None


def hosts(file: Path) -> list[ActiveHost]:
    """Return all hosts that have used the file, the latest first."""
    found = [host for path in _notes(file) if (host := _read(path))]
    return sorted(found, key=lambda host: host.last_at, reverse=True)


def _notes(file: Path) -> list[Path]:
    prefix = f"{file.name}-host-"
    with suppress(OSError):
        return [path for path in file.parent.iterdir() if path.name.startswith(prefix)]
    return []


def _read(path: Path) -> ActiveHost | None:
    """Return the host of a note; None for one that is damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        noted: dict[str, Any] = json.loads(path.read_text())
        seen = {str(does): clock.from_text(text) for does, text in noted["seen"].items()}
        if seen:
            return ActiveHost(str(noted["name"]), noted["boot_id"], seen)
    return None


def _write(file: Path, does: str, now: datetime) -> None:
    """Write this host's note in one step, and remove those of hosts that have gone."""
    name, boot_id = host_name.of_this_host(), host_name.boot_id()
    path = file.with_name(f"{file.name}-host-{hashlib.sha256((boot_id or name).encode()).hexdigest()[:12]}")
    before = _read(path)
    seen = before.seen if before and before.name == name else {}
    if does in seen and abs(now - seen[does]) < timedelta(seconds=NOTE_EVERY):
        return  # another process has just noted it
    seen = {**(before.seen if before else {}), does: now}
    texts = {what: clock.to_text(moment) for what, moment in seen.items()}
    file_replacement.replace(path, json.dumps({"name": name, "boot_id": boot_id, "seen": texts}))
    for other in _notes(file):
        if (host := _read(other)) and now - host.last_at > GONE_AFTER:
            other.unlink(missing_ok=True)
