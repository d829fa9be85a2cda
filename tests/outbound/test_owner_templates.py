"""An owner's template runs when its delivery is stored; its mistake is that delivery's failure alone."""

import json

import pytest
from flask import Flask
from sqlalchemy import select

from guestbook.comments import book
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Comment
from guestbook.storage.models.delivery import Template
from tests.support import factories
from tests.support.owner import Owner

EVENTS = "comment.created comment.published comment.replied"
TEMPLATE = '{"event": {{ event|tojson }}, "data": {{ data|tojson }}, "at": {{ timestamp|tojson }}}'


def listener(text: str = TEMPLATE, events: str = EVENTS) -> str:
    """A webhook with a template."""
    webhook_id = factories.webhook(format="template", events=events)
    with database.writing() as session:
        session.add(Template(webhook_id=webhook_id, text=text))
    return webhook_id


@pytest.mark.usefixtures("each_app")
def test_a_comment_and_all_its_deliveries_are_there_with_what_the_template_says_of_them() -> None:
    hook, plain = listener(), factories.webhook()
    comment_id = factories.sign("Hello")
    rows = {(row.webhook_id, row.event): row for row in factories.deliveries()}
    assert set(rows) == {(hook, "comment.created"), (hook, "comment.published"), (plain, "comment.created")}
    sent = json.loads(rows[hook, "comment.created"].payload)
    same = json.loads(rows[plain, "comment.created"].payload)
    assert sent == {"event": "comment.created", "data": same["data"], "at": same["timestamp"]}
    assert sent["data"]["comment"]["id"] == comment_id
    with db.engine.connect() as connection:
        assert connection.scalars(select(Comment.id)).all() == [comment_id]


def test_an_old_template_that_is_no_template_any_more_fails_with_what_to_write_instead(app: Flask) -> None:
    hook = listener("{% macro who(x) %}{{ x|tojson }}{% endmacro %}{{ who(comment.name) }}")
    comment_id = factories.sign()
    row = factories.deliveries()[0]
    assert row.status == "failed"
    assert row.last_error == (
        "Line 1 of the template: templates here have no macro. Write what it gives where it is called, or "
        "set a name to a text. Nothing was sent; kept as json."
    )
    assert json.loads(row.payload)["data"]["comment"]["id"] == comment_id
    owner = Owner(app)
    owner.log_in()
    assert "templates here have no macro" in owner.client.get(f"/admin/deliveries/{row.id}").text
    assert owner.client.get(f"/admin/webhooks/{hook}").status_code == 200


@pytest.mark.usefixtures("app")
def test_an_answer_is_told_with_the_time_that_it_has_in_the_book() -> None:
    listener(events="comment.replied")
    comment_id = factories.sign()
    factories.change(comment_id, book.reply, "Thanks")
    sent = json.loads(factories.one().payload)["data"]["reply"]
    kept = factories.the(Comment, comment_id).reply
    assert sent == kept.public()
