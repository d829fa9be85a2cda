"""The steps of a guide: what its numbered sections tell you to type, in that order.

"Follow [a page](page.md#section)" inserts the steps of that section, or the numbered ones of that page.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.support import documents

STEP = re.compile(
    r"(?ms)^```(?P<language>\w*)\n(?P<text>.*?)^```$"
    r"|[Ff]ollow\s\[[^]]*\]\((?P<page>[\w-]+)\.md(?:#(?P<section>[\w-]+))?\)"
    r"|(?P<copy>\(put-it-online\.md#copy-the-folder-to-the-host\))"
)
# The folder of the guestbook is copied from the tests' own tree, without a network.
COPY = "copy"


class Step(NamedTuple):
    """A block of code in its language, or COPY."""

    language: str
    text: str = ""


def steps(page: str, section: str | None = None) -> Iterator[Step]:
    """Read a guide such as `run-on-apache`: one section, by its anchor, or all that have a number."""
    text = documents.read(f"howto/{page}")
    titles = re.findall(r"(?m)^## (.+)$", text)
    wanted = [one for one in titles if documents.anchor(one) == section or (not section and one[0].isdigit())]
    assert wanted, (page, section)
    for title in wanted:
        for found in STEP.finditer(documents.section(text, title)):
            if found["page"]:
                yield from steps(found["page"], found["section"])
            else:
                yield Step(COPY if found["copy"] else found["language"], found["text"] or "")
