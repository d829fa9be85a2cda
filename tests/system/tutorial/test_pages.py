"""Each block of the tutorial runs, in the order of its page, and each output is as shown."""

import html
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conftest import need
from tests.support import rabbitmq
from tests.support.documents import FENCE, read
from tests.support.processes import ROOT
from tests.system.tutorial import recording
from tests.system.tutorial.page import (
    PAGES,
    SECTIONS,
    SHOWN,
    blocks,
    buttons,
    italics,
    needs_tables,
    needs_the_book,
)
from tests.system.tutorial.reader import Reader, pattern

RESTART = "sudo systemctl restart rabbitmq-server\n"
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], rabbitmq.Node]]:
    """Gives a broker of these tests' own, which starts when the first page asks for it."""
    with ExitStack() as stack:
        nodes: list[rabbitmq.Node] = []

        def started() -> rabbitmq.Node:
            if not nodes:
                nodes.append(stack.enter_context(rabbitmq.open_node(tmp_path_factory.mktemp("rabbitmq"))))
                nodes[0].start()
            return nodes[0]

        yield started


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Reader]]:
    """Gives the book that one reader keeps going from page to page."""
    with ExitStack() as stack:
        readers: list[Reader] = []

        def opened() -> Reader:
            if not readers:
                readers.append(Reader(tmp_path_factory.mktemp("book"), stack))
                readers[0].open_the_book()
            return readers[0]

        yield opened


@pytest.mark.needs("sqlite3")
@each_page
def test_every_block_of_a_page_runs(
    page: Path,
    tmp_path: Path,
    broker: Callable[[], rabbitmq.Node],
    book: Callable[[], Reader],
    record_property: Callable[[str, int], None],
) -> None:
    text = page.read_text()
    ports: dict[str, int | str] = {}
    if "scripts/run" not in text:
        ports["5000"] = 5000  # Nothing listens there: it stands only in the book's own address.
    has_broker = "5672" in "".join(block.code for block in blocks(text))
    if has_broker:
        need("rabbitmq")
        vhost = broker().vhost()
        ports |= {"5672//": f"{broker().port}/{vhost.name}", "15672": broker().management_port}
    with ExitStack() as stack:
        reader = Reader(tmp_path, stack, book() if needs_the_book(text) else None, **ports)
        reader.instead[RESTART] = lambda: restart(broker())
        if needs_tables(text):
            reader.make_the_tables()
        reader.do(blocks(text))
    assert reader.ran == len(FENCE.findall(text)) == text.count("```") / 2
    assert list(reader.temporary.iterdir()) == []
    record_property("blocks of the tutorial", reader.ran)
    if has_broker:
        vhost.drop()
        if "GUESTBOOK_TEST_RECORD" in os.environ:
            today = datetime.now(UTC)
            recording.record(
                page,
                reader.printed,
                f"on {today:%-d %B %Y} with RabbitMQ {broker().ask('GET', 'overview')['rabbitmq_version']}",
            )


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "5672" in page.read_text()], ids=lambda page: page.stem
)
def test_the_recording_shows_the_page_as_it_is(page: Path) -> None:
    found = recording.read()[page.stem]
    assert found["title"] == page.read_text().partition("\n")[0].removeprefix("# ")
    steps, step = iter(found["steps"]), {"printed": ""}
    for block in blocks(page.read_text()):
        is_output = block.language in SHOWN
        if not is_output or block.is_in_a_terminal:
            step = next(steps)
            assert (step["caption"], step["code"]) == (recording.caption(block), recording.code(block))
        if is_output:
            assert re.search(rf"(?m)^{pattern(block.code)}", step["printed"])
    assert next(steps, None) is None


def restart(node: rabbitmq.Node) -> None:
    node.kill()
    node.start()


@each_page
def test_a_page_has_the_seven_sections_in_their_order(page: Path) -> None:
    found = [line[3:] for line in FENCE.sub("", page.read_text()).splitlines() if line.startswith("## ")]
    assert found == SECTIONS


def test_every_button_that_a_page_says_to_press_is_in_the_talk() -> None:
    files = [*ROOT.glob("guestbook/templates/talk*.html"), *ROOT.glob("guestbook/cli/talk*.py")]
    talk = html.unescape(" ".join("\n".join(map(Path.read_text, files)).split()))
    named = {button for page in PAGES for button in buttons(page.read_text())}
    named |= italics(read("tutorial/the-talk"))
    assert len(named) > 5
    assert {button for button in named if button not in talk} == set()


def test_the_talk_has_a_row_for_each_slide_which_leads_to_its_page() -> None:
    rows = re.findall(r"(?m)^\| (\d+) \|.*\]\((\d\d-[\w-]+)\.md\)", read("tutorial/the-talk"))
    assert rows == [(str(number), page.stem) for number, page in enumerate(PAGES, 1)]
    assert len(rows) == 13
