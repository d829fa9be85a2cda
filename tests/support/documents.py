"""README and docs/ as text: their pages, sections, code blocks and links."""

import re
import textwrap
from pathlib import Path

from tests.support.processes import ROOT

README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]
FENCE = re.compile(r"(?ms)^( *)```(\w*)\n(.*?)^\1```$")


def read(name: str) -> str:
    """Return a page of docs/, such as `howto/monitor`."""
    return (DOCS / f"{name}.md").read_text()


def everything() -> str:
    """Return all pages, one after the other."""
    return "\n\n".join(page.read_text() for page in PAGES)


def section(text: str, title: str) -> str:
    """Return what stands under a heading, up to the next one."""
    return re.split(r"(?m)^##+ ", text.partition(f"# {title}\n")[2])[0]


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of a language, also those within lists."""
    return [textwrap.dedent(code) for _, named, code in FENCE.findall(text) if named == language]


def prose(text: str) -> str:
    """Return a page without its code blocks."""
    return FENCE.sub("", text)


def code(text: str) -> list[str]:
    """Return what stands between backticks in the prose."""
    return re.findall(r"`([^`]+)`", prose(text))


def first_column(text: str) -> list[str]:
    """Return the first code of each row of its tables."""
    return re.findall(r"(?m)^\| `([^`]+)`", text)


def links(page: Path) -> list[str]:
    """Return the addresses that a page links to."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text()))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", prose(page.read_text()))
    return {anchor(heading) for heading in headings}


def anchor(heading: str) -> str:
    """Return the anchor of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
