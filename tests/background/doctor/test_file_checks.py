"""What doctor says of a data folder that is missing, or closed to the user that runs it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from guestbook import settings
from guestbook.background.doctor.finding import State
from tests.background.doctor.conftest import found
from tests.settings.test_settings import given_to_nobody, open_parents

# What examines a book is imported before file modes count, for this user may not read the program's folder.
AS_NOBODY = """
import os
from guestbook import settings
from guestbook.background.doctor import examination
def look(folder):
    read = settings.load({'GUESTBOOK_DATA_DIR': folder}, alone=True, for_doctor=True)
    return [f'{one.subject}: {one.sentence} {one.command}' for one in examination.examine(read)]
look(%(other)r)
if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)
print(*look(%(folder)r), sep='\\n')
"""


def as_nobody(folder: Path) -> list[str]:
    code = AS_NOBODY % {"folder": str(folder), "other": str(folder.parent / "other")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder of a user without rights. Pytest's own folder is closed again when another run begins."""
    with TemporaryDirectory() as parent:
        folder = Path(parent) / "data"
        given_to_nobody(folder)
        yield folder


def test_a_folder_that_this_user_may_not_read_is_the_only_problem_looked_at(folder: Path) -> None:
    folder.chmod(0)
    first, *others = as_nobody(folder)
    folder.chmod(0o700)
    assert first == f"data folder: This user may not read {folder}. None"
    assert [line.partition(":")[0] for line in others] == ["versions"]


def test_a_folder_behind_a_closed_one_cannot_be_seen(folder: Path) -> None:
    (folder / "in").mkdir()
    folder.chmod(0)
    first, *others = as_nobody(folder / "in")
    folder.chmod(0o700)
    assert first.startswith(f"data folder: {folder}/in is no folder that this user can see. ")
    assert [line.partition(":")[0] for line in others] == ["versions"]


def test_settings_that_this_user_may_not_read_are_named_with_what_helps(folder: Path) -> None:
    (folder / ".env").write_text("GUESTBOOK_BASE_URL=https://example.org\n")
    (folder / ".env").chmod(0)
    first, *others = as_nobody(folder)
    assert first.startswith(f"data folder: {folder}/.env belongs to ")
    assert first.endswith(f" {folder}/.env")
    assert [line.partition(":")[0] for line in others] == ["versions"]


def test_a_folder_that_this_user_may_not_write_is_a_problem_among_others(folder: Path) -> None:
    (folder / "secret_key").write_text("a secret key of 32 letters or more")
    (folder / "secret_key").chmod(0o444)
    folder.chmod(0o555)
    open_parents(folder)
    lines = as_nobody(folder)
    folder.chmod(0o755)
    assert f"data folder: This user may not write in {folder}. None" in lines
    assert any(line.startswith("database: There is no file ") for line in lines)
    assert any(line.startswith("base URL: ") for line in lines)
    assert [path.name for path in folder.iterdir()] == ["secret_key"]


def test_a_secret_key_that_this_user_may_not_read_is_not_missing(folder: Path) -> None:
    (folder / "secret_key").write_text("a secret key of 32 letters or more")
    (folder / "secret_key").chmod(0)
    lines = as_nobody(folder)
    assert any(line.startswith(f"data folder: {folder}/secret_key belongs to ") for line in lines)
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
