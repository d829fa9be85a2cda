"""Decide what becomes of a webmention whose page was read. Pure."""

from guestbook.comments import comment_form
from guestbook.comments.comment_form import Draft
from guestbook.inbound.decision import InboundDecision, RemoveMention, WriteMention
from guestbook.inbound.mentions.mention_request import MentionRequest
from guestbook.inbound.mentions.page_report import PageReport
from guestbook.inbound.metadata import SENDER_LIMIT, Metadata
from guestbook.lib import text
from guestbook.lib.page_content.h_entry import PageEntry
from guestbook.lib.translatable import Translatable

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


def decide(report: PageReport) -> InboundDecision:
    """Return the decision about the event that the report is about. A failure is the sender's."""
    request = report.task.request
    name = text.clean_line(report.entry.name) if report.entry else ""
    found = Metadata(EVENT_NAME, None, (name or request.host)[:SENDER_LIMIT])
    if report.error:
        retry_after = report.retry_after if report.may_retry else None
        return InboundDecision(found, error=report.error, retry_after=retry_after)
    if report.entry is None:
        return _removal(found, report)
    draft = _draft(report.entry, request)
    return InboundDecision(found, True, action=WriteMention(draft, request.source, request.host))


def unreadable(sentence: str) -> InboundDecision:
    """Return the decision about a stored form that holds no two good addresses."""
    return InboundDecision(Metadata(EVENT_NAME, None, None), error=sentence)


def _removal(found: Metadata, report: PageReport) -> InboundDecision:
    request, why = report.task.request, report.missing or ""
    if report.links_elsewhere:  # the comment is the page's, and the page still belongs to the book
        return InboundDecision(found, error=LINKS_ELSEWHERE)
    return InboundDecision(found, True, action=RemoveMention(request.source, request.host, why))


def _draft(entry: PageEntry, request: MentionRequest) -> Draft:
    """Make a comment of the entry. Long texts are cut, and a website that cannot be linked is left out."""
    name = text.clean_line(entry.name[:RAW_LIMIT]) or request.host
    website = text.clean_line(entry.website[:RAW_LIMIT])
    fields = {
        "name": text.shortened(name, comment_form.VISITOR_NAME_LIMIT),
        "website": website if website and not comment_form.website_error(website) else "",
        "message": _message(entry),
    }
    return comment_form.read(fields)


def _message(entry: PageEntry) -> str:
    title, summary, content = (
        text.clean_text(one[:RAW_LIMIT]).strip() for one in (entry.title, entry.summary, entry.content)
    )
    if entry.relation == "in-reply-to" and content:
        return text.shortened(content, comment_form.MESSAGE_LIMIT)
    excerpt = text.shortened(summary or content, EXCERPT_LIMIT)
    title = text.shortened(" ".join(title.split()), EXCERPT_LIMIT)
    said = "\n\n".join(part for part in (title, excerpt) if part)
    return said or PHRASES.get(entry.relation, PHRASES[""])
