"""The owner's hand in the book: correct a comment, answer it."""

import json

import pytest

from guestbook.comments import comment_actions, comment_form
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib.errors import Refused
from guestbook.storage import preferences
from guestbook.storage.models import Comment
from tests.support import factories

ALL = "comment.created comment.published comment.deleted comment.replied"
pytestmark = pytest.mark.usefixtures("any_app")


def events() -> list[str]:
    return [row.event for row in factories.deliveries()]


def edit(comment_id: str, **fields: str) -> None:
    factories.change(comment_id, comment_actions.edit, comment_form.read(fields))


def said(comment_id: str) -> str | None:
    answer = factories.the(Comment, comment_id).reply
    return answer.message if answer else None


@pytest.mark.usefixtures("each_app")
def test_a_correction_is_stored_cleaned_and_tells_nobody() -> None:
    comment_id = factories.sign()
    factories.webhook(events=ALL)
    edit(comment_id, name=" Zoë\u202e ", website="zoe.example", message="Bonjour 🦋\r\n")
    row = factories.the(Comment, comment_id)
    assert (row.name, row.website, row.message) == ("Zoë", "https://zoe.example", "Bonjour 🦋")
    assert (row.status, events()) == ("published", [])


def test_a_wrong_correction_changes_nothing_and_names_every_field() -> None:
    comment_id = factories.sign()
    with pytest.raises(Refused) as refused:
        edit(comment_id, name="", website="javascript:alert(1)", message="x" * 4001)
    assert list(refused.value.fields) == ["name", "website", "message"]
    assert factories.the(Comment, comment_id).name == "Ada"


@pytest.mark.usefixtures("each_app")
def test_an_answer_is_stored_with_its_event() -> None:
    comment_id = factories.sign()
    factories.webhook(events=ALL)
    factories.change(comment_id, comment_actions.reply, "Thank you 🦋\r\n")
    row = factories.the(Comment, comment_id)
    assert row.reply.message == "Thank you 🦋"
    delivery = factories.one()
    assert (delivery.event, delivery.comment_id) == ("comment.replied", comment_id)
    assert json.loads(delivery.payload)["data"] == {
        "comment": row.public("https://book.example"),
        "reply": row.reply.public(),
        "sequence": 1,
        "guestbook": {"title": "Guestbook", "url": "https://book.example"},
    }


@pytest.mark.usefixtures("each_app")
def test_there_is_one_answer_and_each_change_of_it_is_told_once() -> None:
    comment_id = factories.sign()
    factories.webhook(events=ALL)
    for message in ("One", "One", "One ", "Two", "", "", "Two"):
        factories.change(comment_id, comment_actions.reply, message)
    sent = [json.loads(row.payload)["data"]["reply"]["message"] for row in factories.deliveries()]
    assert sent == ["One", "Two", "Two"]
    assert said(comment_id) == "Two"


@pytest.mark.parametrize(("status", "sent"), [("held", 1), ("spam", 0), ("trash", 0)])
def test_an_answer_reaches_webhooks_that_know_the_comment(status: str, sent: int) -> None:
    comment_id = factories.sign(verdict=Classification(status))
    factories.webhook(events=ALL)
    factories.change(comment_id, comment_actions.reply, "Hm.")
    assert events() == ["comment.replied"] * sent
    assert said(comment_id) == "Hm."


def test_an_answer_that_is_too_long_is_refused_and_the_old_one_stays() -> None:
    comment_id = factories.sign()
    factories.change(comment_id, comment_actions.reply, "x" * comment_actions.REPLY_LIMIT)
    with pytest.raises(Refused, match="4,001 characters") as refused:
        factories.change(comment_id, comment_actions.reply, "y" * (comment_actions.REPLY_LIMIT + 1))
    assert list(refused.value.fields) == ["reply"]
    assert said(comment_id) == "x" * comment_actions.REPLY_LIMIT


@pytest.mark.parametrize("letter", ["🦋", '"', "x"])
def test_the_longest_comment_can_be_answered_and_the_webhook_stays_under_20_kb(letter: str) -> None:
    factories.written(lambda session: preferences.save(session, {"title": "🦋" * preferences.TITLE_LIMIT}))
    website = "https://zoe.example/" + "🦋" * (comment_form.WEBSITE_LIMIT - 20)
    form = {"name": "🦋" * 80, "website": website, "place": "🦋" * 60, "mood": "🦋" * 40}
    longest = comment_form.read({**form, "message": letter * 4000})
    comment_id = factories.sign_draft(longest)
    factories.webhook(events=ALL)
    answer = letter * comment_actions.REPLY_LIMIT
    while said(comment_id) is None:
        try:
            factories.change(comment_id, comment_actions.reply, answer)
        except Refused:
            answer = answer[: -max(1, len(answer) // 10)]
    assert len(said(comment_id) or "") >= 50
    assert len(factories.one().payload.encode()) < 20_000
