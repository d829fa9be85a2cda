"""Events in words: title, author, text and link."""

from typing import Any

import pytest

from guestbook.outbound.event_catalogue import EVENTS, SAMPLE_LINK
from guestbook.outbound.formats import wording
from guestbook.outbound.formats.wording import Wording
from tests.outbound.formats.cases import LINK, comment

HOME = "https://book.example"


def test_a_comment_says_who_wrote_it_whence_and_with_which_website() -> None:
    data = comment(website="https://ada.example/", origin={"name": "GitHub", "url": None})
    words = wording.of("comment.created", data)
    assert words == Wording(
        "New comment in My book", "Ada · via GitHub · https://ada.example/", "Hello", LINK
    )


HELD = comment(status="held")
MODERATION = {"url": f"{HOME}/moderate/0123", "expires_at": "2026-02-07T23:59:59.123Z"}
WEBHOOK = f"{HOME}/admin/webhooks/{'0' * 31}1"
WAITS = "A comment waits for you in My book"
REPLIED = comment() | {"reply": {"message": "Thanks"}}
HAS_FAILED = "“Chat”: it has had no success for five days."


@pytest.mark.parametrize(
    ("event", "data", "title", "message", "link"),
    [
        ("comment.created", HELD, WAITS, "Hello", f"{HOME}/admin/comments/1"),
        ("comment.created", HELD | {"moderation": MODERATION}, WAITS, "Hello", MODERATION["url"]),
        ("comment.deleted", comment(), "A comment was taken out of My book", "Hello", HOME),
        ("comment.replied", REPLIED, "An answer to Ada in My book", "Thanks", LINK),
        ("webhook.disabled", None, "was disabled", HAS_FAILED, WEBHOOK),
        ("webhook.failing", None, "fails", "“Chat”: The receiver answered 500.", WEBHOOK),
        ("webhook.recovered", None, "has recovered", "“Chat”: It has had a success again.", WEBHOOK),
    ],
)
def test_an_event_has_a_title_a_message_and_a_link(
    event: str, data: dict[str, Any] | None, title: str, message: str, link: str
) -> None:
    words = wording.of(event, data or EVENTS[event].sample_data())
    whole = title if data else f"A webhook of Guestbook {title}"
    assert (words.title, words.message, words.link) == (whole, message, link)


def test_what_a_source_was_sent_is_shown_by_its_beginning() -> None:
    data: dict[str, Any] = EVENTS["inbound.received"].sample_data()
    data["inbound"]["payload"] = {"text": "x" * 5000}
    words = wording.of("inbound.received", data)
    assert (words.title, words.who) == ("GitHub sent star to Guestbook", "octocat")
    assert words.message.startswith('{"text": "xxx')
    assert len(words.message) == wording.PAYLOAD_EXCERPT
    assert words.message.endswith("…")
    data["inbound"] |= {"payload": "plain", "event": None}
    words = wording.of("inbound.received", data)
    assert (words.title, words.message) == ("GitHub sent a webhook to Guestbook", "plain")


def test_a_payload_that_was_too_long_to_be_passed_on_says_where_it_is() -> None:
    data: dict[str, Any] = EVENTS["inbound.received"].sample_data()
    data["inbound"] |= {
        "payload": None,
        "left_out": f"The payload has 90,000 bytes. See {HOME}/admin/inbox/1",
    }
    assert wording.of("inbound.received", data).message.endswith("See https://book.example/admin/inbox/1")


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "https://x y", "https://x>", "https://x/" + "y" * 600]
)
def test_a_link_that_could_break_out_of_its_place_is_left_out(address: str) -> None:
    assert wording.of("comment.created", comment(url=address)).link == ""


def test_long_names_and_titles_are_cut() -> None:
    data = comment(name="n" * 1000)
    data["guestbook"]["title"] = "t" * 1000
    words = wording.of("comment.created", data)
    assert (len(words.title), len(words.who)) == (wording.WORDING_TITLE_LIMIT, wording.WHO_LIMIT)


# --- comments that wait


def test_a_reminder_says_how_many_wait_and_for_how_long_with_a_link_for_each() -> None:
    words = wording.of("comments.waiting", EVENTS["comments.waiting"].sample_data())
    link = SAMPLE_LINK["url"]
    assert words == Wording(
        "2 comments wait for you in Guestbook",
        "The oldest since 2026-01-31 23:59 UTC",
        f"Held since 2026-01-31 23:59 UTC: {link}",
        f"{HOME}/admin/comments/?status=held",
    )


def test_a_reminder_of_one_comment_without_links_leads_to_the_admin_page() -> None:
    waiting = {"count": 1, "since": "2026-01-31T23:59:59.123Z", "url": f"{HOME}/admin/", "comments": [{}, 1]}
    words = wording.of("comments.waiting", {"waiting": waiting})
    assert words == Wording(
        "A comment waits for you in the guestbook", "Since 2026-01-31 23:59 UTC", "", f"{HOME}/admin/"
    )
