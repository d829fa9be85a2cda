"""Chromium in the admin pages: the whole way of a webhook, a comment and a key press."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from guestbook.outbound.event_catalogue import EVENTS
from tests.support import factories
from tests.support.owner import PASSWORD
from tests.support.receiver import OK, Answer, Receiver
from tests.system.browser.conftest import DESKTOP, PHONE, Open
from tests.system.browser.test_book import fill_in, send

pytestmark = pytest.mark.needs("chromium")

BROKEN = Answer(500, body=b"<em>Out of order</em>")
TOPS = "all => all.map(one => one.getBoundingClientRect().top + one.getBoundingClientRect().height / 2)"
HEIGHTS = "all => all.map(one => one.getBoundingClientRect().height)"
WITH_AND_WITHOUT = pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])


@WITH_AND_WITHOUT
def test_a_webhook_from_its_form_to_a_failure_and_back(
    receiver: Receiver, open_admin: Open, scripts: bool
) -> None:
    page = open_admin(java_script_enabled=scripts)
    add_webhook(page, receiver.url("/hook"))
    expect(page.locator("#shown-secret")).to_have_text(re.compile("^whsec_"))

    sign(page, "Grace", "Hello")
    open_newest_delivery(page)
    expect(state(page)).to_contain_text("waiting")
    factories.run_pass()
    reload_page(page, scripts)
    expect(state(page)).to_contain_text("delivered")
    assert [request.json["data"]["comment"]["message"] for request in receiver.at("/hook")] == ["Hello"]

    receiver.answer("/hook", BROKEN)
    sign(page, "Grace", "Are you there?")
    open_newest_delivery(page)
    factories.run_pass()
    reload_page(page, scripts)
    expect(state(page)).to_contain_text("500")
    expect(state(page)).to_contain_text(re.compile("Next due.*in [0-9] seconds", re.DOTALL))
    expect(page.get_by_text("<em>Out of order</em>")).to_be_visible()

    receiver.answer("/hook", OK)
    page.get_by_role("button", name="Redeliver").click()
    expect(page.get_by_role("status")).to_contain_text("The next pass sends it")
    factories.run_pass()
    reload_page(page, scripts)
    expect(state(page)).to_contain_text("delivered")
    expect(page.get_by_role("heading", name=re.compile("^Attempt [0-9]"))).to_have_text(
        ["Attempt 2", "Attempt 1"]
    )
    _, first, second = receiver.at("/hook")
    assert (first.event_id, first.body) == (second.event_id, second.body)


@WITH_AND_WITHOUT
def test_a_comment_is_held_published_and_answered(open_admin: Open, scripts: bool) -> None:
    page = open_admin(java_script_enabled=scripts)
    go_to(page, "Settings")
    page.get_by_role("radio", name=re.compile("^All comments")).check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_be_visible()

    sign(page, "Grace", "Is it still open?")
    expect(page.get_by_role("status")).to_contain_text("The owner will look at it first.")
    page.goto("/")
    expect(page.get_by_text("Is it still open?")).to_be_hidden()
    go_to(page, "Comments")
    page.get_by_role("button", name="Publish the comment by Grace").click()
    page.goto("/")
    expect(page.get_by_text("Is it still open?")).to_be_visible()

    go_to(page, "Comments")
    page.get_by_role("link", name="Published").click()
    page.get_by_role("link", name="Edit or reply to the comment by Grace").click()
    page.get_by_label("Reply", exact=True).fill("It is.\nCome in!")
    page.get_by_role("button", name="Reply", exact=True).click()
    page.goto("/")
    expect(page.get_by_role("article")).to_contain_text("Come in!")


def test_the_box_above_the_list_ticks_all_and_the_number_comes_before_the_action(open_admin: Open) -> None:
    webhook_id = factories.webhook()
    for _ in range(3):
        factories.delivery(webhook_id, status="failed")
    page = open_admin()
    go_to(page, "Deliveries")
    page.get_by_label("Select all on this page").check()
    page.get_by_role("button", name="Redeliver…").first.click()
    page.get_by_role("button", name="Redeliver 3 deliveries").click()
    expect(page.get_by_role("status")).to_contain_text("3 deliveries")
    assert {row.status for row in factories.deliveries()} == {"new"}


def test_the_keyboard_alone_reaches_everything_and_shows_where_it_is(open_admin: Open) -> None:
    webhook_id = factories.webhook()
    delivery_id = factories.delivery(webhook_id, status="failed")
    comment_id = factories.sign("Hello", "Grace")
    page = open_admin(logged_in=False, reduced_motion="reduce")
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    rooms = {"Comments", "Webhooks", "Deliveries", "Settings", "Account", "Log out"}
    assert rooms < reached(page)
    assert {"Hold the comment by Grace", "Apply"} < reached(page, "/admin/comments/?status=published")
    assert {"Reply", "Save", "Trash"} < reached(page, f"/admin/comments/{comment_id}")
    assert {"Send a ping", "Disable", "Edit"} < reached(page, f"/admin/webhooks/{webhook_id}")
    assert {"Redeliver", "Explain the signature"} < reached(page, f"/admin/deliveries/{delivery_id}")
    assert {"Show", "Redeliver…"} < reached(page, "/admin/deliveries/")


def test_the_menu_takes_one_line_and_a_delivery_two_on_a_phone_and_no_word_is_broken(
    open_admin: Open,
) -> None:
    hook = factories.webhook(name="N" * 80)
    for name in (*EVENTS, *EVENTS):
        factories.delivery(hook, event=name, status="failed", last_error="It was too long. " * 9)
    page = open_admin()
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]  # width and height
    go_to(page, "Deliveries")
    tops = page.eval_on_selector_all(".masthead :is(.brand, .menu li)", TOPS)
    assert max(tops) - min(tops) < 20
    assert max(page.eval_on_selector_all(".deliveries tbody .main a", HEIGHTS)) < 30
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # width and height
    assert max(page.eval_on_selector_all(".deliveries tbody tr", HEIGHTS)) < 80
    expect(page.get_by_role("button", name="Redeliver…").first).to_be_in_viewport()


def add_webhook(page: Page, url: str) -> None:
    go_to(page, "Webhooks")
    page.get_by_role("link", name="Add a webhook").click()
    page.get_by_label("URL").fill(url)
    page.get_by_role("button", name="Add the webhook").click()
    expect(page.get_by_role("status")).to_contain_text("The webhook is added")


def sign(page: Page, name: str, message: str) -> None:
    page.goto("/")
    fill_in(page, name, message)
    send(page)
    expect(page.get_by_role("status")).to_contain_text("Thank you")


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_filters_fold_away_on_a_phone_without_scripts(open_admin: Open, size: dict[str, int]) -> None:
    hook = factories.webhook(name="Chat")
    for _ in range(8):
        why = {"last_status_code": 500, "last_error": "The receiver answered 500."}
        factories.delivery(
            hook, comment_id=factories.sign("Hello", name="Grace"), attempts=1, claims=1, **why
        )
    page = open_admin(java_script_enabled=False, viewport=size)
    page.goto("/admin/deliveries/?status=retrying")
    rows = page.locator("tbody tr")
    for part in ("Grace", "500", "retrying"):
        expect(rows.nth(4).get_by_text(part, exact=True)).to_be_in_viewport()
    fields, summary = page.get_by_label("Text in payload or error"), page.get_by_text("Filter (1 in use)")
    if size == PHONE:
        expect(fields).to_be_hidden()
        summary.click()
    expect(fields).to_be_visible()
    page.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(8)


def open_newest_delivery(page: Page) -> None:
    go_to(page, "Deliveries")
    page.get_by_role("link", name="comment.created").first.click()


def reload_page(page: Page, scripts: bool) -> None:
    """Load the page again, which with scripts looks for what is new by itself."""
    if not scripts:
        page.reload()


def state(page: Page) -> Locator:
    return page.get_by_role("region", name="Status")


def go_to(page: Page, room: str) -> None:
    page.goto("/admin/")
    page.get_by_role("navigation", name="Admin").get_by_role("link", name=room).click()


def reached(page: Page, address: str | None = None) -> set[str]:
    """Press Tab from the top of a page to its end; return the names of what had the focus and showed it."""
    if address:
        page.goto(address)
    names: list[str] = []
    while True:
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        if focus is None or len(names) > 200:
            return set(names)
        assert focus["shows"], focus
        names.append(focus["name"])


# The outline of `:focus-visible`, on something that is there to be seen. In a field for a time the browser
# itself marks the part that is typed.
FOCUS = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const style = getComputedStyle(element), box = element.getBoundingClientRect();
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  return {
    name: element.getAttribute("aria-label") || element.innerText?.trim() || element.name,
    shows: (outlined || element.type === "datetime-local")
      && box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight,
  };
}"""
