"""Looks at pages in Chromium, wide and light, narrow and dark, and writes down what is wrong with them."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import html5lib
from axe_playwright_python.base import AXE_SCRIPT
from flask import Flask
from playwright.sync_api import Page, Response

from tests.system.browser.conftest import DESKTOP

SCREENSHOTS = os.environ.get("GUESTBOOK_TEST_SCREENSHOTS")  # a folder for them
NARROW = {"width": 320, "height": 844}  # CSS pixels; the styles are the same up to 480
TABLET = {"width": 768, "height": 900}
LOOKS = [("light", DESKTOP), ("dark", NARROW)]
MORE_LOOKS = [("dark", DESKTOP), ("light", NARROW)]  # for the screenshots
# A webmention as its specification has it, and a wrong code; other forms answer 422.
WRONG_FORM = {"webmention.receive": 400, "admin.setup.enter_code": 403}
SCROLLS = "document.documentElement.scrollWidth > innerWidth"
# Buttons that stand beside each other and are not equally high.
UNEVEN = """() => [...document.querySelectorAll(".actions")].flatMap(row => {
  const buttons = [...row.querySelectorAll(".button:not([hidden])")];
  const boxes = buttons.map(one => one.getBoundingClientRect());
  const differ = (one, other) => ["top", "bottom"].some(edge => Math.abs(one[edge] - other[edge]) > 1);
  return buttons.filter((_, at) => at > 0 && boxes[at].top < boxes[at - 1].bottom
    && differ(boxes[at], boxes[at - 1])).map(one => one.textContent.trim());
})"""
RUN_AXE = """more => axe.run({resultTypes: ['violations'], preload: false, ...more})
  .then(found => found.violations)"""
# What may differ in another look: colours, and what the width moves, hides or lets scroll.
LOOK_RULES = [
    *("color-contrast", "target-size", "scrollable-region-focusable", "link-in-text-block", "label"),
    *("empty-table-header", "empty-heading", "heading-order", "link-name", "button-name", "region"),
    *("th-has-data-cells", "aria-hidden-focus", "nested-interactive"),
]
# Axe takes most of the time, and says the same of elements of one kind, whatever their words. So it looks at
# a page that has a kind no page had before, and at the contrast of the first element of each kind.
AXE = (
    AXE_SCRIPT
    + """
axe.configure({rules: [{id: "color-contrast", selector: "[data-new]"}]});"""
)
# A kind is what axe's rules ask of an element: tags, attributes, what is around it, whether it has words,
# labels and children, refers to what exists, and scrolls. Each page is of a kind too: by its title, language,
# landmarks, headings and ids that are there twice. Returns the kinds that are new.
MARK_NEW = """known => {
  const old = new Set(known), found = new Set();
  const VALUES = ["class", "role", "type", "scope", "tabindex", "lang", "dir", "aria-current"];
  const REFERENCES = ["for", "list", "headers", "aria-labelledby", "aria-describedby", "aria-controls"];
  const AROUND = "a, button, label, summary, main, nav, header, footer, aside, form, [aria-hidden=true]";
  const exist = ids => ids.split(" ").every(id => document.getElementById(id));
  const told = ({name, value}) => [name, VALUES.includes(name) ? value
    : REFERENCES.includes(name) ? exist(value) : value.trim() !== ""];
  const hasWords = node => node.textContent.trim() !== "";
  const scrolls = one => (one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight)
    && /auto|scroll/.test(getComputedStyle(one).overflow);
  for (const one of document.querySelectorAll("body *")) {
    const above = one.parentElement;
    const kind = [above.tagName, above.getAttribute("class"), above.closest(AROUND)?.tagName,
      [...above.childNodes].some(node => node.nodeType === 3 && hasWords(node)),
      one.tagName, [...one.attributes].map(told).sort(), hasWords(one), one.childElementCount > 0,
      one.labels?.length, scrolls(one)];
    if (!old.has(kind.join()) && !found.has(kind.join())) one.setAttribute("data-new", "");
    found.add(kind.join());
  }
  const each = (selector, tell) => [...document.querySelectorAll(selector)].map(tell);
  const headings = each("h1, h2, h3, h4, h5, h6", one => one.tagName);
  const ids = each("[id]", one => one.id);
  headings.forEach((tag, at) => found.add(`${headings[at - 1]} then ${tag}`));
  found.add([
    hasWords(document.querySelector("title")), document.documentElement.lang,
    headings.filter(tag => tag === "H1").length, ids.filter((id, at) => ids.indexOf(id) < at),
    each("main, nav, aside, body > header, body > footer", one => one.tagName),
  ].join());
  return [...found].filter(kind => !old.has(kind));
}"""
TYPED = "input:not([type=hidden], [type=checkbox], [type=radio], [tabindex='-1']), textarea"
FORMS = f"form[method=post]:has({TYPED})"
ACTIONS = "forms => [...document.querySelectorAll(forms)].map(form => form.getAttribute('action'))"
FILL_WITH_NONSENSE = f"""form => {{
  form.noValidate = true;
  for (const field of form.querySelectorAll("{TYPED}")) field.value = "x".repeat(5001);
}}"""
SEND_NONSENSE = f"""([forms, number]) => {{
  const form = document.querySelectorAll(forms)[number];
  ({FILL_WITH_NONSENSE})(form);
  form.requestSubmit();
}}"""


class Inspector:
    """Looks at pages and writes down what is wrong with them."""

    def __init__(self, app: Flask, page: Page, known: list[str] | None = None) -> None:
        """Take the kinds that axe has looked at; new ones are added there."""
        page.context.add_init_script(AXE)
        self.page = page
        self.wrong: list[str] = []
        self._count = 0
        self.sent: set[str] = set()  # the endpoints of forms that were sent wrong
        self._routes = app.url_map.bind("")
        self._known = [] if known is None else known
        self._show(*LOOKS[1])

    def open(self, address: str, status: int = 200) -> None:
        """Look at a page, and at what its forms answer when nonsense is typed; pass by what is no page."""
        answer = self.page.request.get(address, max_redirects=0)
        if not answer.headers["content-type"].startswith("text/html") or answer.status == 303:
            return
        response = self.page.goto(address)
        assert response
        self.look(response, address, status)
        is_open = True
        for number, action in enumerate(self.page.evaluate(ACTIONS, FORMS)):
            endpoint, _ = self._routes.match(urlsplit(action).path, "POST")
            if endpoint in self.sent:
                continue
            self.sent.add(endpoint)
            if not is_open:
                self.page.goto(address)
            is_open = False
            self.look(self._send_nonsense(number), f"{address} {endpoint}", WRONG_FORM.get(endpoint, 422))

    def send(self, address: str, status: int = 200, **fields: str) -> None:
        """Look at what a form answers by itself, without a redirect: the secrets that are shown once."""
        self.page.goto(address)
        for name, value in fields.items():
            self.page.locator(f"#{name}").fill(value)
        with self.page.expect_navigation() as navigation:
            self.page.evaluate("name => document.getElementById(name).form.requestSubmit()", name)
        assert navigation.value
        self.look(navigation.value, f"{address} {' '.join(fields)}", status)

    def look(self, response: Response, name: str, status: int) -> None:
        """Look at what came and at how the browser shows it."""
        if response.status != status:
            self.wrong.append(f"{name}: {response.status}")
        try:
            html5lib.HTMLParser(strict=True).parse(response.text())
        except html5lib.html5parser.ParseError as error:
            self.wrong.append(f"{name}: no valid HTML, {error}")
        self.look_at_page(name)

    def look_at_page(self, name: str) -> None:
        """Look at the page that the browser shows, which is narrow and dark before and after."""
        self._count += 1
        new = self.page.evaluate(MARK_NEW, self._known)
        self._known += new
        self._check_width(NARROW, name)
        for size in (TABLET, DESKTOP):
            self._resize(size)
            self._check_width(size, name)
        self.wrong += [f"{name}: the button {text} is not level" for text in self.page.evaluate(UNEVEN)]
        for (scheme, size), rules in zip(LOOKS, ({}, {"runOnly": LOOK_RULES}), strict=True) if new else ():
            self._show(scheme, size)
            self.wrong += [f"{name} ({scheme}): {said}" for said in self._violations(rules)]
        for scheme, size in (*MORE_LOOKS, *LOOKS) if SCREENSHOTS else ():
            self._show(scheme, size)
            self._take_screenshot(scheme, size, name)
        self._resize(NARROW)

    def _check_width(self, size: dict[str, int], name: str) -> None:
        if self.page.evaluate(SCROLLS):
            self.wrong.append(f"{name}: scrolls sideways at {size['width']} pixels")

    def _send_nonsense(self, number: int) -> Response:
        with self.page.expect_navigation() as navigation:
            self.page.evaluate(SEND_NONSENSE, [FORMS, number])
        response = navigation.value
        assert response
        return response

    def _show(self, scheme: str, size: dict[str, int]) -> None:
        self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # light or dark
        self._resize(size)

    def _resize(self, size: dict[str, int]) -> None:
        if self.page.viewport_size != size:
            self.page.set_viewport_size(size)  # type: ignore[arg-type]  # width and height

    def _take_screenshot(self, scheme: str, size: dict[str, int], name: str) -> None:
        file = re.sub(r"[^\w?=&.]+", "-", re.sub("[0-9a-f]{32}", "X", name)).strip("-") or "book"
        assert SCREENSHOTS
        path = Path(SCREENSHOTS, f"{self._count:02} {file[:80]} {size['width']} {scheme}.png")
        self.page.screenshot(path=path, full_page=True)

    def _violations(self, more: dict[str, list[str]]) -> Iterator[str]:
        for violation in self.page.evaluate(RUN_AXE, more):
            for node in violation["nodes"][:2]:
                yield f"{violation['help']}: {node['html'][:160]} {node['failureSummary'][:200]}"
