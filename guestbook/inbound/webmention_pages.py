"""The page of a webmention: read and decided on in threads of its own, without the database."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import urldefrag

from guestbook.comments import comment_form
from guestbook.comments.comment_form import Draft
from guestbook.inbound import event_reader, verify_and_decide, webmentions
from guestbook.inbound.event_reader import SENDER_LIMIT, BodyError, Metadata
from guestbook.inbound.verify_and_decide import Claimed, InboundDecision, ReceivedEvent, UpdateMention
from guestbook.inbound.webmentions import MentionRequest
from guestbook.lib import clock, parse_html, retry_policy, text
from guestbook.lib.body_encoding import PackedWrongly
from guestbook.lib.errors import Refused, Translatable, with_detail
from guestbook.lib.parse_html import PageEntry
from guestbook.lib.rate_counters import WindowCounter
from guestbook.outbound.rate_and_time_limits import NO_LIMIT, TimeLimit
from guestbook.outbound.webhook_signatures import user_agent
from guestbook.outbound.worker_pool import SingleWorker, WorkerPool
from guestbook.settings import Settings
from guestbook.storage.models import Source
from guestbook.storage.models.source import MENTIONS
from guestbook.transport.failure import TransportError
from guestbook.transport.http_request_and_redirects import PAGE_LIMIT, FetchedPage, Transport

FETCH_FAILED = Translatable("The page could not be fetched.")  # before the reason, which only the owner sees
READING_FAILED = Translatable("The page could not be read.")  # before the reason, too


class PageTask(NamedTuple):
    """A webmention whose page is to be read."""

    event: ReceivedEvent
    source: Source
    request: MentionRequest


@dataclass(slots=True)
class ReadPage:
    """What was decided about a webmention, and what a lane of the worker pool needs to know."""

    task: PageTask
    decision: InboundDecision | None  # None: no time was left, so the event is given back as it was
    unreachable: bool = False
    host_limit: str | None = None
    holds_lane: bool = False  # a failure says nothing about other pages of the host

    @property
    def ok(self) -> bool:
        """Whether the page's host may be asked for more pages at once."""
        return self.decision is None or not self.decision.error

    answered = ok  # An error may mean that the next page hangs, too.


def for_sender(error: str) -> tuple[str, str]:
    """Return an error's sentence, which every language has, and its detail, without what is the owner's.

    An answer of the network may tell of hosts that only this machine sees.
    """
    for sentence in (FETCH_FAILED, READING_FAILED):
        if error.startswith(sentence):
            return sentence, ""
    words, bracket, detail = error.partition(" (")
    return words, bracket + detail


EVENT_NAME = "webmention"
EXCERPT_LIMIT = 500  # characters of a page that mentions the book; an answer to it is kept whole
RAW_LIMIT = 8 * comment_form.MESSAGE_LIMIT  # characters that are cleaned
LINKS_ELSEWHERE = Translatable("The page does not link to the target, but to another page of this book.")
PHRASES = {
    "like-of": "likes this.",
    "repost-of": "shared this.",
    "bookmark-of": "bookmarked this.",
    "": "mentioned this book.",
}


def _update(request: MentionRequest, sender: str, draft: Draft | None, why: str = "") -> InboundDecision:
    action = UpdateMention(request.source, request.host, draft, why)
    return InboundDecision(Metadata(EVENT_NAME, None, sender[:SENDER_LIMIT]), True, action=action)


def _failure(sender: str | None, why: str, retry_after: float | None = None) -> InboundDecision:
    """Return the decision about a page of which nothing is known. The failure is the sender's."""
    found = Metadata(EVENT_NAME, None, sender and sender[:SENDER_LIMIT])
    return InboundDecision(found, error=why, retry_after=retry_after)


def _message(entry: PageEntry) -> str:
    title, summary, content = (
        text.clean_text(one[:RAW_LIMIT]).strip() for one in (entry.title, entry.summary, entry.content)
    )
    if entry.relation == "in-reply-to" and content:
        return content
    excerpt = text.shortened(summary or content, EXCERPT_LIMIT)
    title = text.shortened(" ".join(title.split()), EXCERPT_LIMIT)
    said = "\n\n".join(part for part in (title, excerpt) if part)
    return said or PHRASES.get(entry.relation, PHRASES[""])


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


class PageReader(NamedTuple):
    """Reads pages; all threads share one."""

    transport: Transport
    timeout: float  # seconds for a page, with all its redirects
    base_url: str
    limit: TimeLimit

    def read(self, task: PageTask) -> ReadPage:
        """Read one page and decide. Never raises: whatever goes wrong is this webmention's outcome."""
        seconds = self.limit.left(self.timeout)
        if not seconds:
            return ReadPage(task, None)
        way, host = _Way(task), task.request.host
        agent = f"{user_agent(self.base_url)} Webmention"
        headers = {"User-Agent": agent, "Accept": "text/html, */*;q=0.5", "Accept-Encoding": "identity"}
        try:
            fetched = self.transport.get(
                urldefrag(task.request.source).url, headers, seconds=seconds, before=way.begin
            )
            return ReadPage(task, way.limited(self._decide(task.request, fetched)))
        except TransportError as error:
            return ReadPage(task, way.limited(_away(host, error)))
        except MemoryError:
            return ReadPage(task, _away(host, TransportError("out_of_memory")))
        except Exception as error:  # a mistake in our code must not end the thread
            return ReadPage(task, _failure(host, with_detail(READING_FAILED, type(error).__name__)))

    def _decide(self, request: MentionRequest, fetched: FetchedPage) -> InboundDecision:
        answer, host = fetched.answer, request.host
        if answer.status in PAGE_GONE:
            return _update(request, host, None, PAGE_GONE[answer.status])
        if not 200 <= answer.status < 300:
            later = retry_policy.may_pass(answer.status)
            wait = retry_policy.retry_after(answer.headers.get("retry-after"), clock.now()) if later else None
            return _failure(host, with_detail(NOT_SENT, f"HTTP {answer.status}"), wait)
        target = parse_html.normal_address(request.target)
        try:
            page = parse_html.read(fetched.url, answer.headers, answer.body, PAGE_LIMIT)
            addresses = [parse_html.normal_address(one) for one in parse_html.addresses(page)]
            if target not in addresses:
                return self._without_link(request, addresses, answer.note)
            entry = PageEntry()
            if page.is_html:
                entry = parse_html.read_entry(page, parse_html.read_links(page.text, page.url), target)
            name = text.clean_line(entry.name[:RAW_LIMIT]) or host
            website = text.clean_line(entry.website[:RAW_LIMIT])
            return _update(request, name, verify_and_decide.fitting(name, website, _message(entry)))
        except (PackedWrongly, Refused) as error:
            return _failure(host, str(error))

    def _without_link(
        self, request: MentionRequest, addresses: Sequence[str], note: str | None
    ) -> InboundDecision:
        """Decide about a page that does not link to the target, as far as it arrived."""
        if note == "body_cut":
            return _failure(request.host, NOT_IN_FIRST_MEGABYTE)
        if note in ("body_timeout", "body_broken"):
            return _failure(request.host, NOT_COMPLETE, 0)
        # The comment is the page's: it stays while the page belongs to the book.
        if any(webmentions.is_page_of(one, self.base_url) for one in addresses):
            return _failure(request.host, LINKS_ELSEWHERE)
        return _update(request, request.host, None, NO_LINK)


# How many requests a host may get from this process in a minute, whoever sends us there.
hosts = WindowCounter(MOST_OF_HOST, MINUTE)


class _Way:
    """The hosts on the way to one page. A stranger may have sent us to a third party, who must not suffer."""

    def __init__(self, task: PageTask) -> None:
        self._named = task.request.host.removeprefix("www.")
        self._attempts = task.event.attempts + 1
        self._requests = 0
        self._has_left = False

    def begin(self, url: str) -> None:
        """Note the host of the next request; raises TransportError where it has had too many."""
        host = webmentions.host_of(url)
        if hosts.take(host, time.monotonic())[0] < 0:
            raise TransportError("host_busy")
        self._requests += 1
        self._has_left |= host.removeprefix("www.") != self._named

    def limited(self, decision: InboundDecision) -> InboundDecision:
        """Return the decision; its attempt is the last after a redirect elsewhere, the third after any."""
        is_last = self._has_left or (self._requests > 1 and self._attempts >= MOST_AFTER_REDIRECT)
        return replace(decision, retry_after=None) if is_last else decision


def _away(host: str, error: TransportError) -> InboundDecision:
    wait = MINUTE if error.reason == "host_busy" else 0
    return _failure(host, f"{FETCH_FAILED} {error}", None if error.is_lasting else wait)


PAGE_THREADS = 4
RESULT_LOOK = 0.25  # seconds in one look for a result

Decided = tuple[ReceivedEvent, Source, InboundDecision]


class PagePool:
    """Takes webmentions, and gives back what was decided about them."""

    def __init__(self, settings: Settings, *, threads: bool = True, limit: TimeLimit = NO_LIMIT) -> None:
        self._settings = settings
        self._threads = threads
        self._limit = limit
        self._decided: list[Decided] = []
        self._unread: list[ReceivedEvent] = []
        self._reading: dict[str, PageTask] = {}  # id of the event → its task
        self._transport: Transport | None = None
        self._pool: WorkerPool[PageTask, ReadPage] | None = None  # made for the first page

    @property
    def room(self) -> int:
        """Return how many more pages can be started."""
        return (PAGE_THREADS if self._threads else 1) - len(self._reading)

    @property
    def is_busy(self) -> bool:
        """Whether a page is being read, or a decision waits to be recorded."""
        return bool(self._reading or self._decided or self._unread)

    def take(self, batch: Claimed, *, most_lost: int) -> Claimed:
        """Take the webmentions out of a batch; return the others, and any that so many passes ended over."""
        others = []
        for event, source in batch:
            if source.action != MENTIONS or event.lost_passes >= most_lost:
                others.append((event, source))
                continue
            try:
                form = event_reader.parse(event.headers, event.body)
                request = webmentions.checked(form if isinstance(form, dict) else {}, self._settings.base_url)
            except (BodyError, Refused) as error:  # the book has another address now
                self._decided.append((event, source, _failure(None, str(error))))
            else:
                if self._pool is None:
                    self._pool = self._opened()
                self._reading[event.id] = PageTask(event, source, request)
                tasks = [self._reading[event.id]]
                self._pool.load(request.host, tasks, unreachable=0, answered_before=True)
        return others

    def collect(self, *, wait: bool = False) -> tuple[list[Decided], list[ReceivedEvent]]:
        """Return what is decided, and the events for whose pages no time was left.

        With `wait`, all pages that were taken are read first.
        """
        while self._pool and self._reading:
            # Without threads the pages are read in this call.
            self._pool.wait(RESULT_LOOK if wait else 0)
            for page in self._pool.collect():
                self._note(page)
            if not wait:
                break
        decided, self._decided = self._decided, []
        unread, self._unread = self._unread, []
        return decided, unread

    def close(self) -> tuple[list[Decided], list[ReceivedEvent]]:
        """Begin no more pages, wait for those that are being read, and return as `collect` does."""
        if self._pool:
            for task in self._pool.take_back():
                self._note(ReadPage(task, None))
        result = self.collect(wait=True)
        if self._pool and self._transport:
            self._pool.limit(0)  # its threads end
            self._transport.close()
            self._pool = self._transport = None
        return result

    def _opened(self) -> WorkerPool[PageTask, ReadPage]:
        settings = self._settings
        self._transport = Transport(
            timeout=settings.timeout,
            allow_networks=settings.allow_networks,
            proxy=settings.outbound_proxy,
            threads=self._threads,
        )
        read = PageReader(self._transport, settings.timeout, settings.base_url, self._limit).read
        return WorkerPool(read, PAGE_THREADS) if self._threads else SingleWorker(read)

    def _note(self, page: ReadPage) -> None:
        task = self._reading.pop(page.task.event.id, None)
        if task and page.decision:
            self._decided.append((task.event, task.source, page.decision))
        elif task:
            self._unread.append(task.event)
