"""Looking through the comments: by status and words, page by page, on every database."""

import pytest

from guestbook.comments import book
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam.spam_rules import Classification
from guestbook.queries import filtered_lists
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Delivery
from tests.support import factories


def found(words: str | None = None, status: str | None = None) -> list[str]:
    """The messages that are found, newest first."""
    db.session.rollback()
    return [row.message for row in filtered_lists.comments(db.session(), status, words).rows]


def ids_of_all_pages(words: str | None = None, limit: int = 5) -> list[list[str]]:
    pages, before = [], None
    while True:
        page = filtered_lists.comments(db.session(), None, words, before, limit)
        pages.append([row.id for row in page.rows])
        if page.older is None:
            return pages
        before = page.older


@pytest.mark.usefixtures("each_app")
def test_words_are_found_in_name_message_and_website_in_any_case() -> None:
    factories.sign("Hello", name="Ada Lovelace")
    factories.sign("From the LOVE boat")
    factories.sign_draft(Draft("Zoë", "https://love.example/", "Bonjour 🦋", {}))
    factories.sign("Good day")
    assert found("love") == ["Bonjour 🦋", "From the LOVE boat", "Hello"]
    assert found("Zoë") == found("🦋") == ["Bonjour 🦋"]


@pytest.mark.usefixtures("each_app")
def test_each_word_must_be_somewhere_and_their_order_is_no_matter() -> None:
    factories.sign("Hello there", name="Ada")
    factories.sign("Hello", name="Bob")
    assert found("there hello  ada") == ["Hello there"]
    assert found("there bob") == []


@pytest.mark.usefixtures("each_app")
def test_signs_that_a_database_reads_stand_for_themselves() -> None:
    factories.sign("plain 100 axb")
    for sign in ("%", "_", "/", "\\", "'", '"', "100$", "c_d", "\\&"):
        factories.sign(f"with {sign} in it")
    for sign in ("100%", "a_b", "\\%", "%_", "p%n"):
        assert found(sign) == []
    for sign in ("%", "'", '"', "100$", "c_d", "\\&"):
        assert found(sign) == [f"with {sign} in it"]
    assert found("_") == ["with c_d in it", "with _ in it"]


@pytest.mark.usefixtures("each_app")
def test_no_words_find_everything_and_no_words_break_the_search() -> None:
    factories.sign("Hello")
    for nothing in (None, "", "  ", "\0", "\ud800\u202e"):
        assert found(nothing) == ["Hello"]
    for odd in ("q\0", "x" * 100_000, "q " * 5000, "\ud800q", "🦋" * 999):
        assert found(odd) == []


@pytest.mark.usefixtures("app")
def test_a_status_has_its_own_list() -> None:
    for status in ("published", "held", "spam", "trash"):
        factories.sign(status, verdict=Classification(status))
    assert found() == ["trash", "spam", "held", "published"]
    assert found(status="held") == found("held") == ["held"]
    assert found("held", status="spam") == []


@pytest.mark.usefixtures("each_app")
@pytest.mark.parametrize("words", [None, "hello"])
def test_all_pages_together_have_every_comment_once(words: str | None) -> None:
    made = [factories.sign(f"Hello {number}") for number in range(12)]
    pages = ids_of_all_pages(words)
    assert [len(page) for page in pages] == [5, 5, 2]
    assert [row_id for page in pages for row_id in page] == made[::-1]


@pytest.mark.usefixtures("app")
def test_a_search_says_how_far_it_has_looked_and_the_next_page_goes_on_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(filtered_lists, "SCANNED_ROWS", 4)
    made = [factories.sign("needle" if number == 0 else "hay") for number in range(10)]
    page = filtered_lists.comments(db.session(), None, "needle")
    assert (page.rows, page.older) == ([], made[6])
    looked_to = page.looked_to
    assert looked_to
    assert abs((looked_to - factories.the(Comment, made[6]).created_at).total_seconds()) < 1
    assert ids_of_all_pages("needle") == [[], [], [made[0]]]


@pytest.mark.usefixtures("app")
def test_a_list_without_words_needs_no_look_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtered_lists, "SCANNED_ROWS", 2)
    made = [factories.sign(str(number)) for number in range(4)]
    page = filtered_lists.comments(db.session(), "published")
    assert ([row.id for row in page.rows], page.older, page.looked_to) == (made[::-1], None, None)


@pytest.mark.usefixtures("each_app")
def test_the_answers_come_with_the_comments() -> None:
    comment_id = factories.sign()
    with database.writing() as session:
        book.reply(session, session.get_one(Comment, comment_id), "Thanks", factories.settings())
    [row] = filtered_lists.comments(db.session(), None).rows
    assert row.reply
    assert row.reply.message == "Thanks"


@pytest.mark.usefixtures("each_app")
def test_the_deliveries_of_a_comment_are_the_latest_with_the_names_of_their_webhooks() -> None:
    factories.webhook(name="first", events="comment.created comment.published")
    factories.webhook(name="second")
    factories.sign()
    comment_id = factories.sign()
    mine = Delivery.comment_id == comment_id
    listed = filtered_lists.with_webhook_names(db.session(), mine)
    assert {(row.event, name) for row, name in listed} == {
        ("comment.created", "first"),
        ("comment.published", "first"),
        ("comment.created", "second"),
    }
    assert [row.id for row, _ in listed] == sorted((row.id for row, _ in listed), reverse=True)
    assert [row.id for row, _ in filtered_lists.with_webhook_names(db.session(), mine, 1)] == [
        listed[0][0].id
    ]
