"""The reader notices what a page gets wrong, and leaves nothing running."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import processes
from tests.system.tutorial.page import blocks
from tests.system.tutorial.reader import Reader

FENCE = "```"


def page(*parts: str) -> str:
    """A page of prose and blocks; `sh:echo 1` is a block."""
    languages = ("sh", "text", "python", "sql")
    made = []
    for part in parts:
        language, colon, code = part.partition(":")
        is_block = colon and language in languages
        made.append(f"{FENCE}{language}\n{code}\n{FENCE}" if is_block else part)
    return "\n\n".join(made) + "\n"


def read(folder: Path, *parts: str) -> Reader:
    with ExitStack() as stack:
        reader = Reader(folder, stack)
        reader.do(blocks(page(*parts)))
    return reader


def test_a_page_that_is_right_is_read_to_its_end(tmp_path: Path) -> None:
    save, wait = "Save this as `two.py`:", "Wait until it is there:"
    is_there = "sh:echo x >>looks; sed -n 3p looks"
    parts = [
        "sh:echo whsec_a1; echo 9000",
        "text:whsec_…\n9000",
        "sh:echo 'whsec_…' again",
        "text:…\nwhsec_a1 again",
    ]
    reader = read(
        tmp_path,
        *parts,
        save,
        "python:print(1 + 1)",
        "sh:.venv/bin/python two.py",
        "text:2",
        wait,
        is_there,
        "text:x",
    )
    assert reader.ran == 9


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        (["sh:echo one", "text:two"], "Printed:\none"),
        (["sh:echo one", "text:one\ntwo"], "Printed:\none"),
        (["sh:false"], "^false"),
        (["sh:echo one", "Then:", "sql:select 1"], "No rule runs this block"),
        (["text:alone"], "No rule runs this block"),
        (["Save this as `x.py`:", "python:print()"], "Nothing uses x.py"),
        (["python:print()"], "No rule runs this block"),
        (["sh:echo 01…"], "begins with 01"),
    ],
)  # fmt: skip
def test_a_page_that_is_wrong_is_noticed(tmp_path: Path, parts: list[str], why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        read(tmp_path, *parts)


def test_a_program_that_is_left_running_ends_with_the_page(tmp_path: Path) -> None:
    sleeper = "sh:trap : INT; echo ready on 9000; sleep 60"
    with ExitStack() as stack:
        reader = Reader(tmp_path, stack)
        reader.do(blocks(page("Leave it running:", sleeper, "text:ready on 9000")))
        [group] = [one.process.pid for one in reader._running]
        assert processes.group(group)
    assert processes.group(group) == []
