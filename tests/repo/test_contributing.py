"""CONTRIBUTING.md draws the layout as it is, and names files that exist."""

import re
from pathlib import Path

from tests.repo.test_imports import FLOORS
from tests.support import documents

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


def test_every_link_leads_to_a_file_or_to_a_heading() -> None:
    page = ROOT / "CONTRIBUTING.md"
    for link in documents.links(page):
        path, _, anchor = link.partition("#")
        assert (ROOT / path).exists(), link
        assert not anchor or anchor in documents.anchors(ROOT / path if path else page), link
