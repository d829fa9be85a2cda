"""Chromium shows the book on a page of another site."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trustme
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, expect
from werkzeug.serving import make_server

from guestbook.storage.preferences import BOOK_LANGUAGES, LOOKS
from tests.conftest import running
from tests.support import site
from tests.support.owner import Owner
from tests.support.visitor import add, set_, stored, text
from tests.system.browser.conftest import DESKTOP, PHONE, OpenContext, be_logged_in

pytestmark = pytest.mark.needs("chromium")

PATIENCE = 60_000  # milliseconds; on a busy machine a frame takes its time

WITH_SCRIPT = (
    "<h1>My page</h1><b data-guestbook-count></b>"
    '<a href="{book}">Guestbook</a>\n<script src="{book}embed.js" async></script>'
)
BY_HAND = '<h1>My page</h1><iframe src="{book}embed" title="Guestbook" width="600" height="900"></iframe>'
# With this policy a browser still names the website, and with the other one it does not.
REFERRERS = {
    "/origin": ("origin", BY_HAND),
    "/script-without-referrer": ("no-referrer", WITH_SCRIPT),
    "/frame-without-referrer": ("no-referrer", BY_HAND),
}
# The policy of Neocities' free sites: no request and no form leads elsewhere, and frames are allowed.
NEOCITIES = "connect-src 'self'; form-action 'self'"
POLICIES = {"/no-script": "default-src 'self'", "/no-frame": "default-src 'self'; script-src *"}


ABOUT = {  # Each path has the attribute of its script, what its head says, and what its page is.
    "/one": ("data-page", '<link rel="canonical" href="{site}/one/">', "/one/"),
    "/two": ('data-page="two/"', "", "/two/"),
    "/three": ("data-page", "", "/three"),
    "/whole": ("", '<link rel="canonical" href="{site}/whole/">', None),
}


@pytest.fixture
def elsewhere(address: str) -> Iterator[str]:
    """A site with a page that shows the book, and with one that does it without a script."""
    other = Flask(__name__)
    chosen = WITH_SCRIPT.replace(" async", ' data-lang="de" data-look="1999" data-header="no" async')
    for path, page in (("/", WITH_SCRIPT), ("/chosen", chosen), ("/by-hand", BY_HAND)):
        icon = '<link rel="icon" href="data:,">'
        body = f"<!doctype html><html lang=en>{icon}<title>My page</title>{page.format(book=address)}"
        other.add_url_rule(path, path, lambda body=body: body)
        if path == "/by-hand":
            other.add_url_rule(
                "/neocities", "n", lambda body=body: (body, {"Content-Security-Policy": NEOCITIES})
            )
        if path == "/":
            for strict, policy in POLICIES.items():
                answer = body, {"Content-Security-Policy": policy}
                other.add_url_rule(strict, strict, lambda answer=answer: answer)
    for path, (policy, code) in REFERRERS.items():
        body = f"<!doctype html><html lang=en><title>My page</title>{code.format(book=address)}"
        answer = body, {"Referrer-Policy": policy}
        other.add_url_rule(path, path, lambda answer=answer: answer)
    with site.reserved_port() as listening, site.serving(other, listening):
        for path, (attribute, head, _) in ABOUT.items():
            body = WITH_SCRIPT.replace("async", attribute).format(book=address)
            html = f"<!doctype html><html lang=en>{head.format(site=site.address(listening))}{body}"
            other.add_url_rule(path, path, lambda html=html: html)
        yield site.address(listening)


def allow(*sites: str) -> None:
    set_(embed_sites="\n".join(sites))


def inside(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[title=Guestbook]")


def height(page: Page) -> float:
    box = page.locator("iframe").bounding_box()
    assert box
    return box["height"]


def content_height(page: Page) -> float:
    return float(inside(page).locator("html").evaluate("root => root.getBoundingClientRect().height"))


def assert_it_fits(page: Page) -> None:
    """Wait until the frame is as high as its content."""
    for _ in range(PATIENCE // 100):
        if abs(height(page) - content_height(page)) <= 1:
            return
        page.wait_for_timeout(100)
    assert height(page) == content_height(page)


def test_the_frame_sizes_itself_and_one_signs_in_it(elsewhere: str, open_context: OpenContext) -> None:
    allow(elsewhere)
    add([f"Comment {number}" for number in range(15)])
    context = open_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(elsewhere)
    book = inside(page)
    expect(book.locator(".comment")).to_have_count(15, timeout=PATIENCE)
    assert_it_fits(page)
    assert height(page) > 900
    expect(page.locator("[data-guestbook-count]")).to_have_text("15")
    expect(page.get_by_role("link", name="Guestbook", exact=True)).to_have_count(
        0
    )  # the frame is in its place
    page.set_viewport_size({"width": 360, "height": 700})
    assert_it_fits(page)
    book.get_by_label("Name").fill("Grace")
    book.get_by_label("Message").fill("Hello from afar")
    book.get_by_role("button", name="Sign the book").click()
    expect(book.get_by_role("status")).to_contain_text("Thank you, Grace!", timeout=PATIENCE)
    assert [comment.name for comment in stored()][-1] == "Grace"
    assert_it_fits(page)
    assert page.url.startswith(elsewhere)
    # Another port of the same computer is the same site, so both cookies are kept.
    assert kept(context) == [("/comments", "Lax"), ("/embed", "Lax")]


def test_each_page_has_the_comments_about_it(elsewhere: str, open_context: OpenContext) -> None:
    allow(elsewhere)
    context = open_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    for path in ABOUT:
        page.goto(f"{elsewhere}{path}?utm=1#top")
        book = inside(page)
        book.get_by_label("Name").fill("Grace")
        book.get_by_label("Message").fill(f"Hello from {path}")
        book.get_by_role("button", name="Sign the book").click()
        expect(book.get_by_role("status")).to_contain_text("Thank you, Grace!", timeout=PATIENCE)
        expect(book.locator(".comment")).to_have_count(1 if path != "/whole" else len(ABOUT))
        expect(page.locator("[data-guestbook-count]")).to_have_text("1" if path != "/whole" else "4")
    assert [one.page for one in stored()] == [is_ and elsewhere + is_ for *_, is_ in ABOUT.values()]


def test_the_page_chooses_language_look_and_header(elsewhere: str, open_context: OpenContext) -> None:
    allow(elsewhere)
    page = open_context().new_page()
    page.goto(f"{elsewhere}/chosen")
    book = page.frame_locator("iframe")
    expect(book.locator("html[lang=de][data-look='1999']")).to_have_count(1, timeout=PATIENCE)
    expect(book.locator("h1")).to_have_count(0)


def test_after_each_click_the_page_around_shows_what_came_of_it(
    elsewhere: str, open_context: OpenContext
) -> None:
    allow(elsewhere)
    add([f"Comment {number}" for number in range(25)])
    context = open_context(viewport=PHONE)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(elsewhere)
    book = inside(page)
    sign, name = book.get_by_role("button", name="Sign the book"), book.get_by_label("Name")
    assert_it_fits(page)
    book.get_by_role("link", name="Sign the book").click()
    expect(name).to_be_in_viewport(timeout=PATIENCE)
    name.fill("Grace")
    book.get_by_label("Message").fill("Hello")
    book.get_by_label("Website").fill("not a website")
    sign.click()
    summary = book.get_by_role("alert")
    expect(summary).to_be_in_viewport(ratio=1, timeout=PATIENCE)
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="Website").click()
    expect(book.locator("label[for=website]")).to_be_in_viewport(timeout=PATIENCE)
    book.get_by_label("Website").fill("")
    book.get_by_role("button", name="Preview").click()
    expect(book.get_by_role("heading", name="This is how it will look")).to_be_in_viewport(timeout=PATIENCE)
    sign.first.click()
    expect(book.get_by_role("status")).to_be_in_viewport(ratio=1, timeout=PATIENCE)
    book.get_by_role("link", name="Older comments").click()
    expect(book.get_by_role("heading", name="Older comments")).to_be_in_viewport(timeout=PATIENCE)


@pytest.mark.parametrize(("path", "runs_scripts"), [("/by-hand", False), ("/neocities", True)])
def test_a_frame_by_hand_shows_the_book_and_takes_a_comment(
    elsewhere: str, open_context: OpenContext, path: str, runs_scripts: bool
) -> None:
    allow(elsewhere)
    context = open_context(java_script_enabled=runs_scripts)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(elsewhere + path)
    book = inside(page)
    book.get_by_label("Name").fill("Grace")
    book.get_by_label("Message").fill("Hello")
    book.get_by_role("button", name="Sign the book").click()
    expect(book.get_by_role("status")).to_contain_text("Thank you, Grace!", timeout=PATIENCE)
    assert height(page) >= 900
    assert len(stored()) == 1


@pytest.mark.parametrize("sites", ["", "https://friend.example"])
@pytest.mark.parametrize("path", ["/", "/by-hand", "/origin", "/script-without-referrer"])
def test_a_site_that_is_not_allowed_says_so_and_one_step_of_the_owner_allows_it(
    app: Flask, address: str, elsewhere: str, browser: Browser, path: str, sites: str
) -> None:
    allow(sites)
    with browser.new_context() as context:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(elsewhere + path)
        book = inside(page)
        said = book.get_by_role("heading", name="This website is not yet allowed")
        expect(said).to_be_visible(timeout=PATIENCE)
        expect(book.get_by_label("Message")).to_have_count(0)
        expect(page.locator("body > a")).to_have_count(0 if path in ("/by-hand", "/origin") else 1)
        be_logged_in(Owner(app), context, address)
        with context.expect_page() as opened:
            book.get_by_role("link", name="Allow this website").click()
        opened.value.get_by_role("button", name=f"Allow {elsewhere}", exact=True).click()
        expect(opened.value.get_by_role("status")).to_contain_text(f"{elsewhere} may show", timeout=PATIENCE)
        page.reload()
        expect(book.get_by_label("Message")).to_be_visible(timeout=PATIENCE)


@pytest.mark.usefixtures("app")
def test_the_browser_refuses_a_site_that_nobody_knows(elsewhere: str, browser: Browser) -> None:
    allow("https://friend.example")
    with browser.new_context() as context:
        page = context.new_page()
        refused = "frame-ancestors https://friend.example"
        with page.expect_console_message(lambda message: refused in message.text, timeout=PATIENCE):
            page.goto(f"{elsewhere}/frame-without-referrer")
        expect(inside(page).get_by_label("Message")).to_have_count(0)


MORE_QUESTIONS = {
    **{"prompt": "What did you like best?", "asks_place": "yes", "moods": "happy", "asks_note": "yes"},
    **{"question": "Which river flows through the town?", "answers": "Neisse"},
}


@pytest.mark.parametrize("asked", [{}, MORE_QUESTIONS], ids=["a new book", "with more questions"])
@pytest.mark.parametrize("look", LOOKS)
def test_the_height_in_the_code_fits_an_empty_book_in_every_language_also_on_a_phone(
    app: Flask, open_to_look: OpenContext, look: str, asked: dict[str, str]
) -> None:
    around = Flask(__name__)
    with site.reserved_port() as listening, site.serving(around, listening):
        elsewhere = site.address(listening)
        set_(look=look, visitor_languages="no", embed_sites=elsewhere, **asked)
        settings = Owner(app).be_logged_in().page("/admin/embed/?host=frame")
        code = text(settings.find(".//pre"))
        around.add_url_rule("/", "/", lambda: f"<!doctype html><html lang=en><title>My page</title>{code}")
        page = open_to_look(viewport=PHONE).new_page()
        spare = {}
        for language in BOOK_LANGUAGES:
            set_(language=language)
            page.goto(elsewhere)
            spare[language] = height(page) - content_height(page)
        assert min(spare.values()) >= 0, spare
        assert min(spare.values()) < 150, spare
        page.set_viewport_size(DESKTOP)
        assert height(page) >= content_height(page)


@pytest.mark.parametrize("path", POLICIES)
def test_a_page_that_forbids_the_script_or_the_frame_shows_the_link_and_no_empty_frame(
    address: str, elsewhere: str, browser: Browser, path: str
) -> None:
    allow(elsewhere)
    with browser.new_context() as context:
        page = context.new_page()
        with page.expect_console_message(lambda message: "Content Security Policy" in message.text):
            page.goto(elsewhere + path)
        expect(page.locator("iframe")).to_have_count(0)
        page.get_by_role("link", name="Guestbook").click()
        expect(page).to_have_url(address)


@pytest.fixture
def secure_book(environ: dict[str, str], listening: socket.socket) -> Iterator[str]:
    """Serve a book by https, and give its address: only so may a browser keep a cookie in a frame."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    address = site.address(listening).replace("http://", "https://")
    listening.listen()
    with running(environ | {"GUESTBOOK_BASE_URL": address}) as app:
        server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=context, fd=listening.fileno())
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"{address}/"
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def without_other_sites_cookies(browser: Browser) -> Iterator[tuple[BrowserContext, Page]]:
    """Open a page in a browser that blocks the cookies of other sites, as most do."""
    with browser.new_context(ignore_https_errors=True) as context:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        control = context.new_cdp_session(page)
        control.send("Network.enable")
        block = {"enableThirdPartyCookieRestriction": True}
        allow_none = {"disableThirdPartyCookieMetadata": True, "disableThirdPartyCookieHeuristics": True}
        control.send("Network.setCookieControls", block | allow_none)
        yield context, page


def kept(context: BrowserContext) -> list[tuple[str | None, str | None]]:
    """Return the path and the kind of the cookies that the browser has kept."""
    return sorted((cookie["path"], cookie["sameSite"]) for cookie in context.cookies())


def test_in_a_frame_of_another_site_one_changes_the_comment_and_is_known_again(
    secure_book: str, browser: Browser
) -> None:
    around = Flask(__name__)
    frame = f'<iframe src="{secure_book}embed" title="Guestbook" width="600" height="900"></iframe>'
    around.add_url_rule("/", "/", lambda: f"<!doctype html><title>My page</title>{frame}")
    with site.reserved_port() as listening, site.serving(around, listening):
        elsewhere = site.address(listening).replace("127.0.0.1", "localhost")  # This is another site.
        allow(elsewhere)
        with without_other_sites_cookies(browser) as (context, page):
            page.goto(elsewhere)
            book = inside(page)
            sign(book, "Hello http://a.example http://b.example http://c.example")
            expect(book.get_by_role("status")).to_contain_text("The owner will look at it first.")
            # The control: the plain cookie, which the book's own page would have, is dropped.
            assert kept(context) == [("/embed", "None")]
            page.reload()
            expect(book.locator(".message")).to_contain_text("http://c.example")
            book.get_by_role("link", name="Change or delete it").click()
            expect(book.get_by_role("heading", name="Change your comment")).to_be_visible()
            book.get_by_label("Message").fill("Hello again")
            book.get_by_role("button", name="Save the change").click()
            expect(book.get_by_role("status")).to_contain_text("Your change is saved.")
            sign(book, "A second one")
            expect(book.get_by_role("status")).to_contain_text("is in the book")
            assert [comment.message for comment in stored()] == ["Hello again", "A second one"]
            book.get_by_role("link", name="Change or delete it").click()
            book.get_by_role("button", name="Delete my comment").click()
            expect(book.get_by_role("status")).to_contain_text("Your comment is deleted.")
            assert stored()[1].status == "trash"


@pytest.mark.parametrize("path", ["/", "/by-hand"])
def test_where_the_browser_keeps_no_cookie_at_all_one_still_changes_the_comment(
    elsewhere: str, browser: Browser, path: str
) -> None:
    # By http a cookie has no partition. So this browser keeps none in a frame of another site.
    other_site = elsewhere.replace("127.0.0.1", "localhost")
    allow(other_site)
    add([f"Comment {number}" for number in range(10)])
    with without_other_sites_cookies(browser) as (context, page):
        page.set_viewport_size(PHONE)
        page.goto(other_site + path)
        book = inside(page)
        for message in ("Hello", "See http://a.example http://b.example http://c.example"):
            sign(book, message)
            change = book.get_by_role("link", name="Change or delete it")
            expect(change).to_be_in_viewport(timeout=PATIENCE)
            change.click()
            title = book.get_by_role("heading", name="Change your comment")
            expect(title).to_be_in_viewport(timeout=PATIENCE)
            book.get_by_role("link", name="Back to the book").click()
            change.click()
            expect(title).to_be_in_viewport(timeout=PATIENCE)  # The page before has the same fields.
            book.get_by_label("Message").fill("")
            book.get_by_label("Message").evaluate("area => area.required = false")
            book.get_by_role("button", name="Save the change").click()
            expect(book.get_by_role("alert")).to_be_in_viewport(timeout=PATIENCE)
            book.get_by_label("Message").fill("Hello again")
            book.get_by_role("button", name="Save the change").click()
            status = book.get_by_role("status")
            expect(status).to_contain_text("Your change is saved.", timeout=PATIENCE)
            assert stored()[-1].message == "Hello again"
            change.click()
            book.get_by_role("button", name="Delete my comment").click()
            expect(status).to_contain_text("Your comment is deleted.", timeout=PATIENCE)
            assert stored()[-1].status == "trash"
        assert kept(context) == []


def sign(book: FrameLocator, message: str) -> None:
    book.get_by_label("Name").fill("Grace")
    book.get_by_label("Message").fill(message)
    book.get_by_role("button", name="Sign the book").click()
