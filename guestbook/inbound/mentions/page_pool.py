"""The pages that a pass reads for webmentions, in a few threads of its own, while it does other work.

    claimed ──take──▶ lane of the page's host ──▶ threads: read(page) ──▶ decided ──▶ recorded by the pass

A slow page delays neither the inbox nor the outbox. A host's pages are read one at a time.
"""

from guestbook.inbound import body_parser
from guestbook.inbound.body_parser import BodyError
from guestbook.inbound.decision import InboundDecision
from guestbook.inbound.due_events import Claimed
from guestbook.inbound.evaluate import ReceivedEvent
from guestbook.inbound.mentions import mention_decision, mention_request
from guestbook.inbound.mentions.page_reader import PageReader
from guestbook.inbound.mentions.page_report import PageReport, PageTask
from guestbook.lib.errors import Refused
from guestbook.outbound.single_worker import SingleWorker
from guestbook.outbound.time_limit import NO_LIMIT, TimeLimit
from guestbook.outbound.worker_pool import WorkerPool
from guestbook.settings import Settings
from guestbook.storage.models import Source
from guestbook.storage.models.source import MENTIONS
from guestbook.transport import Transport

PAGE_THREADS = 4
RESULT_LOOK = 0.25  # seconds in one look for a result

DecidedMention = tuple[ReceivedEvent, Source, InboundDecision]


class PagePool:
    """Takes webmentions, and gives back what was decided about them."""

    def __init__(self, settings: Settings, *, threads: bool = True, limit: TimeLimit = NO_LIMIT) -> None:
        self._settings = settings
        self._threads = threads
        self._limit = limit
        self._decided: list[DecidedMention] = []
        self._unread: list[ReceivedEvent] = []
        self._reading: dict[str, PageTask] = {}  # by event's id
        self._transport: Transport | None = None
        self._pool: WorkerPool[PageTask, PageReport] | None = None  # made for the first page

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
                form = body_parser.parse(event.headers, event.body)
                request = mention_request.checked(
                    form if isinstance(form, dict) else {}, self._settings.base_url
                )
            except (BodyError, Refused) as error:  # the book has another address now
                self._decided.append((event, source, mention_decision.unreadable(str(error))))
            else:
                self._load(PageTask(event, source, request))
        return others

    def collect(self, *, wait: bool = False) -> tuple[list[DecidedMention], list[ReceivedEvent]]:
        """Return what is decided, and the events for whose pages no time was left.

        With `wait`, all pages that were taken are read first.
        """
        while self._pool and self._reading:
            # Without threads the pages are read in this call.
            self._pool.wait(RESULT_LOOK if wait else 0)
            for report in self._pool.collect():
                self._note(report)
            if not wait:
                break
        decided, self._decided = self._decided, []
        unread, self._unread = self._unread, []
        return decided, unread

    def close(self) -> tuple[list[DecidedMention], list[ReceivedEvent]]:
        """Begin no more pages, wait for those that are being read, and return as `collect` does."""
        if self._pool:
            for task in self._pool.take_back():
                self._note(PageReport(task, was_read=False))
        result = self.collect(wait=True)
        if self._pool and self._transport:
            self._pool.limit(0)  # its threads end
            self._transport.close()
            self._pool = self._transport = None
        return result

    def _load(self, task: PageTask) -> None:
        if self._pool is None:
            self._pool = self._opened()
        self._reading[task.event.id] = task
        self._pool.load(task.request.host, [task], unreachable=0, answered_before=True)

    def _opened(self) -> WorkerPool[PageTask, PageReport]:
        settings = self._settings
        self._transport = Transport(
            timeout=settings.timeout,
            allow_networks=settings.allow_networks,
            proxy=settings.outbound_proxy,
            threads=self._threads,
        )
        read = PageReader(self._transport, settings.timeout, settings.base_url, self._limit).read
        return WorkerPool(read, PAGE_THREADS) if self._threads else SingleWorker(read)

    def _note(self, report: PageReport) -> None:
        task = self._reading.pop(report.task.event.id, None)
        if task is None:
            return
        if report.was_read:
            self._decided.append((task.event, task.source, mention_decision.decide(report)))
        else:
            self._unread.append(task.event)
