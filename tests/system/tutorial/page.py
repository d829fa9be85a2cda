"""A page of the tutorial as blocks, each with the words that stand before it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.documents import DOCS, FENCE

PAGES = sorted((DOCS / "tutorial").glob("[0-9][0-9]-*.md"))
SECTIONS = ["The idea", "Try it", "What you see", "By hand", "Break it"]
SECTIONS += ["Why the book holds", "Where it is in the code"]
SHOWN = ("text", "json", "http")  # the languages of an output
SAVED = re.compile(r"Save (?:this|it|them) as\s+`([^`]+)`")


@dataclass(frozen=True)
class Block:
    """One fenced block, and the prose since the block or the heading before it."""

    language: str
    code: str
    before: str

    @property
    def file(self) -> str | None:
        """The name under which the reader saves it."""
        found = SAVED.search(self.before)
        return found[1] if found else None

    @property
    def is_command(self) -> bool:
        return self.language == "sh" and self.file is None

    @property
    def stays(self) -> bool:
        """Whether the reader leaves it running in a terminal of its own."""
        return self.is_command and "Leave it running" in self.before

    @property
    def waits(self) -> bool:
        """Whether the reader waits before it, or looks again until it shows what the page shows."""
        return re.search(r"\b[Ww]ait\b", self.before) is not None

    @property
    def is_in_a_terminal(self) -> bool:
        """Whether it is the output of a program that was left running."""
        return self.language in SHOWN and "terminal" in self.before

    def names(self, file: str) -> bool:
        """Whether it names a saved file, or the module that the file is."""
        return re.search(rf"\b{re.escape(Path(file).stem)}\b", self.code) is not None


def blocks(text: str) -> list[Block]:
    """Return the blocks of a page in their order."""
    return list(_blocks(text))


def _blocks(text: str) -> Iterator[Block]:
    end = 0
    for fence in FENCE.finditer(text):
        before = re.split(r"(?m)^##? .*$", text[end : fence.start()])[-1]
        yield Block(fence[2], fence[3], " ".join(before.split()))
        end = fence.end()


def needs_the_book(text: str) -> bool:
    """Whether the reader has `scripts/run` going before the page begins."""
    starts = any("scripts/run" in block.code for block in _blocks(text) if block.is_command)
    return "`scripts/run`" in FENCE.sub("", text) and not starts


def needs_tables(text: str) -> bool:
    """Whether the reader has made a book's tables before the page begins."""
    return "init-db`" in FENCE.sub("", text)


def buttons(text: str) -> set[str]:
    """Return the buttons of `guestbook talk` that the page names, in italics where it says *press*."""
    sentences = re.split(r"(?<=[.:]) ", " ".join(FENCE.sub("", text).split()))
    return {name for one in sentences if re.search(r"\b[Pp]ress \*", one) for name in italics(one)}


def italics(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w*])\*([^*]+)\*(?![\w*])", text))
