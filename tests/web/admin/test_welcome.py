"""The first steps with a new book, each on one page without scripts."""

import json
import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

import pytest
from flask import Flask

from guestbook.lib import locks
from guestbook.storage import preferences
from guestbook.storage.models import Bin, BinRequest, Webhook
from guestbook.web.admin import welcome
from tests.conftest import running
from tests.support import factories
from tests.support.at_once import at_once
from tests.support.documents import README, blocks
from tests.support.mail_server import MailServer
from tests.support.owner import Owner
from tests.support.receiver import Answer, Receiver
from tests.support.visitor import GREETING, Visitor, attributes, by_class, fields, hrefs, parse, plain, text

PLACE = "/admin/welcome/"
FIRST, COMMENTS, WEBSITE = (f"{PLACE}{name}" for name in ("webhook", "comments", "website"))
TOPIC = "https://ntfy.sh/?topic=my-topic"
BOT = "123456789:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def reason(owner: Owner, place: str, **typed: str) -> str:
    """Send a form that must be refused; return what stands beside its field."""
    page = owner.refused(f"{place}?step={place.rpartition('/')[2]}", typed)
    assert len(factories.rows(Webhook)) == 0
    return plain(by_class(page, "reason")[0])


@pytest.fixture
def offline(environ: dict[str, str]) -> Iterator[Owner]:
    """The owner of a book that may reach no private address, at one where nobody listens."""
    own = {"GUESTBOOK_BASE_URL": "http://127.0.0.1:9", "GUESTBOOK_ALLOW_NETWORKS": ""}
    with running({**environ, **own}) as app:
        yield Owner(app).be_logged_in()


def test_a_new_book_leads_there_and_it_offers_three_steps(owner: Owner) -> None:
    assert PLACE in hrefs(owner.page("/admin/"))
    page = owner.page(PLACE)
    [steps] = by_class(page, "first-steps")
    assert [text(name) for name in steps.iter("strong")] == [
        "Show me a webhook",
        "Tell me about new comments",
        "Put it on my website",
    ]
    assert page.find(".//section") is None
    assert owner.page(f"{PLACE}?step=nothing").find(".//section") is None
    assert "Nothing was sent yet." in plain(owner.page(f"{PLACE}?step=webhook"))
    assert "Nothing was sent yet." in plain(owner.does(f"{PLACE}newest"))
    assert factories.rows(Bin) == factories.rows(Webhook) == []


def test_a_book_with_a_webhook_and_a_comment_does_not_lead_there(owner: Owner) -> None:
    factories.webhook()
    Visitor(owner.app).sign()
    factories.run_pass()
    assert PLACE not in hrefs(owner.page("/admin/"))


def test_a_webhook_is_sent_and_shown_without_a_network(offline: Owner) -> None:
    page = offline.does(FIRST)
    [delivery] = factories.deliveries()
    [request] = factories.rows(BinRequest)
    assert (delivery.status, delivery.event, factories.comments()) == ("processed", "comment.created", [])
    said = plain(page.find(".//section"))
    assert "delivered The receiver answered 200" in said
    assert "Nobody wrote this comment, and it is not in your book." in said
    for name, value in request.pairs:
        assert f"{name} {value} {welcome.HEADER_NOTES[name.lower()]}" in said
    assert json.loads(text(page.find(".//section/pre"))) == json.loads(request.kept)
    assert said.count("matches: It was signed with the secret of “First webhook”.") == 2
    assert f"webhook-signature: {dict(request.pairs)['webhook-signature']}" in said
    assert factories.the(Webhook, delivery.webhook_id).secret not in offline.get(PLACE).text


def test_the_second_press_and_two_at_once_make_no_second_bin(each_owner: Owner) -> None:
    owners = [each_owner, Owner(each_owner.app).be_logged_in()]
    answers = at_once(each_owner.app, 2, lambda number: owners[number].post(FIRST))
    assert [answer.status_code for answer in answers] == [303, 303]
    each_owner.does(FIRST)
    assert (len(factories.rows(Bin)), len(factories.rows(Webhook))) == (1, 1)
    assert len(factories.deliveries()) == 3  # A busy machine may leave one to the next pass.


def test_a_comment_that_is_signed_then_comes_to_the_same_page(owner: Owner) -> None:
    owner.does(FIRST)
    Visitor(owner.app).sign(message="My first <comment>")
    assert "waiting" in plain(owner.page(f"{PLACE}?step=webhook").find(".//section"))
    said = plain(owner.does(f"{PLACE}newest").find(".//section"))
    assert "My first <comment>" in said
    assert "Nobody wrote this comment" not in said


def test_a_deleted_bin_is_made_anew(owner: Owner) -> None:
    owner.does(FIRST)
    [bin_] = factories.rows(Bin)
    owner.does(f"/admin/bins/{bin_.id}/delete")
    assert "Nothing was sent yet." in plain(owner.page(f"{PLACE}?step=webhook"))
    owner.does(FIRST)
    assert [one.name for one in factories.rows(Webhook)] == ["First webhook", "First webhook 2"]
    assert len(factories.rows(BinRequest)) == 1


def test_while_another_pass_is_at_work_the_page_says_that_it_waits(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(welcome, "SEND_SECONDS", 0.3)
    with locks.taken(owner.app.config["GUESTBOOK"].data_dir / locks.PASS):
        page = owner.does(FIRST)
    said = plain(page.find(".//section"))
    assert "waiting" in said
    assert "Refresh" in said
    assert factories.rows(BinRequest) == []


def test_a_topic_of_ones_own_server_gets_a_test(owner: Owner, receiver: Receiver) -> None:
    typed = {"url": receiver.url("/my-topic"), "service": "ntfy"}
    page = owner.does(f"{COMMENTS}?step=comments", typed)
    [request] = receiver.requests
    assert request.json["topic"] == "my-topic"
    said = plain(page.find(".//section"))
    assert "it was taken. Look there now" in said
    assert "delivered" in said
    owner.does(f"{COMMENTS}?step=comments", typed)
    assert (len(receiver.requests), len(factories.rows(Webhook))) == (2, 1)
    Visitor(owner.app).sign(message="Hello")
    factories.run_pass()
    assert "Hello" in receiver.requests[-1].json["message"]


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        (Answer(404), "the receiver does not know it"),
        (Answer(403), "Some hosts let programs reach only a list of hosts."),
        (Answer(500, body=b"<b>no</b>"), "The guestbook keeps trying for days."),
        (Answer(drop=True), "The guestbook keeps trying for days."),
    ],
)
def test_a_test_that_failed_says_what_to_do(
    owner: Owner, receiver: Receiver, answer: Answer, advice: str
) -> None:
    receiver.answer("/hook", answer)
    said = owner.does(f"{COMMENTS}?step=comments", {"url": receiver.url("/hook"), "service": "mattermost"})
    words = plain(said.find(".//section"))
    assert advice in words.partition("What to do:")[2]
    assert "it was taken" not in words
    [webhook] = factories.rows(Webhook)
    assert f"/admin/webhooks/{webhook.id}/delete" in hrefs(said)


@pytest.mark.parametrize(
    ("pasted", "url", "service"),
    [
        ("my-topic", TOPIC, "ntfy"),
        (" https://ntfy.sh/my-topic ", TOPIC, "ntfy"),
        ("https://hooks.slack.com/services/T0/B0/x", "https://hooks.slack.com/services/T0/B0/x", "slack"),
        ("https://discord.com/api/webhooks/1/x", "https://discord.com/api/webhooks/1/x?wait=true", "discord"),
        ("https://a.logic.azure.com/x?sig=1", "https://a.logic.azure.com/x?sig=1", "teams"),
        (f"{BOT} -1001", f"https://api.telegram.org/bot{BOT}/sendMessage?chat_id=-1001", "telegram"),
        (f"bot{BOT}, @club", f"https://api.telegram.org/bot{BOT}/sendMessage?chat_id=@club", "telegram"),
    ],
)
def test_what_is_pasted_is_recognised(
    owner: Owner, monkeypatch: pytest.MonkeyPatch, pasted: str, url: str, service: str
) -> None:
    monkeypatch.setattr(welcome, "_send_now", lambda _delivery_id: None)  # No test reaches these services.
    owner.does(f"{COMMENTS}?step=comments", {"url": pasted})
    [webhook] = factories.rows(Webhook)
    assert (webhook.url, webhook.format, webhook.events) == (url, service, "comment.created")
    assert factories.one().event == "ping"


@pytest.mark.parametrize(
    ("pasted", "sentence"),
    [
        ("", "The URL is missing."),
        ("https://example.org/hook", "The book does not recognise this."),
        ("hooks.slack.com/services/x", "Did you mean https://hooks.slack.com/services/x?"),
        ("https://ntfy.sh/", "The URL must name ntfy’s topic"),
        ("webmention:", "The book does not recognise this."),
        (BOT, "Write the number of the chat behind the bot’s token"),
        ("https://outlook.office.com/webhook/1", "Microsoft has retired this kind of URL."),
        ("me@example.org", "To send e-mail, first set GUESTBOOK_SMTP_URL"),
        ("https://10.0.0.1/x", "is a private or reserved address"),
        ("x" * 3000, "The URL is longer than 2000 characters."),
    ],
)
def test_what_cannot_be_used_is_refused_beside_the_field(owner: Owner, pasted: str, sentence: str) -> None:
    assert sentence in reason(owner, COMMENTS, url=pasted)
    page = owner.refused(f"{COMMENTS}?step=comments", {"url": pasted})
    assert attributes(page, ".//*[@id='url']")["value"] == pasted


def test_an_unknown_service_is_refused(owner: Owner) -> None:
    assert "does not recognise" in reason(owner, COMMENTS, url="https://example.org/", service="fax")


def test_an_e_mail_address_gets_a_test(environ: dict[str, str]) -> None:
    with MailServer() as server:
        own = {
            "GUESTBOOK_SMTP_URL": f"smtp://127.0.0.1:{server.port}",
            "GUESTBOOK_MAIL_FROM": "book@book.example",
        }
        with running({**environ, **own}) as app:
            page = Owner(app).be_logged_in().does(f"{COMMENTS}?step=comments", {"url": "me@example.org"})
            assert "it was taken" in plain(page.find(".//section"))
            [webhook] = factories.rows(Webhook)
            assert (webhook.url, webhook.format) == ("mailto:me@example.org", "email")


def test_a_website_may_show_the_frame_beside_others(owner: Owner) -> None:
    factories.written(lambda session: preferences.save(session, {"embed_sites": "https://old.example"}))
    page = owner.does(f"{WEBSITE}?step=website", {"embed_sites": "https://new.example/blog?x"})
    sites = factories.read(lambda session: preferences.read(session).embed_sites)
    assert sites == "https://old.example\nhttps://new.example"
    assert 'src="https://book.example/embed"' in text(page.find(".//*[@id='frame']"))
    lines = text(page.find(".//*[@id='script']")).splitlines()
    as_there = README.read_text().replace("book.example.org", "book.example")
    assert lines == blocks(as_there, "html")[0].splitlines()
    assert "https://new.example" in owner.get("/embed").headers["Content-Security-Policy"]
    undone = owner.does("/admin/undo/", {"change": undo_of(page)})
    assert factories.read(lambda session: preferences.read(session).embed_sites) == "https://old.example"
    assert undone.find(".//*[@id='website']") is not None


def test_two_websites_in_one_line_are_both_allowed(owner: Owner) -> None:
    page = owner.does(f"{WEBSITE}?step=website", {"embed_sites": "one.example https://two.example/blog"})
    assert "https://one.example and https://two.example may show the book." in text(page)


def test_the_address_of_a_page_gets_its_scheme_and_an_error_quotes_all_of_it(owner: Owner) -> None:
    page = owner.does(f"{WEBSITE}?step=website", {"embed_sites": "jane.example.com/about.html"})
    assert "https://jane.example.com may show the book." in text(page)
    assert "Allowed: https://jane.example.com." in text(page)
    typed = f"my page at jane.example.com/{'x' * 100}"
    assert reason(owner, WEBSITE, embed_sites=typed).startswith(f"“{typed}” is not the address of a website")


def undo_of(page: Element) -> str:
    found = [one for one in page.iter("input") if one.get("name") == "change"]
    return str(found[0].attrib["value"])


@pytest.mark.parametrize(
    "typed", ["", " ", "example", "*.example.org", "javascript:alert(1)", "https://a:b@c.example"]
)
def test_a_wrong_website_is_refused_beside_the_field(owner: Owner, typed: str) -> None:
    assert re.search("address of (your|a) website", reason(owner, WEBSITE, embed_sites=typed))
    assert owner.get("/embed").status_code == 404


def test_the_plain_form_signs_the_book_from_another_website(app: Flask, owner: Owner) -> None:
    code = text(owner.page(f"{PLACE}?step=website").find(".//*[@id='plain-form']"))
    assert set(re.findall('name="(.+?)"', code)) == {"name", "message", "preview"}
    assert 'action="https://book.example/comments" method="post"' in code
    visitor = Visitor(app)
    page = parse(visitor.send(GREETING | {"preview": "yes"}))
    assert "This is how it will look" in text(page)
    assert factories.comments() == []
    assert visitor.send(fields(page)).status_code == 303
    assert [comment.message for comment in factories.comments()] == ["Hello"]
