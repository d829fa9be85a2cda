"""The format json: the body of Standard Webhooks, as small and as open as the contract says."""

import json
from datetime import UTC, datetime

import pytest

from guestbook import draft, formats
from guestbook.models import Comment
from tests import stock

MOMENT = datetime(2026, 1, 31, 23, 59, 59, 123_000, UTC)


def test_the_body_has_a_type_a_timestamp_and_data() -> None:
    body = formats.render("json", "comment.created", MOMENT, {"name": "Zoë 🎈"})
    assert body == (
        '{"type":"comment.created","timestamp":"2026-01-31T23:59:59.123Z","data":{"name":"Zoë 🎈"}}'
    )


def test_an_unknown_format_is_an_error() -> None:
    with pytest.raises(KeyError):
        formats.render("semaphore", "comment.created", MOMENT, {})


@pytest.mark.usefixtures("app")
def test_a_published_comment_is_told_as_the_contract_shows() -> None:
    stock.webhook(events="comment.published")
    comment_id = stock.sign("Hello <b>")
    row = stock.one()
    comment = stock.the(Comment, comment_id)
    body = json.loads(row.payload)
    assert list(body) == ["type", "timestamp", "data"]
    assert body["type"] == "comment.published"
    assert body["data"]["guestbook"] == {"title": "Guestbook", "url": "https://book.example"}
    assert body["data"]["comment"] == {
        "id": comment_id,
        "name": "Ada",
        "website": None,
        "message": "Hello <b>",
        "status": "published",
        "url": f"https://book.example/comments/{comment_id}",
        "created_at": comment.created_at.strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{comment.created_at.microsecond // 1000:03d}Z",
    }


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("letter", ["🎈", '"', "\\", "\n.", "é", "<"])
def test_the_largest_comment_stays_under_20_kb(letter: str) -> None:
    message = (letter * draft.MESSAGE_LIMIT)[: draft.MESSAGE_LIMIT]
    form = {
        "name": "🎈" * draft.NAME_LIMIT,
        "website": ("example.org/" + "é" * 600)[: draft.WEBSITE_LIMIT - 8],
        "message": message,
    }
    read = draft.read(form)
    assert not read.errors
    stock.webhook()
    stock.sign_draft(read)
    assert len(stock.one().payload.encode()) < 20_000
