"""Chromium sees every look of the book: light and dark, on a phone and a desk, on paper, with own CSS."""

from collections.abc import Iterator

import pytest
from flask import Flask, request
from playwright.sync_api import Browser, Page, expect

from guestbook.storage.database import writing
from guestbook.storage.models import Origin
from guestbook.storage.preferences import LOOKS
from tests.support import site
from tests.support.visitor import add, set_
from tests.system.browser import sample
from tests.system.browser.conftest import Open, OpenContext
from tests.system.browser.inspector import FILL_WITH_NONSENSE, Inspector

pytestmark = pytest.mark.needs("chromium")

LONG_TITLE = "The guestbook of the house by the sea, where Donaudampfschifffahrtsgesellschaften"
LEAKING = """@import "OUTSIDE/import.css";
@font-face { font-family: X; src: url(OUTSIDE/font.woff2); }
body { background: rgb(1, 2, 3) url(OUTSIDE/picture.png); font-family: X; }
main { cursor: url(OUTSIDE/cursor.png), auto; }
input[value=""] { background: url("OUTSIDE/typed"); }
h1 { content: url(OUTSIDE/content.png); }
h2 { mask-image: url(OUTSIDE/mask.svg#a); filter: url(OUTSIDE/filter.svg#b); }
"""
MOVES = """[...document.querySelectorAll("*")].some(one =>
  [null, "::before", "::after"].some(part => getComputedStyle(one, part).animationName !== "none"))"""
EDGES = """buttons => buttons.map(getComputedStyle)
  .map(style => style.borderStyle !== "none" && parseFloat(style.borderWidth) > 0)"""


def shown_pages(page: Page, comment_id: str) -> Iterator[str]:
    """Open the front page, a comment, the page about privacy, and the form that came back."""
    for url in ("/", f"/comments/{comment_id}", "/privacy"):
        page.goto(url)
        yield url
    page.goto("/")
    with page.expect_navigation():
        page.locator("main form").evaluate(
            f"form => {{ ({FILL_WITH_NONSENSE})(form); form.requestSubmit(); }}"
        )
    yield "the form that came back"


@pytest.mark.parametrize("look", LOOKS)
def test_every_look_is_accessible_and_fits(app: Flask, open_to_look: OpenContext, look: str) -> None:
    webring = {"webring_previous": "https://a.example", "webring_next": "https://b.example"}
    webring["webring_home"] = "https://ring.example"
    extras = {"background": "confetti", "smileys": "yes", "moods": "happy\ntired"}
    extras["badges"] = "".join(f"A badge, no. {number} https://a.example\n" for number in range(6)) + "N" * 24
    set_(look=look, title=LONG_TITLE[:80], visitor_looks="yes", pictures="drawn", **webring, **extras)
    comment_id, *_, newest = add([*sample.MESSAGES, "Hello :-)"], website="https://a.example", mood="happy")
    add(["Hello"], name="N" * 80)
    with app.app_context(), writing() as session:
        session.add(Origin(comment_id=newest, name="other.example", url="https://other.example/post"))
    inspector = Inspector(app, open_to_look(reduced_motion="reduce").new_page())
    for name in shown_pages(inspector.page, comment_id):
        inspector.look_at_page(name)
    assert not inspector.wrong, "\n".join(inspector.wrong)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_one_click_changes_the_look_and_one_goes_back(open_context: OpenContext, scripts: bool) -> None:
    set_(visitor_looks="yes")
    [comment_id] = add(["Hello"])
    context = open_context(java_script_enabled=scripts)
    page = context.new_page()
    page.goto(f"/comments/{comment_id}")
    assert context.cookies() == []
    page.get_by_role("button", name="Terminal").click()
    expect(page).to_have_url(f"/comments/{comment_id}")
    expect(page.locator("html")).to_have_attribute("data-look", "terminal")
    assert [cookie["name"] for cookie in context.cookies()] == ["guestbook_look"]
    page.get_by_role("link", name="All comments").click()
    expect(page.locator("html")).to_have_attribute("data-look", "terminal")
    page.get_by_role("button", name="Paper").click()
    expect(page.locator("html")).to_have_attribute("data-look", "paper")
    assert context.cookies() == []


def test_nothing_moves_for_those_who_want_that(open_book: Open) -> None:
    add(["Hello"])
    for look, moves in (("1999", True), ("terminal", True), ("window", False)):
        set_(look=look)
        for preference in ("no-preference", "reduce"):
            page = open_book(reduced_motion=preference)
            moving = page.evaluate(MOVES)
            assert moving == (moves and preference == "no-preference"), (look, preference)


@pytest.mark.parametrize("look", LOOKS)
def test_buttons_have_an_edge_where_the_system_chooses_the_colours(
    open_to_look: OpenContext, look: str
) -> None:
    set_(look=look, visitor_looks="yes")
    page = open_to_look(forced_colors="active").new_page()
    page.goto("/")
    edges = page.locator("main .button:visible").evaluate_all(EDGES)
    assert len(edges) == 2
    assert all(edges), edges


def test_on_paper_all_looks_are_black_on_white(open_book: Open) -> None:
    add(["Hello"])
    set_(look="1999", pictures="drawn")
    page = open_book(color_scheme="dark")
    page.emulate_media(media="print")
    styles = page.evaluate(
        "[document.body, document.querySelector('.message')].map(one => getComputedStyle(one))"
        ".map(style => [style.color, style.backgroundImage, style.animationName])"
    )
    assert styles == [["rgb(0, 0, 0)", "none", "none"]] * 2
    for hidden in (".card", ".site-footer", ".counter", ".badges"):
        expect(page.locator(hidden)).to_be_hidden()
    for shown in (".message", ".picture"):
        expect(page.locator(shown)).to_be_visible()


def test_own_css_changes_the_book_and_asks_nobody_else(browser: Browser, address: str) -> None:
    asked: list[str] = []
    other = Flask(__name__)
    other.before_request(lambda: asked.append(request.path))
    with site.reserved_port() as listening, site.serving(other, listening):
        set_(own_css=LEAKING.replace("OUTSIDE", site.address(listening)))
        with browser.new_context() as context:
            page, refused = context.new_page(), []
            page.on("console", lambda message: refused.append(message.text))
            page.goto(address, wait_until="networkidle")
            color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert color == "rgb(1, 2, 3)"
    for name in ("import.css", "font.woff2", "picture.png", "typed"):
        assert any(name in text for text in refused), (name, refused)
    assert asked == []
