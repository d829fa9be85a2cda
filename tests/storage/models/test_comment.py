"""A comment: its address, and what anybody may know of it."""

from datetime import UTC, datetime

from guestbook.comments.comment_form import DRAFT_FIELDS
from guestbook.storage.models import Comment

MADE = datetime(2026, 1, 31, 23, 59, 59, 123_000, UTC)


def comment() -> Comment:
    return Comment(
        id="0" * 32,
        name="Ada",
        website="https://ada.example",
        message="Hello",
        status="held",
        reason="It holds a bad word.",
        form_key="f" * 64,
        created_at=MADE,
        number=73,
        place="Görlitz",
        note="For you alone",
    )


def test_anybody_may_know_what_is_on_the_page_and_nothing_else() -> None:
    assert comment().public("https://book.example/a") == {
        "id": "0" * 32,
        "name": "Ada",
        "website": "https://ada.example",
        "place": "Görlitz",
        "message": "Hello",
        "status": "held",
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
    assert "typed" not in row.without_words("https://book.example").values()
