"""What doctor says of a data folder that is missing, or closed to the user that runs it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from guestbook import settings
from guestbook.background.doctor import State
from tests.background.doctor.conftest import found
from tests.settings.test_settings import given_to_nobody

# What examines a book is imported before file modes count, for this user may not read the program's folder.
AS_NOBODY = """
import encodings.utf_8_sig, json, os, sys
from guestbook import settings
from guestbook.background.doctor import examination
def look(folder):
    read = settings.load({'GUESTBOOK_DATA_DIR': folder}, alone=True, for_doctor=True)
    return [f'{one.subject}: {one.sentence} {one.command}' for one in examination.examine(read)]
look(sys.argv[1])
if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)
print(json.dumps({folder: look(folder) for folder in sys.argv[2:]}))
"""


def as_nobody(other: Path, folders: list[Path]) -> dict[str, list[str]]:
    """Return what is said of each folder to a user without rights, all by one process."""
    command = [sys.executable, "-c", AS_NOBODY, str(other), *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    said: dict[str, list[str]] = json.loads(done.stdout)
    return said


class Folders:
    """Data folders of a user without rights, each with another fault. Pytest closes its own in time."""

    def __init__(self, parent: Path) -> None:
        names = ("closed", "around", "settings", "read_only", "key", "database")
        self.closed, self.around, self.settings, self.read_only, self.key, self.database = all_ = [
            parent / one for one in names
        ]
        for folder in all_:
            given_to_nobody(folder)
        self.behind = self.around / "in"
        self.behind.mkdir()
        (self.settings / ".env").write_text("GUESTBOOK_BASE_URL=https://example.org\n")
        for folder in (self.read_only, self.key):
            (folder / "secret_key").write_text("a secret key of 32 letters or more")
        (self.read_only / "secret_key").chmod(0o444)
        self.around_database = self.database / "in"
        given_to_nobody(self.around_database)
        (self.database / ".env").write_text(
            f"GUESTBOOK_DATABASE_URL=sqlite:///{self.around_database}/book.db\n"
        )
        shut = (self.closed, self.around, self.settings / ".env", self.key / "secret_key")
        for path in (*shut, self.around_database):
            path.chmod(0)
        self.read_only.chmod(0o555)
        try:
            looked_at = [self.closed, self.behind, *all_[2:]]
            self.said = as_nobody(parent / "other", looked_at)
        finally:
            for folder in all_:
                folder.chmod(0o755)

    def lines(self, folder: Path) -> list[str]:
        """Return what doctor said of that folder."""
        return self.said[str(folder)]


@pytest.fixture(scope="module")
def folders() -> Iterator[Folders]:
    with TemporaryDirectory() as parent:
        yield Folders(Path(parent))


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as parent:
        folder = Path(parent) / "data"
        given_to_nobody(folder)
        yield folder


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("closed", "This user may not read {}. chmod u+rwx "),
        ("behind", "{} is no folder that this user can see. "),
        ("settings", "{}/.env belongs to "),
    ],
)
def test_a_folder_or_its_settings_that_cannot_be_read_are_the_only_problem_looked_at(
    folders: Folders, name: str, start: str
) -> None:
    folder: Path = getattr(folders, name)
    first, *others = folders.lines(folder)
    assert first.startswith("data folder: " + start.format(folder))
    assert first.endswith(f" {folder}/.env") or name != "settings"
    assert [line.partition(":")[0] for line in others] == ["versions"]


def test_a_folder_that_this_user_may_not_write_is_a_problem_among_others(folders: Folders) -> None:
    folder, lines = folders.read_only, folders.lines(folders.read_only)
    assert f"data folder: This user may not write in {folder}. chmod u+rwx {folder}" in lines
    assert any(line.startswith(f"database: There is no file {folder}/") for line in lines)
    assert any(line.startswith("base URL: ") for line in lines)
    assert [path.name for path in folder.iterdir()] == ["secret_key"]


def test_a_database_in_a_folder_that_this_user_may_not_enter_is_a_problem(folders: Folders) -> None:
    first, *others = folders.lines(folders.database)
    closed = folders.around_database
    sentence = f"This user may not enter {closed}, where {closed}/book.db lies."
    assert first == f"database: {sentence} chmod u+rwx {closed}"
    assert not any("could not be looked at" in line for line in others)


def test_a_secret_key_that_this_user_may_not_read_is_not_missing(folders: Folders) -> None:
    lines = folders.lines(folders.key)
    assert any(line.startswith(f"data folder: {folders.key}/secret_key belongs to ") for line in lines)
    assert not any(line.startswith("secret key: ") for line in lines)


def test_a_folder_open_to_all_and_a_file_in_its_place_are_problems(folder: Path) -> None:
    folder.chmod(0o777)
    finding = found(settings.load({"GUESTBOOK_DATA_DIR": str(folder)}, for_doctor=True))["data folder"]
    assert (finding.state, finding.command) == (State.PROBLEM, f"chmod o-w {folder}")
    file = folder / "file"
    file.touch()
    finding = found(settings.load({"GUESTBOOK_DATA_DIR": str(file)}, for_doctor=True))["data folder"]
    assert finding.sentence == f"{file} is no folder that this user can see."
    assert list(folder.iterdir()) == [file]
