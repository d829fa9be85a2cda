"""The hosts that run the book, and the limits of this one."""

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from guestbook.background.doctor.examined_book import ExaminedBook
from guestbook.background.doctor.finding import DoctorFinding, ok, problem, warning
from guestbook.lib import clock, host_name, resource_limits
from guestbook.lib.resource_limits import MIB
from guestbook.settings import installation
from guestbook.storage import active_hosts, seen_facts
from guestbook.storage.models import Pass

PASS_THREADS = 32  # of a pass, by default
PASS_MEMORY = 100 * MIB  # that a pass may need
LIMITS_OF = timedelta(days=1)
CONTROL_GROUPS = Path("/sys/fs/cgroup")  # of Linux, version 2: see cgroups(7)


def check_hosts_of_file(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Say which hosts use the SQLite file: two may not."""
    if not book.file:
        return
    if reason := active_hosts.two_hosts(book.file, book.now):
        command = installation.typed(active_hosts.TAKE_OVER)
        yield problem("hosts", reason.strip(), active_hosts.TWO_HOSTS_ADVICE, command)
    else:
        yield ok("hosts", f"This host is {host_name.of_this_host()}. {_activity(book.file)}")


def check_hosts_of_server(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Say which hosts ran passes lately: with PostgreSQL and MariaDB any number may."""
    if book.file is None and not book.settings.on_sqlite:
        lately = select(Pass.host).where(Pass.started_at > book.now - active_hosts.ACTIVE_FOR).distinct()
        with book.engine.connect() as connection:
            names = sorted(connection.scalars(lately))
        yield ok("hosts", f"Lately passes ran on {', '.join(names) or 'no host'}.")


def check_limits(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether this process could run a pass with all its threads, and whether a pass could not."""
    met = seen_facts.read(book.settings.data_dir, LIMITS_OF).get(seen_facts.HOST_LIMIT)
    limits = [f"A pass of {clock.ago(met.at)} ran into a limit: {met.text}"] if met else []
    room = resource_limits.room(PASS_THREADS)
    if room.limit:
        limits.append(
            f"This host limits {room.limit}: {room.threads} of a pass's {PASS_THREADS} threads fit."
        )
    limits += [*_processes(), *_memory()]
    for sentence in limits:
        yield warning(
            "limits",
            sentence,
            "Give cron's command a smaller --concurrency, such as 4, or ask your host for a higher limit. "
            "Nothing is lost: what does not fit is sent later.",
        )
    if not limits:
        yield ok("limits", f"Files, memory and processes suffice for a pass with {PASS_THREADS} threads.")


def _activity(file: Path) -> str:
    """Say what hosts did with the SQLite file."""
    noted = [
        f"{does} on {host.name} ({clock.ago(moment)})"
        for host in active_hosts.hosts(file)
        for does, moment in sorted(host.seen.items(), reverse=True)
    ]
    return f"Last seen: {', '.join(noted)}." if noted else "Neither web server nor passes were seen yet."


def _processes() -> Iterator[str]:
    """Compare the user's threads with the limit, which does not count for root."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != resource.RLIM_INFINITY and os.geteuid() != 0:
        spare = soft - _threads_of_this_user()
        if spare < PASS_THREADS:
            yield f"This host limits {resource_limits.THREAD_LIMIT} to {soft}; {max(0, spare)} are free."
    most, used = _control("pids.max"), _control("pids.current")
    if most is not None and used is not None and most - used < PASS_THREADS:
        yield f"This container may have {most} processes and threads; {max(0, most - used)} are free."


def _memory() -> Iterator[str]:
    most, used = _control("memory.max"), _control("memory.current")
    if most is not None and used is not None and most < PASS_MEMORY:
        yield f"This container may use {most // MIB} MiB of memory, and a pass may need {PASS_MEMORY // MIB}."


def _threads_of_this_user() -> int:
    count = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError, ValueError):
            if folder.stat().st_uid == os.geteuid():
                after_name = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
                count += int(after_name[17])  # num_threads of proc_pid_stat(5)
    return count


def _control(name: str) -> int | None:
    """Return a limit or a figure of this process's control group; None without one."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        group = next(line for line in lines if line.startswith("0::/")).removeprefix("0::/")
        return int((CONTROL_GROUPS / group / name).read_text())  # `max` is not a number
    return None
