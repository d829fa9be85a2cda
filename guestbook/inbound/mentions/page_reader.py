"""Read the page of a webmention: fetch it, look for the link, read its entry. Runs in threads of its own."""

import time
from collections import Counter
from dataclasses import dataclass
from threading import Lock

from guestbook.inbound.mentions import mention_request
from guestbook.inbound.mentions.page_report import FETCH_FAILED, READING_FAILED, PageReport, PageTask
from guestbook.lib import clock, page_content, retry_policy
from guestbook.lib.errors import Refused, with_detail
from guestbook.lib.page_content import PackedWrongly, WebPage, h_entry, html_links, mention_link
from guestbook.lib.page_content.h_entry import PageEntry, ParserMissing
from guestbook.lib.page_content.html_links import HtmlLinks
from guestbook.lib.translatable import Translatable
from guestbook.outbound.request_headers import user_agent
from guestbook.outbound.time_limit import TimeLimit
from guestbook.transport import PAGE_LIMIT, FetchedPage, Transport, TransportError

MINUTE = 60.0  # seconds
MOST_OF_HOST = 30  # requests to one host within a minute
MOST_AFTER_REDIRECT = 3  # attempts at a page that redirects
PAGE_GONE = {
    404: Translatable("The page is gone: its server answered 404."),
    410: Translatable("The page is gone: its server answered 410."),
}
NOT_SENT = Translatable("The page’s server did not send the page.")
NO_LINK = Translatable("The page does not link to the target.")
NOT_IN_FIRST_MEGABYTE = Translatable("The page does not link to the target in its first megabyte.")
NOT_COMPLETE = Translatable("The page did not arrive completely.")


@dataclass(frozen=True, slots=True)
class PageReader:
    """Reads pages; all threads share one."""

    transport: Transport
    timeout: float  # seconds for a page, with all its redirects
    base_url: str
    limit: TimeLimit

    def read(self, task: PageTask) -> PageReport:
        """Report about one page. Never raises: whatever goes wrong is this webmention's outcome."""
        seconds = self.limit.left(self.timeout)
        if not seconds:
            return PageReport(task, was_read=False)
        way = _Way(task)
        try:
            url = task.request.page_url
            fetched = self.transport.get(url, self._headers(), seconds=seconds, before=way.begin)
            return way.limited(self._report(task, fetched))
        except TransportError as error:
            return way.limited(_failed(task, error))
        except MemoryError:
            return _failed(task, TransportError("out_of_memory"))
        except Exception as error:  # a mistake in our code must not end the thread
            return PageReport(task, error=with_detail(READING_FAILED, type(error).__name__))

    def _headers(self) -> dict[str, str]:
        agent = f"{user_agent(self.base_url)} Webmention"
        return {"User-Agent": agent, "Accept": "text/html, */*;q=0.5", "Accept-Encoding": "identity"}

    def _report(self, task: PageTask, fetched: FetchedPage) -> PageReport:
        answer = fetched.answer
        if answer.status in PAGE_GONE:
            return PageReport(task, missing=PAGE_GONE[answer.status])
        if not 200 <= answer.status < 300:
            later = retry_policy.may_pass(answer.status)
            wait = retry_policy.retry_after(answer.headers.get("retry-after"), clock.now()) if later else 0.0
            why = with_detail(NOT_SENT, f"HTTP {answer.status}")
            return PageReport(task, error=why, may_retry=later, retry_after=wait)
        try:
            page = page_content.read(fetched.url, answer.headers, answer.body, PAGE_LIMIT)
            report = _look(task, page, self.base_url)
        except (PackedWrongly, Refused) as error:
            return PageReport(task, error=str(error))
        if report.missing and answer.note == "body_cut":
            return PageReport(task, error=NOT_IN_FIRST_MEGABYTE)
        if report.missing and answer.note in ("body_timeout", "body_broken"):
            return PageReport(task, error=NOT_COMPLETE, may_retry=True)
        return report


class HostQuota:
    """How many requests a host may get from this process in a minute, whoever sends us there."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._minute = 0.0
        self._asked: Counter[str] = Counter()

    def take(self, host: str) -> bool:
        """Count a request, unless the host has had enough of them."""
        with self._lock:
            minute = time.monotonic() // MINUTE
            if minute != self._minute:
                self._minute, self._asked = minute, Counter()
            self._asked[host] += 1
            return self._asked[host] <= MOST_OF_HOST


hosts = HostQuota()


class _Way:
    """The hosts on the way to one page. A stranger may have sent us to a third party, who must not suffer."""

    def __init__(self, task: PageTask) -> None:
        self._named = _site(task.request.host)
        self._attempts = task.event.attempts + 1
        self._requests = 0
        self._has_left = False

    def begin(self, url: str) -> None:
        """Note the host of the next request; raises TransportError where it has had too many."""
        host = mention_request.host_of(url)
        if not hosts.take(host):
            raise TransportError("host_busy")
        self._requests += 1
        self._has_left |= _site(host) != self._named

    def limited(self, report: PageReport) -> PageReport:
        """Return the report; its attempt is the last after a redirect elsewhere, and the third after any."""
        is_last = self._has_left or (self._requests > 1 and self._attempts >= MOST_AFTER_REDIRECT)
        report.may_retry &= not is_last
        return report


def _site(host: str) -> str:
    return host.removeprefix("www.")


def _look(task: PageTask, page: WebPage, base_url: str) -> PageReport:
    """Look for the link and read the entry; raises Refused if the page is of another kind."""
    target = mention_link.normal(task.request.target)
    addresses = [mention_link.normal(one) for one in mention_link.addresses(page)]
    if target not in addresses:
        elsewhere = any(mention_request.is_page_of(one, base_url) for one in addresses)
        return PageReport(task, missing=NO_LINK, links_elsewhere=elsewhere)
    found = html_links.read(page.text, page.url) if page.is_html else HtmlLinks()
    try:
        entry = h_entry.read(page, found, target) if page.is_html else PageEntry()
    except ParserMissing as error:
        return PageReport(task, error=f"{READING_FAILED} {error}", may_retry=True)
    return PageReport(task, entry=entry)


def _failed(task: PageTask, error: TransportError) -> PageReport:
    wait = MINUTE if error.reason == "host_busy" else 0.0
    why = f"{FETCH_FAILED} {error}"
    return PageReport(task, error=why, may_retry=not error.is_lasting, retry_after=wait)
