"""The place and the note to the owner: asked for if the owner wants it; the note is for the owner alone."""

import json

import pytest
from flask import Flask

from guestbook.comments import comment_actions
from guestbook.lib import clock
from tests.support import factories
from tests.support.api_client import ApiClient, new_token
from tests.support.visitor import Visitor, by_class, fields, set_, stored, text

NOTE = "Only for you: I was the cat."
TYPED = {"place": "Görlitz", "note": NOTE}


def ask(wants: str = "yes") -> None:
    set_(asks_place=wants, asks_note=wants)


def test_a_new_book_asks_for_neither_and_stores_neither(visitor: Visitor) -> None:
    assert not {"place", "note"} & set(visitor.form())
    visitor.sign(**TYPED, name="x")
    visitor.sign(**{"place": "x" * 99, "note": "x" * 5000})
    assert [(row.place, row.note) for row in stored()] == [(None, None)] * 2


def test_the_place_stands_after_the_name_wherever_the_comment_does(visitor: Visitor) -> None:
    ask()
    visitor.sign(**TYPED)
    url = by_class(visitor.page(), "date")[0].attrib["href"]
    for page in (visitor.page(), visitor.page(url)):
        assert [text(place) for place in by_class(page, "place")] == ["from Görlitz"]


def test_the_note_is_on_no_public_page_and_in_no_feed(visitor: Visitor) -> None:
    ask()
    visitor.sign(**TYPED)
    [comment] = stored()
    assert comment.note == NOTE
    for url in ("/", f"/comments/{comment.id}", "/feed.atom", "/feed.json", "/api/v1/comments"):
        answer = visitor.get(url)
        assert answer.status_code == 200
        assert "the cat" not in answer.text, url


def test_only_webhooks_whose_readers_act_for_the_owner_get_the_note(visitor: Visitor) -> None:
    ask()
    others = factories.webhook(format="json")
    mine = factories.webhook(name="two", moderation_links_since=clock.now())
    chat = factories.webhook(name="mail", format="email", moderation_links_since=clock.now())
    visitor.sign(**TYPED)
    sent = {row.webhook_id: row.payload for row in factories.deliveries()}
    assert json.loads(sent[mine])["data"]["comment"]["note"] == NOTE
    assert "note" not in json.loads(sent[others])["data"]["comment"]
    assert "the cat" not in sent[others]
    assert json.loads(sent[others])["data"]["comment"]["place"] == "Görlitz"
    assert f"Note to you: {NOTE}" in json.loads(sent[chat])["text"]
    assert "Ada · from Görlitz" in json.loads(sent[chat])["text"]


def test_nothing_of_either_stays_after_a_deletion_for_good(visitor: Visitor) -> None:
    ask()
    factories.webhook(events="comment.created comment.deleted", moderation_links_since=clock.now())
    visitor.sign(**TYPED)
    factories.change(stored()[0].id, comment_actions.delete)
    kept = [row.payload for row in factories.deliveries()]
    assert not stored()
    assert not any("the cat" in one or "rlitz" in one for one in kept)


def test_a_program_with_a_token_reads_the_note_and_others_do_not(app: Flask) -> None:
    ask()
    anybody, program = ApiClient(app), ApiClient(app, new_token())
    made = anybody.post("/comments", {"name": "Ada", "message": "Hello", **TYPED})
    assert made["place"] == "Görlitz"
    assert "note" not in made
    url = f"/comments/{made['id']}"
    assert "note" not in anybody.get(url)
    assert program.get(url)["note"] == NOTE
    assert program.patch(url, {"place": None, "note": "Changed"})["note"] == "Changed"


def test_a_program_hears_that_the_book_does_not_ask(app: Flask) -> None:
    wrong = ApiClient(app).refused("POST", "/comments", {"name": "Ada", "message": "Hello", **TYPED})
    assert wrong == {"place": "This book asks for no place.", "note": "This book asks for no note."}


@pytest.mark.parametrize("wants", ["yes", "no"])
def test_visitors_change_what_they_typed_even_if_no_longer_asked(visitor: Visitor, wants: str) -> None:
    ask()
    visitor.sign(**TYPED)
    [comment] = stored()
    ask(wants)
    url = f"/comments/{comment.id}/edit"
    form = fields(visitor.page(url))
    assert (form["place"], form["note"]) == ("Görlitz", NOTE)
    visitor.open("POST", url, data=form | {"place": "Zgorzelec", "message": "Hello again"})
    [comment] = stored()
    assert (comment.message, comment.place, comment.note) == ("Hello again", "Zgorzelec", NOTE)
