"""The page of `talk` in Chromium: after each button the table has the right rows. All tests use one talk."""

import http.client
import re
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, expect

from tests.support import processes
from tests.support.running_talk import DeliveryRow, RunningTalk, TalkStarter
from tests.system.browser.conftest import PHONE, OpenContext, fresh_contexts

pytestmark = pytest.mark.needs("chromium")
PATIENCE = 40_000  # milliseconds for a button


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTalk]:
    """A talk that Ctrl-C ends without a trace, also while somebody pulls the plug."""
    starter = TalkStarter(tmp_path_factory.mktemp("talk"))
    own = starter.own_files()
    with starter.started() as talk:
        yield talk
        started = len(talk.query("SELECT id FROM passes"))
        threading.Thread(target=talk.press, args=("plug",), daemon=True).start()
        processes.wait_for(lambda: len(talk.query("SELECT id FROM passes")) > started)
        assert talk.end_by(signal.SIGINT) == 0
        assert talk.program.output().endswith("\n\nThe talk is over. Everything of it is removed.\n")
        assert "Traceback" not in talk.program.output()
        assert starter.left_over() == []
    assert own.items() <= starter.own_files().items()
    assert not (starter.data / "own.db").exists()


@pytest.fixture
def open_talk(browser: Browser, talk: RunningTalk) -> Iterator[OpenContext]:
    with fresh_contexts(browser, talk.address) as open_context:
        yield open_context


class TalkPage:
    """The page in a browser."""

    def __init__(self, talk: RunningTalk, context: BrowserContext) -> None:
        self.talk, self.page = talk, context.new_page()
        self.page.goto("/")

    def click(self, *names: str) -> None:
        """Click these buttons, each when the one before has done its work."""
        for name in names:
            button = self.page.get_by_role("button", name=name, exact=True)
            button.click(timeout=PATIENCE)
            expect(button).not_to_have_attribute("aria-busy", "true", timeout=PATIENCE)

    def latest(self, *parts: str) -> None:
        """See that the strip says all this, and that no button is at work."""
        for part in parts:
            expect(self.page.locator("#latest")).to_contain_text(part)
        expect(self.page.locator("#latest")).not_to_contain_text("At work:")

    def newest(self) -> DeliveryRow:
        """The newest row of the file; the page shows the same."""
        row = self.talk.rows()[0]
        shown = self.page.locator("#rows [data-id]").first
        expect(shown).to_have_attribute("data-id", row.id)
        expect(shown.get_by_role("cell").nth(2)).to_contain_text(row.status)
        expect(shown).to_contain_text(f"attempts {row.attempts}")
        return row

    def requests(self) -> list[str]:
        """What the receiver shows of each request, the newest first."""
        return self.page.locator("#requests summary").all_text_contents()


@pytest.fixture
def shown(talk: RunningTalk, open_talk: OpenContext) -> TalkPage:
    return TalkPage(talk, open_talk())


def test_signing_stores_a_row_and_cron_sends_it(shown: TalkPage) -> None:
    expect(shown.page.locator("#latest")).to_contain_text("Begin here: sign the book, then run cron.")
    shown.page.get_by_label("Name").fill("Grace")
    shown.click("Sign the book")
    assert shown.newest()[1:] == ("new", 0, None, None)
    expect(shown.page.locator("#rows .changed")).to_have_count(1)
    shown.latest(
        "Sign the book: Grace signed the book, which answered 201.", "is new, due since", "Next: Run cron."
    )
    shown.click("Run cron")
    shown.latest("Run cron: Pass", "is processed. Attempts: 1.", "Next: Sign the book.")
    assert shown.newest()[1:] == ("processed", 1, None, None)
    expect(shown.page.locator("#passes")).to_contain_text("Processed 1, to be retried 0, given up 0.")
    expect(shown.page.locator("#entries")).to_contain_text("new → processed.")
    expect(shown.page.locator("#entries")).to_contain_text(
        re.compile(r"guestbook/outbound/attempt_recorder\.py:\d+\s+status = ")
    )
    first = shown.page.locator("#requests details").first
    first.locator("summary").click()
    signed, signature = (first.locator("pre").nth(number).inner_text() for number in (1, 2))
    assert re.match(r'[0-9a-f]{32}\.\d{10}\.\{"type":"comment\.created"', signed)
    computed, arrived = re.findall(r"v1,\S+", signature)
    assert computed == arrived
    opened = first.get_attribute("id")
    shown.click("Forge a signature")
    expect(first.locator("summary")).to_contain_text("Refused")
    expect(shown.page.locator(f"#{opened}")).to_have_attribute("open", "")  # It was drawn again.


def test_a_receiver_that_is_down_gets_it_after_the_retry(shown: TalkPage) -> None:
    shown.click("The receiver is down", "Sign the book", "Run cron")
    row = shown.newest()
    assert row[1:4] == ("new", 1, None)
    assert "Connection refused" in str(row.last_error)
    shown.latest(
        "is new, due at", "Next: The receiver is up again, then Set the clock one hour on, then Run cron."
    )
    shown.click("Forge a signature")
    expect(shown.page.locator("#latest")).to_contain_text("The receiver must be up")
    shown.click("The receiver is up again", "Set the clock one hour on", "Run cron")
    assert shown.newest()[:3] == (row.id, "processed", 2)


def test_a_late_answer_counts_as_none_and_the_repeat_is_dropped(shown: TalkPage) -> None:
    shown.click("It answers late", "Sign the book", "Run cron")
    row = shown.newest()
    assert row[1:] == ("new", 1, None, "The receiver did not answer in time.")
    expect(shown.page.locator("#requests summary").first).to_contain_text(
        re.compile("Answer: 204 after [3-9]")
    )
    shown.click("The receiver is up again", "Set the clock one hour on", "Run cron")
    assert shown.newest()[:3] == (row.id, "processed", 2)
    expect(shown.page.locator("#requests summary").first).to_contain_text("same webhook-id, dropped")


def test_after_a_410_nothing_is_sent_until_the_webhook_is_enabled(shown: TalkPage) -> None:
    shown.click("It says 410", "Sign the book", "Run cron")
    row = shown.newest()
    assert row[1:4] == ("new", 1, None)
    assert shown.talk.query("SELECT disabled_reason FROM webhooks") == [("gone",)]
    shown.latest(
        "No row changed" if not row.attempts else "is new", "Next: The receiver is up again, then Enable"
    )
    shown.click("The receiver is up again", "Set the clock one hour on", "Run cron")
    assert shown.newest() == row
    shown.click("Enable the webhook", "Run cron")
    assert shown.newest()[:3] == (row.id, "processed", 2)


def test_a_killed_pass_leaves_a_lease_and_the_row_is_sent_after_it(shown: TalkPage) -> None:
    shown.click("Kill the pass in the middle of a request")
    row = shown.newest()
    assert (row.status, row.attempts, row.claimed_by is None) == ("new", 0, False)
    expect(shown.page.locator("#passes p").first).to_contain_text("exit code -9")
    expect(shown.page.locator("#rows [data-id]").first).to_contain_text("leased until")
    shown.latest(
        "SIGKILL ended pass", "is new, leased until", "Next: Set the clock one hour on, then Run cron."
    )
    shown.click("Run cron")
    assert shown.newest() == row
    shown.latest("No row changed.", "leased until", "Next: Set the clock one hour on, then Run cron.")
    shown.click("Set the clock one hour on", "Run cron")
    assert shown.newest()[:3] == (row.id, "processed", 1)
    expect(shown.page.locator("#requests summary").first).to_contain_text("same webhook-id, dropped")


def test_a_second_pass_ends_at_once(shown: TalkPage) -> None:
    shown.click("Let a second pass start")
    assert shown.newest()[1:] == ("processed", 1, None, None)
    expect(shown.page.locator("#passes")).to_contain_text("Another pass is running; it does the work.")
    said = shown.page.locator("#entries li").all_text_contents()
    stored = next(place for place, one in enumerate(said) if "is stored with its comment" in one)
    assert "Cron starts a pass" in said[stored - 2]  # The newest comes first.
    expect(shown.page.locator("#entries")).to_contain_text("fcntl.flock(descriptor")


def test_after_the_plug_was_pulled_each_comment_has_its_delivery(shown: TalkPage) -> None:
    before = len(shown.talk.rows())
    shown.click("Pull the plug")
    comments, rows = shown.talk.query("SELECT id FROM comments"), shown.talk.rows()
    assert sorted(comments) == sorted(shown.talk.query("SELECT comment_id FROM deliveries"))
    assert len(rows) >= before + 4
    shown.latest(
        "Pull the plug:",
        "Answered but not stored: 0. Stored without a delivery: 0. Nothing was lost.",
        "rows changed:",
    )
    expect(shown.page.locator("#entries")).to_contain_text("The web server was started again.")
    shown.click("Set the clock one hour on", "Run cron")
    assert {row.status for row in shown.talk.rows()} == {"processed"}


def test_a_forged_letter_is_refused_and_no_row_changes(shown: TalkPage) -> None:
    shown.click("Sign the book", "Run cron")
    before = shown.talk.rows()
    shown.click("Forge a signature")
    assert shown.talk.rows() == before
    first = shown.page.locator("#requests details").first
    expect(first.locator("summary")).to_have_text(re.compile("^Refused. Answer: 401 after"))
    first.locator("summary").click()
    expect(first.locator("pre").first).to_contain_text("Jello from the talk!")
    computed, arrived = re.findall(r"v1,\S+", first.locator("pre").nth(2).inner_text())
    assert computed != arrived


def test_quick_clicks_are_done_in_turn_and_each_has_an_outcome(shown: TalkPage) -> None:
    """The strip names what is at work, and never shows what another button did as the outcome of the last."""
    strip = shown.page.locator("#latest")
    shown.page.get_by_role("button", name="Pull the plug").click()
    expect(strip).to_contain_text("At work: Pull the plug")
    shown.page.get_by_role("button", name="Set the clock one hour on").click()
    expect(strip).to_contain_text("At work: Pull the plug, then Set the clock one hour on")
    shown.page.get_by_role("button", name="Run cron").click()
    while "At work" in (text := strip.inner_text()):
        done = re.findall(r"(?m)^(Pull the plug|Set the clock one hour on|Run cron):", text)
        assert done == ["Pull the plug", "Set the clock one hour on", "Run cron"][: len(done)]
    shown.latest("Pull the plug: ", "Nothing was lost.", "Set the clock one hour on: It is", "Run cron: Pass")
    shown.latest("rows changed:", "Next: Sign the book.")
    said = " ".join(shown.page.locator("#entries li").all_text_contents())
    plug, hour, cron = (
        said.index(f" {name}: ") for name in ("Pull the plug", "Set the clock one hour on", "Run cron")
    )
    assert cron < hour < plug, "the newest comes first"


def test_start_over_gives_an_empty_book_at_the_real_time(shown: TalkPage) -> None:
    shown.click("The receiver is down", "Sign the book", "Set the clock one hour on", "Start over")
    shown.latest("Start over: This is a new book.", "No row changed. Next: Sign the book.")
    assert shown.talk.rows() == []
    assert shown.talk.query("SELECT id FROM comments") == []
    expect(shown.page.locator("#rows")).to_contain_text("No rows yet.")
    expect(shown.page.locator("#requests")).to_contain_text("No request yet.")
    expect(shown.page.locator("#state")).to_have_text("The receiver is up. It answers 204 at once.")
    with_zone = datetime.now(UTC)
    assert shown.page.locator("#clock").inner_text()[:-5] == f"{with_zone:%A }"
    shown.click("Sign the book", "Run cron")
    assert shown.newest()[1:3] == ("processed", 1)
    expect(shown.page.locator("#requests summary").first).to_contain_text("Genuine")


def test_slides_with_rabbitmq_are_seen_as_a_recording(shown: TalkPage) -> None:
    part = shown.page.locator("#recording")
    expect(part).to_contain_text(re.compile(r"Nothing runs here\. This was recorded on .+ with RabbitMQ \d"))
    expect(part.locator("details")).to_have_count(5)
    part.get_by_text("11. Take from a queue").click()
    expect(part.locator("details[open]")).to_contain_text("has five again")


def test_without_scripts_each_click_shows_the_next_step(talk: RunningTalk, open_talk: OpenContext) -> None:
    shown = TalkPage(talk, open_talk(java_script_enabled=False, viewport=PHONE))
    shown.click("The receiver is down", "Sign the book", "Run cron")
    assert shown.newest()[1:3] == ("new", 1)
    shown.click("The receiver is up again", "Set the clock one hour on")
    expect(shown.page.locator("#latest")).to_contain_text("Rows due now: 1.")
    shown.click("Run cron")
    shown.page.get_by_role("link", name="Look again").click()
    assert shown.newest()[1:3] == ("processed", 2)


@pytest.mark.parametrize(
    ("host", "origin"), [("own", "https://evil.example"), ("own", "null"), ("evil.example", None)]
)
def test_another_website_presses_no_button(talk: RunningTalk, host: str, origin: str | None) -> None:
    """The last one is a name of that website for this address."""
    here = urlsplit(talk.address).netloc
    headers = {"Host": here if host == "own" else host, "Content-Type": "application/x-www-form-urlencoded"}
    before = talk.rows()
    connection = http.client.HTTPConnection(here, timeout=20)
    body = "button=sign&name=Mallory&message=Hi"
    connection.request("POST", "/do", body, headers | ({"Origin": origin} if origin else {}))
    with connection.getresponse() as answer:
        assert (answer.status, answer.read()[:37]) == (403, b"Only the talk's own page may do that.")
    connection.close()
    assert talk.rows() == before


def test_it_is_accessible_and_fits_a_phone_in_the_dark(open_talk: OpenContext, talk: RunningTalk) -> None:
    for how in ({}, {"viewport": PHONE, "color_scheme": "dark"}):
        page = TalkPage(talk, open_talk(**how)).page
        page.locator("#requests summary").first.click()
        page.evaluate(AXE_SCRIPT)
        found = page.evaluate("axe.run({resultTypes: ['violations']}).then(found => found.violations)")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
