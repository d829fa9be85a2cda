"""Chromium without scripts, from the start of a new book to its first comment."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support import processes
from tests.support.owner import PASSWORD
from tests.support.processes import Started
from tests.system.browser.new_book import open_page, see_the_first_webhook, sign

pytestmark = pytest.mark.needs("chromium")

PROGRAM = (sys.executable, "-P", "-c", "import guestbook; guestbook.main()")


@contextmanager
def new_book(folder: Path, *command: str) -> Iterator[Started]:
    """Start a book in an empty folder."""
    environ = processes.clean_environ(GUESTBOOK_DATA_DIR=str(folder), PYTHONPATH=str(processes.ROOT))
    with processes.started([*PROGRAM, *command], cwd=folder, env=environ) as server:
        yield server


def test_from_the_printed_link_to_the_first_comment_and_its_webhook(browser: Browser, tmp_path: Path) -> None:
    began, port = time.monotonic(), processes.free_port()
    with new_book(tmp_path, "run", "--port", str(port)) as server, open_page(browser) as page:
        see_the_first_webhook(page, began, server.output, f"http://127.0.0.1:{port}")
    assert not (tmp_path / ".env").exists()


def test_without_a_terminal_the_file_has_the_code_and_the_address_counts_at_once(
    browser: Browser, tmp_path: Path
) -> None:
    place = f"127.0.0.1:{processes.free_port()}"
    with new_book(tmp_path, "serve", f"--listen={place}") as server, open_page(browser) as page:
        processes.wait_for(lambda: processes.answers(f"http://{place}/admin/setup/"), 60, server.output)
        page.goto(f"http://{place}/")
        expect(page.locator("main")).to_contain_text("Its owner can open /admin/")
        page.goto(f"http://{place}/admin/")
        page.get_by_label("Code").fill((tmp_path / "setup-code.txt").read_text().split()[0])
        page.get_by_role("button", name="Go on").click()
        page.get_by_role("button", name="Make the tables").click()
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_label("No cron here").check()
        page.get_by_role("button", name="Set up the book").click()
        expect(page.locator("main")).to_contain_text(f"It is at http://{place}/.")
        sign(page)
        canonical = page.locator("link[rel=canonical]")
        assert str(canonical.get_attribute("href")).startswith(f"http://{place}/")
    lines = (tmp_path / ".env").read_text().splitlines()
    assert lines == [f"GUESTBOOK_BASE_URL=http://{place}", "GUESTBOOK_SEND_AFTER_REQUESTS=true"]
