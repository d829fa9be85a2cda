"""Chromium opens every page there is, of the book and of the admin: light and wide, dark and narrow.

Pages are found by the routes, and forms by their pages, so that new ones need no word here.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import html5lib
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from flask import Flask
from playwright.sync_api import BrowserContext, Page, Response

from guestbook.auth import login
from guestbook.storage.database import writing
from tests.support.owner import PASSWORD
from tests.support.receiver import Receiver
from tests.support.second_factor_codes import turn_second_factor_on
from tests.system.browser import sample
from tests.system.browser.conftest import DESKTOP, PHONE

pytestmark = pytest.mark.needs("chromium")

SCREENSHOTS = os.environ.get("GUESTBOOK_TEST_SCREENSHOTS")  # a folder for them
LOOKS = [("light", DESKTOP), ("dark", PHONE)]
MORE_LOOKS = [("dark", DESKTOP), ("light", PHONE)]  # for the screenshots
ROOMS = ("/admin/sources/", "/admin/inbox/", "/admin/bins/")
WIDTHS = (320, 768)  # beside those of the looks
FORM_OF = {  # forms that each part must have found
    "sources, inbox and bins": {"admin.sources.add", "admin.bins.add"},
    "all other pages": {"public.sign", "admin.login.check", "admin.webhooks.add", "admin.book.save"},
}

# What the routes do not tell, and its status; {name} is the first of the sample's rows.
MORE = {
    "/nowhere": 404,
    "/?before={comment_id}": 200,
    "/?signed={comment_id}": 200,
    "/?signed=waiting": 200,
    "/moderate/nowhere": 404,
    "/comments/{comment_id}/edit": 403,
    "/webmention/{event_id}": 404,
    "/moderate/{old_token}": 410,
    "/admin/nowhere": 404,
    "/admin/deliveries/?status=failed": 200,
    "/admin/deliveries/?status=odd&since=never": 422,
    "/admin/deliveries/?text=nowhere": 200,
    "/admin/deliveries/redeliver?failed=1": 200,
    "/admin/deliveries/redeliver?id={delivery_id}": 200,
    "/admin/inbox/?status=failed": 200,
    "/admin/inbox/?status=odd&since=never": 422,
    "/admin/inbox/reprocess?failed=1": 200,
    "/admin/inbox/reprocess?id={event_id}": 200,
    "/admin/comments/?status=all": 200,
    "/admin/comments/?words=nowhere": 200,
    "/admin/comments/{held}": 200,
    "/admin/webhooks/{webhook_id}?ping={delivery_id}": 200,
    **dict.fromkeys(sample.RECEIVER_PAGES, 200),
    "/receiver/{old_receiver_token}": 410,
    "/receiver/nowhere": 404,
}
# Pages that by themselves say what they lack.
UNASKED = {"/admin/deliveries/redeliver": 422, "/admin/inbox/reprocess": 422}
WRONG_FORM = {"webmention.receive": 400}  # as the specification of Webmention has it; others answer 422
RUN_AXE = """more => axe.run({resultTypes: ['violations'], preload: false, ...more})
  .then(found => found.violations)"""
# What may differ in another look: colours, and what the width moves, hides or lets scroll.
LOOK_RULES = [
    "color-contrast",
    "target-size",
    "scrollable-region-focusable",
    "link-in-text-block",
    "empty-table-header",
    "empty-heading",
    "heading-order",
    "label",
    "link-name",
    "button-name",
    "region",
    "th-has-data-cells",
    "aria-hidden-focus",
    "nested-interactive",
]
# Contrast takes most of axe's time. Colours follow from the tags and classes of an element and its parent,
# so it is looked at once for each of these combinations.
AXE = (
    AXE_SCRIPT
    + """
axe.configure({rules: [{id: "color-contrast", selector: "[data-new]"}]});"""
)
MARK_NEW = """seen => {
  const found = new Set(seen);
  for (const one of document.querySelectorAll("body *")) {
    const both = [one.parentElement, one].map(each => each.tagName + each.getAttribute("class"));
    if (!found.has(both.join())) one.setAttribute("data-new", "");
    found.add(both.join());
  }
  return [...found];
}"""
TYPED = "input:not([type=hidden], [type=checkbox], [type=radio], [tabindex='-1']), textarea"
FORMS = f"form[method=post]:has({TYPED})"
ACTIONS = "forms => forms.map(form => form.getAttribute('action'))"  # a field may be called action
FILL_WITH_NONSENSE = f"""form => {{
  form.noValidate = true;
  for (const field of form.querySelectorAll("{TYPED}")) field.value = "x".repeat(5001);
}}"""


class Inspector:
    """Looks at pages and writes down what is wrong with them."""

    def __init__(self, app: Flask, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        self._count = 0
        self.sent: set[str] = set()  # the endpoints of forms that were sent wrong
        self._routes = app.url_map.bind("")
        self._seen: list[str] = []  # combinations whose contrast was looked at

    def open(self, address: str, status: int = 200) -> None:
        """Look at a page, and at what its forms answer when nonsense is typed; pass by what is no page."""
        answer = self.page.request.get(address, max_redirects=0)
        if not answer.headers["content-type"].startswith("text/html") or answer.status == 303:
            return
        response = self.page.goto(address)
        assert response
        self.look(response, address, status)
        for number, action in enumerate(self.page.eval_on_selector_all(FORMS, ACTIONS)):
            endpoint, _ = self._routes.match(urlsplit(action).path, "POST")
            if endpoint not in self.sent:
                self.sent.add(endpoint)
                self.page.goto(address)
                self.look(self._send_nonsense(number), f"{address} {endpoint}", WRONG_FORM.get(endpoint, 422))

    def send(self, address: str, status: int = 200, **fields: str) -> None:
        """Look at what a form answers by itself, without a redirect: the secrets that are shown once."""
        self.page.goto(address)
        for name, value in fields.items():
            self.page.locator(f"#{name}").fill(value)
        with self.page.expect_navigation() as navigation:
            self.page.keyboard.press("Enter")
        assert navigation.value
        self.look(navigation.value, f"{address} {' '.join(fields)}", status)

    def look(self, response: Response, name: str, status: int) -> None:
        """Look at the page that the browser shows."""
        self._count += 1
        if response.status != status:
            self.wrong.append(f"{name}: {response.status}")
        try:
            html5lib.HTMLParser(strict=True).parse(response.text())
        except html5lib.html5parser.ParseError as error:
            self.wrong.append(f"{name}: no valid HTML, {error}")
        self._seen = self.page.evaluate(MARK_NEW, self._seen)
        for (scheme, size), rules in zip(LOOKS, ({}, {"runOnly": LOOK_RULES}), strict=True):
            self._show(scheme, size, name)
            self._check_width(size["width"], name)
            self.wrong += [f"{name} ({scheme}): {said}" for said in self._violations(rules)]
        for scheme, size in MORE_LOOKS if SCREENSHOTS else ():
            self._show(scheme, size, name)
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 800})
            self._check_width(width, name)

    def _check_width(self, width: int, name: str) -> None:
        if self.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            self.wrong.append(f"{name}: scrolls sideways at {width} pixels")

    def _send_nonsense(self, number: int) -> Response:
        form = self.page.locator(FORMS).nth(number)
        form.evaluate(FILL_WITH_NONSENSE)
        with self.page.expect_navigation() as navigation:
            form.evaluate("form => form.requestSubmit()")
        response = navigation.value
        assert response
        return response

    def _show(self, scheme: str, size: dict[str, int], name: str) -> None:
        self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # light or dark
        self.page.set_viewport_size(size)  # type: ignore[arg-type]  # width and height
        if SCREENSHOTS:
            file = re.sub(r"[^\w?=&.]+", "-", re.sub("[0-9a-f]{32}", "X", name)).strip("-") or "book"
            path = Path(SCREENSHOTS, f"{self._count:02} {file[:80]} {size['width']} {scheme}.png")
            self.page.screenshot(path=path, full_page=True)

    def _violations(self, more: dict[str, list[str]]) -> Iterator[str]:
        for violation in self.page.evaluate(RUN_AXE, more):
            for node in violation["nodes"][:2]:
                yield f"{violation['help']}: {node['html'][:160]} {node['failureSummary'][:200]}"


@pytest.mark.parametrize("part", ["sources, inbox and bins", "all other pages"])
def test_every_page_is_accessible_valid_and_fits(
    app: Flask, receiver: Receiver, open_context: Callable[..., BrowserContext], part: str
) -> None:
    rows = sample.fill(app, receiver)
    context = open_context()
    context.add_init_script(AXE)
    inspector = Inspector(app, context.new_page())
    log_in(app, inspector)
    first = {name: values[0] for name, values in rows.items()}
    more = {address.format(**first): status for address, status in MORE.items()}
    for address in [*sample.addresses(app, rows), *more]:
        if address.startswith(ROOMS) == (part == "sources, inbox and bins"):
            inspector.open(address, (more | UNASKED).get(address, 200))
    if part == "all other pages":
        inspector.send("/admin/account/", name="A robot", confirm=PASSWORD)
        inspector.send(f"/admin/webhooks/{first['webhook_id']}/secret", password=PASSWORD)
    assert FORM_OF[part] <= inspector.sent
    assert not inspector.wrong, "\n".join(inspector.wrong)


def test_the_pages_of_the_second_factor_are_too(
    app: Flask, open_context: Callable[..., BrowserContext]
) -> None:
    context = open_context()
    context.add_init_script(AXE)
    inspector = Inspector(app, context.new_page())
    log_in(app, inspector)
    inspector.open("/admin/account/second-factor/")
    inspector.send("/admin/account/second-factor/", password=PASSWORD)
    turn_second_factor_on(app)
    inspector.open("/admin/account/second-factor/")
    inspector.open("/admin/audit/")
    context.clear_cookies()
    inspector.send("/admin/login", password=PASSWORD)
    inspector.send("/admin/login/code", code="wrong", status=422)
    assert not inspector.wrong, "\n".join(inspector.wrong)


def test_every_page_of_an_empty_book_is_too(app: Flask, open_context: Callable[..., BrowserContext]) -> None:
    context = open_context()
    context.add_init_script(AXE)
    inspector = Inspector(app, context.new_page())
    log_in(app, inspector)
    for address in ("/", "/admin/", "/admin/comments/", "/admin/webhooks/", "/admin/deliveries/", *ROOMS):
        inspector.open(f"{address}?empty")
    assert not inspector.wrong, "\n".join(inspector.wrong)


def log_in(app: Flask, inspector: Inspector) -> None:
    """Look at the page that asks for the password, and give it."""
    inspector.open("/admin/login")
    page = inspector.page
    with app.app_context(), writing() as session:
        login.set_password(session, PASSWORD)
    page.goto("/admin/")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
