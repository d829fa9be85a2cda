"""What a host must give: the book, its admin pages, its receiver and its API, at the address of the site.

Here are no requests that only the book itself answers one way or another: by CGI each of them starts Python.
"""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import timedelta
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

import html5lib
import requests
from requests.adapters import HTTPAdapter

from guestbook.auth.rate_limit import NetworkLimit
from guestbook.lib import clock
from tests.support import visitor
from tests.support.owner import PASSWORD
from tests.support.processes import Started, wait_for
from tests.support.receiver import Receiver
from tests.system.deploy.installation import Installation, Installed

ADDRESS = "127.9.9.9"  # of the visitor, which is not the proxy's
HOOK_LIMIT = 1024 * 1024  # bytes
Serving = AbstractContextManager[Started]


class _FromAddress(HTTPAdapter):
    def init_poolmanager(self, *args: int, **options: object) -> None:
        super().init_poolmanager(*args, source_address=(ADDRESS, 0), **options)


class Browser:
    """A visitor's browser at another address than the proxy's; with a CA file it wants https."""

    def __init__(self, base_url: str, ca: str | None = None) -> None:
        self.base_url, self.path = base_url, urlsplit(base_url).path
        self.origin = base_url.removesuffix(self.path)
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = ca or True
        self.session.mount(self.origin, _FromAddress())

    def ask(self, method: str, path: str, **how: object) -> requests.Response:
        return self.session.request(method, self.base_url + path, timeout=30, **how)  # type: ignore[arg-type]

    def home(self) -> requests.Response | None:
        """Return the first page, or None while the server does not give it."""
        with suppress(requests.RequestException):
            answer = self.ask("GET", "/")
            return answer if answer.status_code == 200 else None
        return None

    def page(self, path: str) -> Element:
        return self.parsed(self.ask("GET", path))

    def parsed(self, answer: requests.Response) -> Element:
        """Return a page that must be there; all its addresses are below that of the book."""
        assert answer.status_code == 200, answer.text
        page: Element = html5lib.parse(answer.text, namespaceHTMLElements=False)
        own = (one.attrib.get(name, "") for one in page.iter() for name in ("href", "src", "action"))
        assert [one for one in own if one.startswith("/") and not one.startswith(f"{self.path}/")] == []
        return page


@contextmanager
def served(
    host: Installation, base_url: str, receiver: Receiver, *programs: Serving, **settings: str
) -> Iterator[tuple[Browser, Installed]]:
    """Give a browser at the book of that host, which these programs serve; they give what they print."""
    ca = host.run / "ca.pem"
    browser = Browser(base_url, str(ca) if ca.exists() else None)
    with ExitStack() as stack:
        installed = stack.enter_context(host.book(base_url, receiver.url("/"), **settings))
        stack.enter_context(browser.session)
        outputs = [stack.enter_context(program) for program in programs]
        wait_for(browser.home, 90, lambda: "".join(one.output() for one in outputs))
        yield browser, installed


def whole(host: Installation, base_url: str, receiver: Receiver, *programs: Serving, **settings: str) -> None:
    """Serve the book and use everything once."""
    with served(host, base_url, receiver, *programs, **settings) as (browser, installed):
        use(browser, installed, receiver)


def use(browser: Browser, installed: Installed, receiver: Receiver) -> None:
    """Use everything once."""
    use_most(browser, installed, receiver)
    change_a_setting(browser)


def use_most(browser: Browser, installed: Installed, receiver: Receiver) -> None:
    """Use what servers treat in different ways: by CGI a page takes long."""
    sign(browser, installed, read(browser))
    deliver(browser, installed, receiver)
    log_in(browser)
    post_to_the_receiver(browser, installed.hook)
    use_the_api(browser, installed.token)


def read(browser: Browser) -> Element:
    """Read the book and return its page; the style sheet comes from the same place."""
    page = browser.page("/")
    style = page.find(".//link[@rel='stylesheet']")
    assert style is not None
    sheet = browser.session.get(browser.origin + style.attrib["href"], timeout=30)
    assert (sheet.status_code, sheet.headers["Content-Type"].split(";")[0]) == (200, "text/css")
    assert browser.ask("GET", "/no-such-page").status_code == 404
    return page


def sign(browser: Browser, installed: Installed, page: Element) -> None:
    """Sign the book on that page; the server knows the visitor's own address, whatever a header claims."""
    form = page.find(".//form[@method='post']")
    assert form is not None
    typed = visitor.fields(page) | visitor.GREETING | {"message": "From this host"}
    claimed = {"X-Forwarded-For": "192.0.2.9", "X-Forwarded-Proto": "gopher"}
    url = browser.origin + form.attrib["action"]
    answer = browser.session.post(url, typed, headers=claimed, timeout=30)
    assert (answer.status_code, [one.status_code for one in answer.history]) == (200, [303])
    assert "From this host" in answer.text
    assert answer.url.startswith(f"{browser.base_url}/")
    limit = NetworkLimit(installed.key, "comment", ADDRESS, most=10, within=timedelta(minutes=10))
    with installed.connect() as connection:
        assert limit.left_by_day(connection, clock.now())[0] < limit.most


def deliver(browser: Browser, installed: Installed, receiver: Receiver) -> None:
    """Send the first webhook; the address in it leads to the comment."""
    installed.cron()
    [request] = receiver.requests
    data = request.json["data"]
    assert data["guestbook"]["url"] == browser.base_url
    assert data["comment"]["url"].startswith(f"{browser.base_url}/comments/")
    assert "From this host" in browser.session.get(data["comment"]["url"], timeout=30).text


def set_up(browser: Browser, link: str) -> None:
    """Open the link that a new book has printed, and choose a password; the address is there already."""
    assert link.startswith(f"{browser.base_url}/admin/setup/")
    path = link.removeprefix(browser.base_url)
    typed = visitor.fields(browser.page(path)) | {"password": PASSWORD, "moderation": "suspicious"}
    assert typed["address"] == browser.base_url
    assert typed.pop("without_cron")  # A browser leaves out what nobody has ticked.
    answer = browser.ask("POST", path, data=typed)
    assert (answer.status_code, [one.status_code for one in answer.history]) == (200, [303])
    browser.session.cookies.clear()


def log_in(browser: Browser) -> None:
    """Log in, which needs the form's token; the cookies are for this book alone."""
    form = visitor.fields(browser.page("/admin/login"))
    answer = browser.ask("POST", "/admin/login", data=form | {"password": PASSWORD})
    assert answer.url.startswith(f"{browser.base_url}/admin/"), answer.text
    assert not answer.url.endswith("/login")
    cookies = list(browser.session.cookies)
    assert {cookie.path for cookie in cookies} == {f"{browser.path}/", f"{browser.path}/comments"}
    assert {cookie.secure for cookie in cookies} == {browser.origin.startswith("https:")}


def change_a_setting(browser: Browser) -> None:
    """Change one as the owner who has logged in, which needs the form's token too."""
    form = visitor.fields(browser.page("/admin/book/")) | {"title": "A book on a host"}
    answer = browser.ask("POST", "/admin/book/", data=form)
    assert (answer.status_code, [one.status_code for one in answer.history]) == (200, [303])
    assert "A book on a host" in answer.text


def post_to_the_receiver(browser: Browser, hook: str) -> None:
    """Send webhooks to the book: up to the limit all are stored, whatever the server's own limit is."""
    frame = len(json.dumps({"text": ""}))
    largest = json.dumps({"text": "x" * (HOOK_LIMIT - frame)}).encode()
    headers = {"Content-Type": "application/json"}
    statuses = [
        browser.ask("POST", hook, data=body, headers=headers).status_code
        for body in (largest, largest + b" ")
    ]
    assert statuses == [202, 413], statuses


def use_the_api(browser: Browser, token: str) -> None:
    """Ask with the header Authorization, which some servers keep to themselves."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = browser.ask("GET", "/api/v1/webhooks", headers=headers)
    assert answer.status_code == 200, answer.text
