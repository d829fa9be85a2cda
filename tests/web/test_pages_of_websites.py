"""Comments about a page of the owner's website: who may name one, and where they are listed."""

import json
from urllib.parse import quote

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from guestbook.comments import comment_actions, website_forms
from guestbook.storage.models import Comment
from tests.support import factories
from tests.support.api_client import ApiClient
from tests.support.visitor import (
    GREETING,
    Visitor,
    add,
    attributes,
    fields,
    hrefs,
    messages,
    parse,
    set_,
    stored,
    text,
)

SITE = "https://ada.example"
ONE, TWO = f"{SITE}/one/", f"{SITE}/two?id=7"
ELSEWHERE = "https://evil.example/one/"
LINKS = "http://a.example " * 4
WRONG = [
    ELSEWHERE,
    "/one/",
    "ada.example/one/",
    "javascript:alert(1)",
    "https://[",
    f"{SITE}/{'x' * 500}",
    " ",
]


@pytest.fixture(autouse=True)
def _allowed(app: Flask) -> None:  # noqa: ARG001  the factories fill it
    set_(embed_sites=SITE, rate="1000", flood="10000", per_page="5")


def frame(page: str | None, **more: str) -> str:
    given = {"site": SITE, **({"page": page} if page else {}), **more}
    return "/embed?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in given.items())


def action(page: object) -> str:
    return str(attributes(page, ".//form[@method='post']")["action"])  # type: ignore[arg-type]  # an element


def signed(visitor: Visitor, url: str, message: str) -> TestResponse:
    page = visitor.page(url)
    return visitor.open("POST", action(page), data=fields(page) | GREETING | {"message": message})


def about(message: str, page: str | None) -> str:
    comment_id = factories.sign(message)
    factories.alter(Comment, comment_id, page=page)
    return comment_id


def test_a_comment_in_the_frame_of_a_page_is_about_that_page_alone(visitor: Visitor, app: Flask) -> None:
    for message, page in (("About one", f"{ONE}#top"), ("About two", TWO), ("About the book", None)):
        answer = signed(visitor, frame(page), message)
        assert answer.status_code == 303
        assert message in messages(visitor.page(answer.location)), "the thanks stand on the same page"
    assert [comment.page for comment in stored()] == [ONE, TWO, None]
    reader = Visitor(app)
    for url in (frame(ONE), f"/?page={quote(ONE)}", f"/?page={quote(SITE.upper() + ':443/one/#x')}"):
        assert messages(reader.page(url)) == ["About one"]
    assert messages(reader.page(frame(TWO))) == ["About two"]
    assert messages(reader.page(frame(f"{SITE}/two"))) == []
    for url in ("/", "/embed"):
        assert messages(reader.page(url)) == ["About the book", "About two", "About one"], "one book"
    counts = [attributes(reader.page(frame(page)), ".//script")["data-count"] for page in (ONE, None)]
    assert counts == ["1", "3"]


def test_the_links_of_a_page_stay_with_it(visitor: Visitor) -> None:
    for number in range(7):
        about(f"One {number}", ONE)
        about(f"Two {number}", TWO)
    for begin in (frame(ONE), f"/?page={quote(ONE, safe='')}"):
        page = visitor.page(begin)
        [older] = [link for link in hrefs(page) if "before=" in link]
        assert messages(visitor.page(older)) == ["One 1", "One 0"]
        refused = visitor.open("POST", action(page), data=fields(page) | GREETING | {"message": ""})
        assert refused.status_code == 422
        assert action(parse(refused)) == action(page)


@pytest.mark.parametrize("page", WRONG)
def test_a_page_of_no_allowed_website_is_refused_and_the_text_is_kept(visitor: Visitor, page: str) -> None:
    for path in ("/embed", "/"):
        assert visitor.get(path, query_string={"page": page}).status_code == 404
    for path in ("/embed", "/comments"):
        form = visitor.form() | GREETING
        answer = visitor.open("POST", path, query_string={"page": page}, data=form)
        assert answer.status_code == 422
        assert "a page that may not use it" in answer.text
        assert fields(parse(answer))["message"].strip() == "Hello"
        assert "page=" not in action(parse(answer)), "the next click signs the book itself"
    assert stored() == []


def test_a_kept_front_page_and_one_page_do_not_mix(visitor: Visitor) -> None:
    about("About one", ONE)
    about("About the book", None)
    for _ in range(2):
        assert messages(visitor.page("/")) == ["About the book", "About one"]
        assert messages(visitor.page(f"/?page={quote(ONE)}")) == ["About one"]
    book, one = (visitor.get(url).headers["ETag"] for url in ("/", f"/?page={quote(ONE)}"))
    assert visitor.get(f"/?page={quote(ONE)}", headers={"If-None-Match": book}).status_code == 200
    assert visitor.get(f"/?page={quote(ONE)}", headers={"If-None-Match": one}).status_code == 304


def test_a_comment_that_waits_is_shown_to_its_visitor_on_its_page_alone(visitor: Visitor) -> None:
    assert "waiting" in signed(visitor, frame(ONE), LINKS).location
    assert "The owner will look at it first" in text(visitor.page(frame(ONE)))
    for page in (TWO, None):
        assert "The owner will look at it first" not in text(visitor.page(frame(page)))


@pytest.mark.parametrize(
    ("typed", "page"), [("", None), (ONE, ONE), ("/one/#top", ONE), ("?x=1", f"{SITE}/all?x=1")]
)
def test_a_plain_form_may_say_its_page_and_leads_back_to_it(
    visitor: Visitor, typed: str, page: str | None
) -> None:
    home = f"{SITE}/all"
    key = factories.written(lambda session: website_forms.add(session, home))
    for message in ("Hello", "", "Hello"):
        sent = GREETING | {"page": typed, "message": message}
        answer = visitor.open("POST", f"/form/{key}", data=sent, headers={"Origin": SITE})
        assert answer.location == f"{page or home}#{'thanks' if message else 'error-message'}"
    assert [comment.page for comment in stored()] == [page]


def test_a_plain_form_takes_the_same_words_on_two_pages_of_its_website(visitor: Visitor) -> None:
    key = factories.written(lambda session: website_forms.add(session, SITE))
    for page in (ONE, TWO, ELSEWHERE, "https://["):
        sent = {"data": GREETING | {"page": page}, "headers": {"Origin": SITE}}
        answer = visitor.open("POST", f"/form/{key}", **sent)
        assert answer.status_code == (303 if page in (ONE, TWO) else 403)
    assert fields(parse(answer))["message"].strip() == "Hello"
    assert [comment.page for comment in stored()] == [ONE, TWO]
    set_(question="Which river?", answers="Neisse")
    for page in (ONE, TWO.removeprefix(SITE)):
        sent = {"data": GREETING | {"page": page}, "headers": {"Origin": SITE}}
        asked = parse(visitor.open("POST", f"/form/{key}", **sent))
        answered = fields(asked) | {"answer": "Neisse"}
        assert visitor.open("POST", action(asked), data=answered).status_code == 303
    assert [comment.page for comment in stored()] == [ONE, TWO, ONE, TWO], "the question loses no page"


def test_a_plain_form_that_is_too_long_gets_a_page_that_says_so(visitor: Visitor) -> None:
    key = factories.written(lambda session: website_forms.add(session, SITE))
    answer = visitor.open("POST", f"/form/{key}", data=GREETING | {"message": "x" * 100_000})
    assert (answer.status_code, stored()) == (413, [])
    assert "too long" in answer.text


def test_feeds_of_a_page_have_its_comments_and_say_whose_they_are(visitor: Visitor) -> None:
    about("About two", TWO)
    for number in range(51):
        about(f"One {number}", ONE)
    feed = visitor.get("/feed.json", query_string={"page": ONE}).get_json()
    assert (feed["home_page_url"], len(feed["items"])) == (ONE, 50)
    older = visitor.get(feed["next_url"]).get_json()
    assert [item["content_text"] for item in older["items"]] == ["One 0"]
    atom = [visitor.get("/feed.atom", query_string=given).text for given in ({"page": TWO}, {})]
    assert [text.count("<entry>") for text in atom] == [1, 50]
    assert atom[0].split("</id>")[0] != atom[1].split("</id>")[0], "two feeds have two ids"
    assert visitor.get("/feed.atom?page=x").status_code == 404


def test_programs_write_about_a_page_and_find_its_comments(app: Flask) -> None:
    anybody = ApiClient(app)
    made = anybody.ask("POST", "/comments", GREETING | {"page": f"{ONE}#x"}).get_json()
    assert made["page"] == ONE
    for page in WRONG:
        refused = anybody.ask("POST", "/comments", GREETING | {"page": page})
        assert (refused.status_code, list(refused.get_json()["error"]["fields"])) == (422, ["page"])
    about("About the book", None)
    found = anybody.ask("GET", f"/comments?page={quote(ONE)}&limit=1").get_json()
    assert [one["id"] for one in found["comments"]] == [made["id"]]
    assert anybody.ask("GET", f"/comments?page={quote(TWO)}").get_json()["comments"] == []
    assert anybody.ask("GET", "/comments?page=x").status_code == 422
    assert [one["page"] for one in anybody.ask("GET", "/comments").get_json()["comments"]] == [None, ONE]


def test_events_carry_the_page_until_the_comment_is_deleted_for_good(app: Flask) -> None:
    factories.webhook(events="comment.created comment.replied comment.deleted")
    ApiClient(app).ask("POST", "/comments", GREETING | {"page": ONE})
    [comment] = stored()
    factories.change(comment.id, comment_actions.reply, "Thanks")
    told = [json.loads(row.payload)["data"]["comment"]["page"] for row in factories.deliveries()]
    assert told == [ONE, ONE]
    factories.change(comment.id, comment_actions.move, "trash")
    factories.change(comment.id, comment_actions.delete)
    assert not [row.payload for row in factories.deliveries() if ONE in row.payload]


def test_without_a_page_all_is_as_before(visitor: Visitor) -> None:
    add(["Hello"])
    page = visitor.page("/?page=")
    assert action(page) == "/comments"
    assert messages(page) == ["Hello"]
