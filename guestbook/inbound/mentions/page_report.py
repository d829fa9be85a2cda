"""What reading the page of a webmention has shown, as plain values."""

from dataclasses import dataclass

from guestbook.inbound.evaluate import ReceivedEvent
from guestbook.inbound.mentions.mention_request import MentionRequest
from guestbook.lib import errors
from guestbook.lib.page_content.h_entry import PageEntry
from guestbook.lib.translatable import Translatable
from guestbook.storage.models import Source

FETCH_FAILED = Translatable("The page could not be fetched.")  # before the reason, which only the owner sees
READING_FAILED = Translatable("The page could not be read.")  # the same


@dataclass(frozen=True, slots=True)
class PageTask:
    """A webmention whose page is to be read."""

    event: ReceivedEvent
    source: Source
    request: MentionRequest


@dataclass(slots=True)
class PageReport:
    """The page as it is now. One of `entry`, `missing`, `error` says what there is."""

    task: PageTask
    was_read: bool = True  # False: no time was left, so the event is given back as it was
    entry: PageEntry | None = None  # the page links to the target
    missing: str | None = None  # the page is gone, or links to the book no more
    links_elsewhere: bool = False  # to another page of the book
    error: str | None = None  # nothing is known of the page
    may_retry: bool = False
    retry_after: float = 0.0  # seconds, as the page's server asked for

    # What a lane of the worker pool needs to know.
    unreachable: bool = False
    host_limit: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the page's host may be asked for more pages at once."""
        return self.error is None

    @property
    def answered(self) -> bool:
        """Whether the host has said what there is: an error may mean that the next page hangs, too."""
        return self.ok

    @property
    def holds_lane(self) -> bool:
        """Never: a failure says nothing about other pages of the host."""
        return False


def for_sender(error: str) -> tuple[str, str]:
    """Return an error's sentence, which every language has, and its detail, without what is the owner's.

    An answer of the network may tell of hosts that only this machine sees.
    """
    for sentence in (FETCH_FAILED, READING_FAILED):
        if error.startswith(sentence):
            return sentence, ""
    return errors.split_detail(error)
