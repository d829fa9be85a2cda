"""The format json: the body of Standard Webhooks, as small and as open as the contract says."""

import json
from datetime import UTC, datetime

import pytest

from guestbook.comments import comment_form
from guestbook.outbound import formats
from guestbook.storage.comment_fields import PUBLIC_FIELDS
from guestbook.storage.models import Comment
from tests.support import factories

MOMENT = datetime(2026, 1, 31, 23, 59, 59, 123_000, UTC)


def test_the_body_has_a_type_a_timestamp_and_data() -> None:
    body = formats.render("json", formats.FormatInput("comment.created", MOMENT, {"name": "Zoë 🎈"}))
    assert body == (
        '{"type":"comment.created","timestamp":"2026-01-31T23:59:59.123Z","data":{"name":"Zoë 🎈"}}'
    )


@pytest.mark.usefixtures("app")
def test_a_published_comment_has_the_body_that_the_contract_shows() -> None:
    factories.webhook(events="comment.published")
    comment_id = factories.sign("Hello <b>")
    row = factories.one()
    comment = factories.the(Comment, comment_id)
    body = json.loads(row.payload)
    assert list(body) == ["type", "timestamp", "data"]
    assert body["type"] == "comment.published"
    assert body["data"]["guestbook"] == {"title": "Guestbook", "url": "https://book.example"}
    assert body["data"]["comment"] == dict.fromkeys(PUBLIC_FIELDS) | {
        "id": comment_id,
        "name": "Ada",
        "website": None,
        "message": "Hello <b>",
        "status": "published",
        "url": f"https://book.example/comments/{comment_id}",
        "created_at": comment.created_at.strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{comment.created_at.microsecond // 1000:03d}Z",
        "number": 1,
    }


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("letter", ["🎈", '"', "\\", "\n.", "é", "<"])
def test_the_largest_comment_stays_under_20_kb(letter: str) -> None:
    message = (letter * comment_form.MESSAGE_LIMIT)[: comment_form.MESSAGE_LIMIT]
    form = {
        "name": "🎈" * comment_form.VISITOR_NAME_LIMIT,
        "website": ("example.org/" + "é" * 600)[: comment_form.WEBSITE_LIMIT - 8],
        "message": message,
    }
    read = comment_form.read(form)
    assert not read.errors
    factories.webhook()
    factories.sign_draft(read)
    assert len(factories.one().payload.encode()) < 20_000
