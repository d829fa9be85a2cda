"""The data folder, the secrets in it, and the room on its disk."""

import os
import shlex
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from guestbook.background.doctor.examined_book import ExaminedBook
from guestbook.background.doctor.finding import DoctorFinding, ok, problem, warning
from guestbook.lib import file_access
from guestbook.settings import installation, secret_key
from guestbook.settings.environment import SETTING_PREFIX

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
        yield problem("data folder", f"{folder} is no folder that this user can see.", FOLDER_ADVICE, command)
    elif not os.access(folder, os.R_OK | os.X_OK):
        opening = file_access.opening(folder)
        yield problem("data folder", f"This user may not read {folder}.", OF_ANOTHER, opening)
    elif file_access.is_read_only(folder):
        yield problem(
            "data folder",
            f"The disk of {folder} is mounted read-only, so nothing can be stored.",
            "Look for a fault of the disk, or ask your host. Nothing stored is lost.",
        )
    else:
        yield from _check_modes(folder)


def _check_modes(folder: Path) -> Iterator[DoctorFinding]:
    reasons = [
        reason
        for path in sorted(folder.iterdir())
        if path.is_file() and (reason := file_access.why_not(path, write=path.name not in SECRET_FILES))
    ]
    if reason := file_access.open_to_all(folder):
        reasons.append(f"{folder} is refused as a data folder: {reason}")
    for reason in reasons:
        sentence, _, helps = reason.partition(". This helps: ")
        yield problem("data folder", f"{sentence}.", "Run this command.", helps)
    if not os.access(folder, os.W_OK):
        opening = file_access.opening(folder)
        yield problem("data folder", f"This user may not write in {folder}.", OF_ANOTHER, opening)
    elif not reasons:
        yield ok("data folder", f"{folder} can be written.")


def check_secrets(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether the secret key is there and long, and whether other users can read it."""
    file = book.settings.data_dir / secret_key.KEY_FILE
    if not book.settings.secret_key:
        if not file.exists():  # else the finding on the data folder says who may read it
            yield problem("secret key", f"There is no secret key: {file} is missing.", KEY_ADVICE)
        return
    open_files = [path for path in _secret_files(book.settings.data_dir) if _is_open_to_others(path)]
    for path in open_files:
        yield warning(
            "secret key",
            f"Other users of this machine can read {path}, which holds secrets.",
            "Close the file to them.",
            f"chmod 600 {shlex.quote(str(path))}",
        )
    if len(book.settings.secret_key) < GOOD_KEY_LENGTH:
        yield warning(
            "secret key",
            f"The secret key has only {len(book.settings.secret_key)} characters.",
            f"Use a longer one in {SETTING_PREFIX}SECRET_KEY. Without the setting the program makes one.",
        )
    elif not open_files:
        yield ok("secret key", "The secret key is long, and only its owner can read it.")


def check_disk(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look how much room is left, and how large the database is."""
    places = {book.settings.data_dir: "data folder"}
    if book.file and book.file.parent != book.settings.data_dir:
        places[book.file.parent] = "folder of the database"
    for folder, name in places.items():
        if file_access.type_of(folder) != stat.S_IFDIR:
            continue
        usage = shutil.disk_usage(folder)
        sentence = f"{_size(usage.free)} of {_size(usage.total)} are free on the disk of the {name}."
        if usage.free < FULL:
            yield problem("disk space", sentence, FULL_ADVICE)
        elif usage.free < SCARCE:
            yield warning("disk space", sentence, FULL_ADVICE.partition(":")[0] + " soon.")
        else:
            yield ok("disk space", sentence)
    if book.file and os.access(book.file, os.F_OK):
        beside = [book.file.with_name(f"{book.file.name}{end}") for end in ("", "-wal", "-journal")]
        size = sum(path.stat().st_size for path in beside if path.exists())
        yield ok("size", f"The database takes {_size(size)}.")


def _is_open_to_others(path: Path) -> bool:
    """Whether its mode lets others in, and its folder's mode lets them reach it."""
    return bool(path.stat().st_mode & OTHERS and path.parent.stat().st_mode & PASSING)


def _secret_files(data_dir: Path) -> list[Path]:
    named = os.environ.get(f"{SETTING_PREFIX}SECRET_KEY_FILE")
    paths = [data_dir / name for name in SECRET_FILES] + ([Path(named)] if named else [])
    return [path for path in paths if path.is_file()]


def _size(count: float) -> str:
    """Return bytes as `12.3 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
