"""What becomes of a webmention: a comment, its new words, its end. The pages are served on loopback."""

import pytest
from flask import Flask

from guestbook.comments import comment_actions
from guestbook.comments.spam.spam_rules import Classification
from guestbook.inbound import event_actions, sender_presets
from tests.support import factories, inbound_factories, webmention_pages
from tests.support.receiver import Answer, Receiver
from tests.support.visitor import set_
from tests.support.webmention_pages import comments, html, mention, page

pytestmark = pytest.mark.usefixtures("any_app")


def test_an_answer_on_another_site_becomes_a_comment(app: Flask, receiver: Receiver) -> None:
    status = mention(receiver, page("What a <b>lovely</b> book!"))
    (comment,) = comments()
    assert (comment.name, comment.website) == ("Ada", "https://ada.example/")
    assert comment.message == "What a lovely book!"
    assert (comment.origin.name, comment.origin.url) == ("127.0.0.1", receiver.url("/post"))
    row = inbound_factories.row()
    assert (row.status, row.event, row.sender) == ("processed", "webmention", "Ada")
    assert (row.comment_id, row.note, row.error) == (comment.id, "It became a comment.", None)
    client = app.test_client()
    assert f"/comments/{comment.id}" in client.get(status).text
    assert "via" in client.get("/").text


def test_the_pages_server_hears_who_asks(receiver: Receiver) -> None:
    mention(receiver, page())
    (request,) = receiver.requests
    assert (request.method, request.body) == ("GET", b"")
    assert request.headers["user-agent"].startswith("guestbook/")
    assert request.headers["user-agent"].endswith("Webmention")
    assert "cookie" not in request.headers


@pytest.mark.parametrize(("text", "message"), [
    ('<title>My &lt;day&gt;</title><a href="{home}">x</a>', "My <day>"),
    ('<div class="h-entry"><a class="u-like-of" href="{home}"></a></div>', "likes this."),
])  # fmt: skip
def test_a_page_without_own_words_becomes_a_comment_too(receiver: Receiver, text: str, message: str) -> None:
    mention(receiver, html(text.format(home=webmention_pages.home())))
    (comment,) = comments()
    assert (comment.name, comment.website, comment.message) == ("127.0.0.1", None, message)


def test_an_article_is_shortened_and_keeps_its_title(receiver: Receiver) -> None:
    text = f"""<div class="h-entry"><h1 class="p-name">Books I like</h1>
    <div class="e-content">{"word " * 500}<a href="{webmention_pages.home()}">one</a></div></div>"""
    mention(receiver, html(text))
    (comment,) = comments()
    assert comment.message.startswith("Books I like\n\nword word")
    assert comment.message.endswith("…")
    assert len(comment.message) < 600


def test_a_second_mention_brings_the_comment_up_to_date(receiver: Receiver) -> None:
    mention(receiver, page("First"))
    mention(receiver, page("Second"))
    (comment,) = comments()
    assert comment.message == "Second"
    assert [row.comment_id for row in inbound_factories.rows()] == [comment.id] * 2


def test_a_page_that_changes_its_words_is_compared_with_all_comments_but_its_own(receiver: Receiver) -> None:
    spam = "I lost my ring, and a man whom I have never met gave it back to me within a day."
    mine = "We walked along the shore the whole day, and at last we found the old lighthouse."
    factories.sign(spam, verdict=Classification("spam"))
    for text, status in ((mine, "published"), (f"{mine} Hooray!", "published"), (spam, "spam")):
        mention(receiver, page(text))
        comment = comments()[-1]
        assert (comment.message, comment.status) == (text, status)


def test_a_page_has_one_comment_whatever_it_links_to(receiver: Receiver) -> None:
    other = f"{webmention_pages.home()}comments/{factories.sign()}"
    mention(receiver, html(f'<a href="{webmention_pages.home()}">a</a><a href="{other}">b</a>'))
    mention(receiver, target=other)
    assert len(comments()) == 2
    receiver.answer("/post", html(f'<a href="{webmention_pages.home()}">a</a>'))
    mention(receiver, target=other)  # this link has gone, but the page still belongs to the book
    assert [one.status for one in comments()] == ["published", "published"]


def test_a_page_that_is_gone_takes_its_comment_along(receiver: Receiver) -> None:
    for number, gone in enumerate((Answer(410), Answer(404), html("Nothing here."))):
        path = f"/post{number}"
        mention(receiver, page(), path=path)
        mention(receiver, gone, path=path)
        comment = comments()[-1]
        assert (comment.status, comment.reason) == ("trash", "Its page was deleted, or no longer links here.")
        row = inbound_factories.rows()[-1]
        assert (row.status, row.comment_id) == ("processed", comment.id)
        mention(receiver, page("Back again"), path=path)
        comment = comments()[-1]
        assert (comment.status, comment.message, comment.reason) == ("published", "Back again", None)


def test_a_mention_leaves_the_comment_of_a_source_that_has_the_name_of_its_host(receiver: Receiver) -> None:
    inbound_factories.source(name="127.0.0.1", template=sender_presets.PRESETS["guestbook"])
    inbound_factories.tell("comment.created", receiver.url("/post"))
    inbound_factories.process()
    for answer in (page("Other words"), Answer(410)):
        mention(receiver, answer)
        assert inbound_factories.messages() == ["Hi!"]
        assert inbound_factories.rows()[-1].note == event_actions.NOT_OURS


def test_a_comment_that_the_owner_has_removed_stays_removed(receiver: Receiver) -> None:
    mention(receiver, page())
    for status in ("trash", "spam"):
        factories.change(comments()[0].id, comment_actions.move, status)
        mention(receiver, page(f"Again, though in the {status}"))
        (comment,) = comments()
        assert (comment.status, comment.message) == (status, "What a lovely book!")


def test_the_rules_for_comments_hold(app: Flask, receiver: Receiver) -> None:
    set_(moderation="all")
    status = mention(receiver, page())
    (comment,) = comments()
    assert comment.status == "held"
    told = app.test_client().get(status).text
    assert "owner looks at" in told
    assert comment.id not in told


def test_new_words_of_a_held_comment_do_not_publish_it(receiver: Receiver) -> None:
    set_(moderation="all")
    mention(receiver, page("Held"))
    set_(moderation="off")
    mention(receiver, page("Other words"))
    (comment,) = comments()
    assert (comment.status, comment.message) == ("held", "Other words")


def test_the_owners_webhooks_hear_of_it(receiver: Receiver) -> None:
    factories.webhook(receiver.url("/hook"))
    mention(receiver, page())
    factories.run_pass()
    (request,) = receiver.at("/hook")
    assert request.json["data"]["comment"]["origin"]["url"] == receiver.url("/post")


def test_hostile_pages_are_inert(app: Flask, receiver: Receiver) -> None:
    text = f"""<div class="h-entry">
    <a class="p-author h-card" href="javascript:alert(1)">&lt;script&gt;\u202eevil</a>
    <a class="u-in-reply-to" href="{webmention_pages.home()}"></a>
    <div class="e-content">&lt;script&gt;alert(1)&lt;/script&gt; {{{{ 7 * 7 }}}} \ud83d</div></div>"""
    mention(receiver, Answer(headers=webmention_pages.HTML, body=text.encode("utf-8", "surrogatepass")))
    (comment,) = comments()
    assert (comment.name, comment.website) == ("<script>evil", None)
    shown = app.test_client().get("/").text
    assert "<script>" not in shown
    assert "javascript:" not in shown
