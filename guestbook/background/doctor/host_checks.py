"""The checks of the host: who else runs the book, limits, programs, the clock, files and the secret key."""

import os
import platform
import resource
import shlex
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

from jinja2.filters import do_filesizeformat as size_in_words
from sqlalchemy import select

from guestbook.background import public_files
from guestbook.background.doctor import DoctorFinding, ExaminedBook, ok, problem, warning
from guestbook.lib import VERSION, clock, current_process, files, ids
from guestbook.lib.current_process import MIB
from guestbook.settings import installation, secret_key
from guestbook.settings.environment import SETTING_PREFIX
from guestbook.storage import hits_and_notes, hosts_sharing_sqlite, plain_sql
from guestbook.storage.engines import SECONDS_BY_SERVER
from guestbook.storage.models import Comment, Delivery, Pass

PASS_THREADS = 32  # of a pass, by default
PASS_MEMORY = 100 * MIB  # A pass may need so much.
LIMITS_OF = timedelta(days=1)
LIMITS_ADVICE = (
    "Give cron's command a smaller --concurrency, such as 4, or ask your host for a higher limit. "
    "Nothing is lost: what does not fit is sent later."
)
PAGES_LATE = timedelta(minutes=2)  # Each pass writes what has changed.
PAGES_ADVICE = "Run cron. Its log says why, if this stays: may this user write there, and is there room?"
CONTROL_GROUPS = Path("/sys/fs/cgroup")  # of Linux, version 2: see cgroups(7)


def check_hosts_of_file(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Say which hosts use the SQLite file: two may not."""
    if not book.file:
        return
    if reason := hosts_sharing_sqlite.two_hosts(book.file, book.now):
        is_second = hosts_sharing_sqlite.first(book.file, book.now) is not None
        advice = hosts_sharing_sqlite.TWO_HOSTS_ADVICE + (hosts_sharing_sqlite.GO_ON if is_second else "")
        command = installation.typed(hosts_sharing_sqlite.TAKE_OVER) if is_second else None
        yield problem(reason.strip(), advice, command)
        return
    seen = ", ".join(
        f"{does} on {host.name} ({clock.ago(moment)})"
        for host in hosts_sharing_sqlite.hosts(book.file)
        for does, moment in sorted(host.seen.items(), reverse=True)
    )
    activity = f"Last seen: {seen}." if seen else "Neither web server nor passes were seen yet."
    yield ok(f"This host is {ids.host_name()}. {activity}")


def check_hosts_of_server(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Say which hosts ran passes lately: with PostgreSQL and MariaDB any number may."""
    if book.file is None and not book.settings.on_sqlite:
        lately = (
            select(Pass.host).where(Pass.started_at > book.now - hosts_sharing_sqlite.ACTIVE_FOR).distinct()
        )
        with book.engine.connect() as connection:
            names = sorted(connection.scalars(lately))
        yield ok(f"Lately passes ran on {', '.join(names) or 'no host'}.")


def check_limits(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether this process could run a pass with all its threads, and whether a pass could not."""
    met = hits_and_notes.read_observations(book.settings.data_dir, LIMITS_OF).get(hits_and_notes.HOST_LIMIT)
    limits = [f"A pass of {clock.ago(met.at)} ran into a limit: {met.text}"] if met else []
    room = current_process.room(PASS_THREADS)
    if room.limit:
        fit = f"{room.threads} of a pass's {PASS_THREADS} threads fit."
        limits.append(f"This host limits {room.limit}: {fit}")
    limits += limits_of_processes_and_memory()
    for sentence in limits:
        yield warning(sentence, LIMITS_ADVICE)
    if not limits:
        yield ok(f"Files, memory and processes suffice for a pass with {PASS_THREADS} threads.")


def limits_of_processes_and_memory() -> Iterator[str]:
    """Compare the user's threads with the limit, which does not count for root, then those of a container."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != resource.RLIM_INFINITY and os.geteuid() != 0:
        spare = soft - _threads_of_this_user()
        if spare < PASS_THREADS:
            yield f"This host limits {current_process.THREAD_LIMIT} to {soft}; {max(0, spare)} are free."
    most, used = _control("pids.max"), _control("pids.current")
    if most is not None and used is not None and most - used < PASS_THREADS:
        yield f"This container may have {most} processes and threads; {max(0, most - used)} are free."
    memory = _control("memory.max")
    if memory is not None and memory < PASS_MEMORY:
        said = f"{memory // MIB} MiB of memory, and a pass may need {PASS_MEMORY // MIB}."
        yield f"This container may use {said}"


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


def check_programs(_book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Name the versions, which a report of a fault should have."""
    versions = {name: metadata.version(name) for name in ("Flask", "SQLAlchemy")}
    ours = {"Guestbook": VERSION, "Python": platform.python_version(), "SQLite": sqlite3.sqlite_version}
    yield ok(f"{', '.join(f'{name} {number}' for name, number in (ours | versions).items())}.")


NOTICED, BAD = timedelta(seconds=5), timedelta(minutes=1)  # Hosts that share a book must agree to a minute.
SET_CLOCK = "Set the clock by NTP, or ask your host to. Both machines must agree to within a minute."
NEWEST = {  # Ids are in the order of time.
    "comment": select(Comment.created_at).order_by(Comment.id.desc()),
    "delivery": select(Delivery.created_at).order_by(Delivery.id.desc()),
    "pass of cron": select(Pass.started_at).order_by(Pass.started_at.desc()),
}


def check_clock(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Compare the clocks, and look for rows in the future."""
    now, is_fine = clock.now(), True
    with book.engine.connect() as connection:
        if seconds := SECONDS_BY_SERVER.get(connection.dialect.name):
            server_time = connection.exec_driver_sql(f"SELECT {seconds}").scalar()
            apart = abs(datetime.fromtimestamp(float(server_time or 0), UTC) - clock.now())
            differ = f"differ by {apart.total_seconds():.0f} s."
            if apart > NOTICED:
                is_fine, report = False, problem if apart > BAD else warning
                yield report(f"The clocks of this host and the database server {differ}", SET_CLOCK)
        for name, query in NEWEST.items():
            newest = connection.scalar(query.limit(1))
            if newest and newest > now + BAD:
                is_fine = False
                yield warning(
                    f"The newest {name} is from {clock.to_text(newest)}, which is in the future.",
                    "This host's clock is behind, or it was ahead. Set it by NTP. Passes repair due times.",
                )
    if is_fine:
        yield ok(f"It is {now:%Y-%m-%d %H:%M} UTC on this host.")


SECRET_FILES = (secret_key.KEY_FILE, secret_key.OLD_KEYS_FILE, ".env")  # in the data folder
FOLDER_ADVICE = (
    f"If you have a book, correct {SETTING_PREFIX}DATA_DIR, or restore a backup. "
    "Otherwise make the folder and the tables."
)
OF_ANOTHER = "Give the folder to the user that runs the guestbook, or run doctor as that user."
KEY_ADVICE = (
    "If you have a book, put your copy of its key there again, or name its file in "
    f"{SETTING_PREFIX}SECRET_KEY_FILE: no other key decrypts its secrets. The page on the secret key says "
    "what to do if it is lost. A new book gets a key at the first start of the program."
)
OTHERS = stat.S_IRWXG | stat.S_IRWXO
PASSING = stat.S_IXGRP | stat.S_IXOTH  # of a folder
GOOD_KEY_LENGTH = 32  # characters; the program accepts 16
FULL, SCARCE = 20_000_000, 200_000_000  # bytes left
FULL_ADVICE = "Make room: until then comments can be refused, and nothing is sent. Nothing stored is lost."


def check_folder(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether this user may write in the data folder, and to all files of the guestbook in it."""
    folder = book.settings.data_dir
    if not os.access(folder, os.F_OK) or not folder.is_dir():
        command = installation.typed("init-db")
        yield problem(f"{folder} is no folder that this user can see.", FOLDER_ADVICE, command)
    elif not os.access(folder, os.R_OK | os.X_OK):
        opening = files.opening(folder)
        yield problem(f"This user may not read {folder}.", OF_ANOTHER, opening)
    elif files.is_read_only(folder):
        yield problem(
            f"The disk of {folder} is mounted read-only, so nothing can be stored.",
            "Look for a fault of the disk, or ask your host. Nothing stored is lost.",
        )
    else:
        yield from _check_modes(folder)


def _check_modes(folder: Path) -> Iterator[DoctorFinding]:
    reasons = [
        reason
        for path in sorted(folder.iterdir())
        if path.is_file() and (reason := files.why_not(path, write=path.name not in SECRET_FILES))
    ]
    if reason := files.open_to_all(folder):
        reasons.append(f"{folder} is refused as a data folder: {reason}")
    for reason in reasons:
        sentence, _, helps = reason.partition(". This helps: ")
        yield problem(f"{sentence}.", "Run this command.", helps)
    if not os.access(folder, os.W_OK):
        opening = files.opening(folder)
        yield problem(f"This user may not write in {folder}.", OF_ANOTHER, opening)
    elif not reasons:
        yield ok(f"{folder} can be written.")


def check_secrets(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether the secret key is there and long, and whether other users can read it."""
    file = book.settings.data_dir / secret_key.KEY_FILE
    if not book.settings.secret_key:
        if not file.exists():  # Else the finding on the data folder says who may read it.
            yield problem(f"There is no secret key: {file} is missing.", KEY_ADVICE)
        return
    paths = [book.settings.data_dir / name for name in SECRET_FILES]
    if named := os.environ.get(f"{SETTING_PREFIX}SECRET_KEY_FILE"):
        paths.append(Path(named))
    open_files = [  # Others reach only what lies in a folder that lets them pass.
        path
        for path in paths
        if path.is_file() and path.stat().st_mode & OTHERS and path.parent.stat().st_mode & PASSING
    ]
    for path in open_files:
        yield warning(
            f"Other users of this machine can read {path}, which holds secrets.",
            "Close the file to them.",
            f"chmod 600 {shlex.quote(str(path))}",
        )
    if len(book.settings.secret_key) < GOOD_KEY_LENGTH:
        yield warning(
            f"The secret key has only {len(book.settings.secret_key)} characters.",
            f"Use a longer one in {SETTING_PREFIX}SECRET_KEY. Without the setting the program makes one.",
        )
    elif not open_files:
        yield ok("The secret key is long, and only its owner can read it.")


def check_public_folder(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether the public pages that are files are as the book is."""
    if (folder := book.settings.public_folder) is None:
        return
    with book.engine.connect() as connection:
        changes = plain_sql.run(connection, plain_sql.CHANGES)
    if changes and book.now - ids.moment_of(changes[0][0].removeprefix(plain_sql.CHANGE)) > PAGES_LATE:
        yield problem(f"The public pages in {folder} are older than the book.", PAGES_ADVICE)
    elif public_files.is_behind(book.settings):
        yield warning(f"Not all public pages are in {folder} yet.", PAGES_ADVICE)
    else:
        yield ok(f"The public pages in {folder} are as the book is.")


def check_disk(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look how much room is left, and how large the database is."""
    places = {book.settings.data_dir: "data folder"}
    if book.file and book.file.parent != book.settings.data_dir:
        places[book.file.parent] = "folder of the database"
    for folder, name in places.items():
        if files.type_of(folder) != stat.S_IFDIR:
            continue
        usage = shutil.disk_usage(folder)
        sentence = (
            f"{size_in_words(usage.free)} of {size_in_words(usage.total)} are free on the disk of the {name}."
        )
        if usage.free < FULL:
            yield problem(sentence, FULL_ADVICE)
        elif usage.free < SCARCE:
            yield warning(sentence, FULL_ADVICE.partition(":")[0] + " soon.")
        else:
            yield ok(sentence)
    if book.file and os.access(book.file, os.F_OK):
        beside = [book.file.with_name(f"{book.file.name}{end}") for end in ("", "-wal", "-journal")]
        size = sum(path.stat().st_size for path in beside if path.exists())
        yield ok(f"The database takes {size_in_words(size)}.", subject="size")
