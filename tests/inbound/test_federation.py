"""Comments of another guestbook: each appears once, goes with the original, and never comes back."""

import json

import pytest
from sqlalchemy import delete, select

from guestbook.inbound import sender_presets
from guestbook.lib import clock
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import INBOUND, Comment, Delivery, Origin, Webhook
from tests.support import factories, inbound_factories

pytestmark = pytest.mark.usefixtures("any_app")


def test_a_comment_of_another_book_appears_once_whatever_is_told_of_it() -> None:
    inbound_factories.source(template=sender_presets.PRESETS["guestbook"])
    for event in ("comment.created", "comment.published", "comment.replied"):
        inbound_factories.tell(event, "https://a.example/comments/1")
    inbound_factories.tell("comment.created", "https://a.example/comments/2", status="held")
    inbound_factories.process()
    assert inbound_factories.messages() == ["Hi!"]
    assert {one.status for one in inbound_factories.rows()} == {"processed"}
    inbound_factories.tell("comment.deleted", "https://a.example/comments/1")
    inbound_factories.process()
    assert inbound_factories.messages() == []
    [comment] = db.session.scalars(select(Comment)).all()
    assert comment.status == "trash"
    assert [one.sentence for one in comment.all_decisions] == ["Moved to the trash by the source Robot"]


@pytest.mark.usefixtures("each_app")
def test_a_source_with_another_name_still_takes_out_what_it_brought() -> None:
    source_id = inbound_factories.source(template=sender_presets.PRESETS["guestbook"])
    inbound_factories.tell("comment.created", "https://a.example/comments/1")
    inbound_factories.process()
    inbound_factories.change(source_id, name="The neighbours")
    factories.execute(delete(INBOUND))
    inbound_factories.tell("comment.deleted", "https://a.example/comments/1")
    inbound_factories.process()
    assert inbound_factories.messages() == []


def test_what_was_written_here_does_not_come_back() -> None:
    inbound_factories.source(template=sender_presets.PRESETS["guestbook"])
    origin = {"name": "B", "url": "https://book.example/comments/1"}
    inbound_factories.tell("comment.published", "https://a.example/comments/7", origin=origin)
    inbound_factories.process()
    assert inbound_factories.messages() == []
    assert inbound_factories.row().note == "It was written in this book."


@pytest.mark.parametrize("names", [("One", "Two"), ("One", "One")])
def test_another_source_cannot_take_out_what_it_did_not_bring(names: tuple[str, str]) -> None:
    for token, name in zip(("one", "two"), names, strict=True):
        inbound_factories.source(token, name=name, template=sender_presets.PRESETS["guestbook"])
    inbound_factories.tell("comment.published", "https://a.example/comments/1", token="one")
    inbound_factories.process()
    inbound_factories.tell("comment.deleted", "https://a.example/comments/1", token="two")
    inbound_factories.process()
    assert inbound_factories.messages() == ["Hi!"]


def test_our_webhooks_hear_of_what_a_source_brought_only_if_it_is_relayed() -> None:
    inbound_factories.source("still")
    inbound_factories.source("loud", relayed_since=clock.now())
    with database.writing() as session:
        session.add(Webhook(name="w", url="http://127.0.0.1:9/", events="comment.published", headers={}))
    inbound_factories.post({"text": "a"}, "still")
    inbound_factories.arrive({"text": "b"}, "loud")
    payload = db.session.scalars(select(Delivery.payload)).one()
    comment = json.loads(payload)["data"]["comment"]
    assert comment["message"] == "b"
    assert comment["origin"] == {"name": "Robot", "url": None}
    assert db.session.scalars(select(Origin.told_at).where(Origin.told_at.is_not(None))).one()
