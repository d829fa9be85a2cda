"""What the owner has set shows on the page: title, welcome, prompt, how many comments, closed, theme."""

import pytest

from guestbook.storage import preferences
from tests.support import factories
from tests.support.visitor import (
    GREETING,
    Visitor,
    add,
    attributes,
    by_class,
    fields,
    messages,
    parse,
    set_,
    stored,
    text,
)
from tests.web.test_hostile import HOSTILE

CLOSED = "The book is closed for new comments."


def test_the_title_is_on_the_page_in_the_tab_and_on_every_page(visitor: Visitor) -> None:
    set_(title="Our island")
    [comment_id] = add(["Hello"])
    assert text(visitor.page().find(".//h1")) == "Our island"
    for url, title in (("/", "Our island"), (f"/comments/{comment_id}", "Ada · Our island")):
        assert text(visitor.page(url).find(".//title")) == title
    assert "Our island" in text(parse(visitor.get("/nowhere")).find(".//header"))


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_are_only_words(visitor: Visitor, words: str) -> None:
    plain = visitor.page()
    set_(title=words[:80], welcome=words[:1000], prompt=words[:1000])
    kept = factories.read(preferences.read)
    page = visitor.page()
    assert text(page.find(".//title")) == text(page.find(".//h1")) == kept.title
    assert text(by_class(page, "welcome")[0]) == kept.welcome
    assert text(by_class(page, "prompt")[0]) == kept.prompt
    added = [element.tag for element in page.iter()]
    assert sorted(added) == sorted([element.tag for element in plain.iter()] + ["p"])
    assert "sign-link" in {element.attrib.get("class") for element in page.iter()}


def test_the_prompt_stands_above_the_form_that_comes_back_too(visitor: Visitor) -> None:
    set_(prompt="Where are you from?")
    answer = visitor.sign(name="")
    assert answer.status_code == 422
    assert text(by_class(parse(answer), "prompt")[0]) == "Where are you from?"


@pytest.mark.parametrize(
    ("theme", "given", "scheme"),
    [("auto", None, "light dark"), ("light", "light", "light"), ("dark", "dark", "dark")],
)
def test_the_theme_is_the_owners(visitor: Visitor, theme: str, given: str | None, scheme: str) -> None:
    set_(theme=theme)
    page = visitor.page()
    assert page.attrib.get("data-theme") == given
    meta = attributes(page, ".//meta[@name='color-scheme']")
    assert meta["content"] == scheme


def test_a_closed_book_has_a_sentence_instead_of_the_form_and_the_way_to_it(visitor: Visitor) -> None:
    set_(closed="yes", prompt="Where are you from?")
    page = visitor.page()
    assert text(by_class(page, "closed-notice")[0]) == CLOSED
    assert not page.findall(".//main//form")
    assert by_class(page, "button") == by_class(page, "sign-link") == by_class(page, "prompt") == []
    assert "Be the first" not in text(page)
    [first, *_] = add(["first", "second"])
    assert messages(visitor.page()) == ["second", "first"]
    assert by_class(visitor.page(f"/?before={first}"), "button") == []


def test_what_is_sent_to_a_closed_book_comes_back_and_is_not_stored(visitor: Visitor) -> None:
    form = visitor.form()
    set_(closed="yes")
    answer = visitor.send(form | GREETING | {"message": "I wrote\nfor hours"})
    assert answer.status_code == 403
    page = parse(answer)
    assert text(by_class(page, "summary")[0]).strip().startswith(CLOSED)
    assert fields(page)["message"].strip() == "I wrote\nfor hours"
    assert by_class(page, "button") == []
    assert stored() == []
    set_(closed="no")
    assert visitor.send(fields(page)).status_code == 303
    assert [comment.message for comment in stored()] == ["I wrote\nfor hours"]
