"""What the pages that need RabbitMQ printed with a real one, for readers of `talk` who have none.

`GUESTBOOK_TEST_RECORD=1 scripts/test tests/system/tutorial/test_pages.py` makes the recording again.
"""

import json
import re
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT
from tests.system.tutorial.page import SHOWN, Block, blocks

RECORDING = ROOT / "guestbook/templates/talk_recording.json"


def read() -> dict[str, Any]:
    """Return the recording by the names of its pages; `made` says when and with what."""
    recorded: dict[str, Any] = json.loads(RECORDING.read_text()) if RECORDING.exists() else {}
    return recorded


def record(page: Path, printed: list[str], made: str) -> None:
    """Replace what is recorded of a page by what its blocks have printed now."""
    text = page.read_text()
    recorded = read() | {"made": made, page.stem: _slide(text, printed)}
    RECORDING.write_text(json.dumps(dict(sorted(recorded.items())), indent=1, ensure_ascii=False) + "\n")


def _slide(text: str, printed: list[str]) -> dict[str, Any]:
    steps = []
    for block, output in zip(blocks(text), printed, strict=True):
        if block.is_in_a_terminal or block.language not in SHOWN:
            steps.append({"caption": caption(block), "code": code(block), "printed": output})
    return {"title": text.partition("\n")[0].removeprefix("# "), "steps": steps}


def caption(block: Block) -> str:
    """Return the last sentence before a block, as plain text."""
    sentence = re.split(r"(?<=[.:]) ", block.before)[-1] if block.before else ""
    return re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", sentence)


def code(block: Block) -> str:
    """Return what the reader types or saves; nothing for what a program in a terminal printed."""
    return "" if block.is_in_a_terminal else block.code
