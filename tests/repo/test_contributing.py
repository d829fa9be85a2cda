"""CONTRIBUTING.md draws the layout as it is, and names files that exist."""

import re
from pathlib import Path

from tests.repo.test_imports import FLOORS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
PLACEHOLDERS = ("NAME", "NOUN")


def drawn() -> list[set[str]]:
    """The rooms of each line of the picture: the words before its explanation."""
    [picture] = re.findall(r"```text\n(.+?)```", TEXT, re.DOTALL)
    return [set(line[:26].split()) for line in picture.splitlines()]


def test_the_picture_has_the_floors_that_imports_keep() -> None:
    assert drawn() == [set(rooms) for rooms in FLOORS]


def test_every_file_that_it_names_exists() -> None:
    named = re.findall(r"`([\w./]+/[\w./]*)`", TEXT) + re.findall(r"(?<=[ \n])tests/[\w./]+", TEXT)
    assert len(named) > 40
    named = [name for name in named if not any(word in name for word in PLACEHOLDERS)]
    package = ROOT / "guestbook"
    assert [name for name in named if not (ROOT / name).exists() and not (package / name).exists()] == []
