"""A mood from the owner's list: visitors may choose one, and a mood that is not on the list is refused."""

import json

from flask import Flask

from tests.support import factories
from tests.support.api_client import ApiClient
from tests.support.visitor import Visitor, attributes, by_class, parse, plain, set_, stored, text

MOODS = "happy\ntired & <b>proud</b>"
OFF_THE_LIST = "This mood is not on the list. Please choose one of: happy, tired."


def choices(visitor: Visitor, url: str = "/") -> list[str]:
    return [text(one) for one in visitor.page(url).findall(".//select[@id='mood']/option")]


def moods(visitor: Visitor, url: str = "/") -> list[str]:
    return [plain(one) for one in by_class(visitor.page(url), "mood")]


def test_a_new_book_asks_for_no_mood_and_stores_none(visitor: Visitor) -> None:
    assert choices(visitor) == []
    visitor.sign(mood="happy")
    assert [row.mood for row in stored()] == [None]


def test_a_visitor_may_choose_one_which_stands_after_the_name(visitor: Visitor) -> None:
    set_(moods=MOODS)
    assert choices(visitor) == ["None", "happy", "tired & <b>proud</b>"]
    visitor.sign()
    visitor.sign(mood="tired & <b>proud</b>", message="Hello again")
    first, second = stored()
    assert (first.mood, second.mood) == (None, "tired & <b>proud</b>")
    assert moods(visitor) == moods(visitor, f"/comments/{second.id}") == ["Mood: tired & <b>proud</b>"]


def test_another_mood_gets_a_sentence_and_the_text_back(visitor: Visitor) -> None:
    set_(moods="happy\ntired")
    answer = visitor.sign(mood="furious", message="Keep this")
    page = parse(answer)
    assert (answer.status_code, stored()) == (422, [])
    assert text(by_class(page, "reason")[0]) == OFF_THE_LIST
    assert "Keep this" in text(page.find(".//textarea[@id='message']"))
    chosen = attributes(page, ".//select[@id='mood']")
    assert (chosen["aria-invalid"], chosen["aria-describedby"]) == ("true", "mood-reason")
    wrong = ApiClient(visitor.app).refused(
        "POST", "/comments", {"name": "Ada", "message": "Hi", "mood": "furious"}
    )
    assert wrong == {"mood": OFF_THE_LIST}


def test_a_mood_that_has_left_the_list_stays_but_is_no_choice_for_others(visitor: Visitor) -> None:
    set_(moods="happy\ntired")
    visitor.sign(mood="happy")
    set_(moods="tired")
    [comment] = stored()
    url = f"/comments/{comment.id}/edit"
    assert choices(visitor, url) == ["None", "tired", "happy"]
    form = visitor.form(url) | {"message": "Hello again"}
    assert visitor.open("POST", url, data=form | {"mood": "happy"}).status_code == 303
    [comment] = stored()
    assert (comment.message, comment.mood) == ("Hello again", "happy")
    assert visitor.form(url)["mood"] == "happy"
    assert visitor.sign(mood="happy", message="Another").status_code == 422
    visitor.open("POST", url, data=visitor.form(url) | {"mood": "tired"})
    assert [row.mood for row in stored()] == ["tired"]


def test_a_program_and_a_webhook_have_it_and_a_book_without_a_list_says_so(app: Flask) -> None:
    webhook, chat = factories.webhook(), factories.webhook(name="chat", format="slack")
    client, sent = ApiClient(app), {"name": "Ada", "message": "Hello"}
    asked = client.refused("POST", "/comments", sent | {"mood": "happy"})
    assert asked == {"mood": "This book asks for no mood."}
    set_(moods="happy\ntired")
    made = client.post("/comments", sent | {"mood": "happy"})
    assert client.get(f"/comments/{made['id']}")["mood"] == made["mood"] == "happy"
    payloads = {row.webhook_id: json.loads(row.payload) for row in factories.deliveries()}
    assert payloads[webhook]["data"]["comment"]["mood"] == "happy"
    assert "Ada · mood: happy" in json.dumps(payloads[chat], ensure_ascii=False)


def test_the_spam_rules_do_not_read_the_owner_s_own_words(visitor: Visitor) -> None:
    set_(moods="casino", words="casino")
    visitor.sign(mood="casino")
    assert [row.status for row in stored()] == ["published"]
