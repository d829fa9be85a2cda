"""A comment: its address, and what anybody may know of it."""

from datetime import UTC, datetime

from guestbook.comments.comment_form import DRAFT_FIELDS
from guestbook.storage.models import Comment

MADE = datetime(2026, 1, 31, 23, 59, 59, 123_000, UTC)
SHOWN = {"id": "0" * 32, "name": "Ada", "website": "https://ada.example", "place": "Görlitz"}
SHOWN |= {"mood": "happy", "page": "https://example.org/hello/"}
SHOWN |= {"message": "Hello", "status": "held"}


def comment() -> Comment:
    hidden = {"reason": "It holds a bad word.", "form_key": "f" * 64, "note": "For you alone"}
    return Comment(**SHOWN, **hidden, number=73, created_at=MADE)


def test_anybody_may_know_what_is_on_the_page_and_nothing_else() -> None:
    assert comment().public("https://book.example/a") == SHOWN | {
        "url": f"https://book.example/a/comments/{'0' * 32}",
        "created_at": "2026-01-31T23:59:59.123Z",
        "number": 73,
    }


def test_the_owner_reads_the_note_too_if_there_is_one() -> None:
    row = comment()
    assert row.for_owner("https://book.example") == row.public("https://book.example") | {"note": row.note}
    row.note = None
    assert row.for_owner("https://book.example") == row.public("https://book.example")


def test_nothing_that_a_visitor_typed_is_in_what_may_stay() -> None:
    row = comment()
    for name in DRAFT_FIELDS:
        setattr(row, name, "typed")
    row.page = "typed"
    assert "typed" not in row.without_words("https://book.example").values()
