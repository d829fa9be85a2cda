"""The book in a frame: for the sites that the owner allows, and for no other."""

import json
import re
from urllib.parse import parse_qs, urlsplit
from xml.etree.ElementTree import Element

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from guestbook.comments import comment_actions
from guestbook.queries import public_comments
from guestbook.web import book_signing, request_context, response_headers, visitor_tokens
from tests.support import factories
from tests.support.visitor import (
    GREETING,
    TIMES_SCRIPT,
    Visitor,
    add,
    attributes,
    by_class,
    fields,
    hrefs,
    messages,
    parse,
    scripts,
    set_,
    stored,
    text,
)
from tests.web.conftest import Later

SITES = "https://one.example\nhttps://two.example:8443"
INSIDE = "/embed?site=https://one.example"


@pytest.fixture(autouse=True)
def _allowed(app: Flask) -> None:  # noqa: ARG001  the factories fill it
    set_(embed_sites=SITES)


def ancestors(answer: TestResponse) -> str:
    [found] = re.findall(r"frame-ancestors ([^;]*)", answer.headers["Content-Security-Policy"])
    return str(found)


def test_without_an_allowed_site_there_is_nothing(visitor: Visitor) -> None:
    set_(embed_sites="")
    answer = visitor.get("/embed")
    assert answer.status_code == 404
    assert ancestors(answer) == "'none'"
    assert visitor.open("POST", "/embed", data=GREETING).status_code == 404
    assert visitor.get("/embed.js").status_code == 200  # Its frame says how to allow the site.


STRANGE = "https://new.example"
IN_FRAME = {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"}


@pytest.mark.parametrize("sites", ["", SITES])
@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("/embed", IN_FRAME | {"Referer": f"{STRANGE}/"}),
        ("/embed", IN_FRAME | {"Referer": f"{STRANGE}/blog/page.html"}),
        ("/embed", {"Referer": f"{STRANGE}/"}),  # by http a browser does not say what the answer is for
        (f"/embed?site={STRANGE}", IN_FRAME),  # a page that sends no referrer, with the script
        (INSIDE, IN_FRAME | {"Referer": f"{STRANGE}/"}),
    ],
)
def test_a_site_that_is_not_allowed_gets_a_page_without_content_that_says_so(
    visitor: Visitor, sites: str, url: str, headers: dict[str, str]
) -> None:
    set_(embed_sites=sites, title="Our island", welcome="Ahoy")
    add(["Secret words"])
    answer = visitor.get(url, headers=headers)
    assert answer.status_code == 403
    assert answer.headers["Cache-Control"] == "no-store"
    assert ancestors(answer) == STRANGE, "and no other site"
    page = parse(answer)
    assert "This website is not yet allowed" in text(page)
    assert "The owner can allow it in one step." in text(page)
    assert not {"Our island", "Ahoy", "Secret words"} & set(re.split(r"\s{2,}|[<>]", answer.text))
    assert page.find(".//form") is None
    [link] = page.findall(".//main//a")
    assert link.attrib["href"] == "https://book.example/admin/embed/?site=https%3A%2F%2Fnew.example"
    assert link.attrib["target"] == "_blank"
    visitor.client.set_cookie("guestbook_signed", "x", path="/embed")
    assert visitor.get(url, headers=headers).headers["Cache-Control"] == "no-store"
    german = visitor.get(url, headers=headers | {"Accept-Language": "de"})
    assert "Diese Website ist noch nicht freigegeben" in german.text


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("/embed", IN_FRAME),  # Nobody knows which page is around.
        ("/embed", IN_FRAME | {"Referer": "https://one.example/"}),
        (f"/embed?site={STRANGE}", IN_FRAME | {"Referer": "https://one.example/"}),
        ("/embed", {"Sec-Fetch-Dest": "document", "Referer": f"{STRANGE}/"}),  # a link, not a frame
        ("/embed", IN_FRAME | {"Sec-Fetch-User": "?1", "Referer": f"{STRANGE}/"}),  # a click inside
        ("/embed", IN_FRAME | {"Referer": "https://book.example/embed?signed=x"}),
        ("/embed", {"Referer": "http://localhost/embed/comments/x/edit"}),  # the name by which one came
        *(("/embed", IN_FRAME | {"Referer": wrong}) for wrong in ("x", "http://[", "data:,", "https://a b/")),
        *((f"/embed?site={wrong}", IN_FRAME) for wrong in ("null", "*", "'self'", "https://x%3B%20y")),
    ],
)
def test_all_other_frames_get_the_book_with_the_strict_policy(
    visitor: Visitor, url: str, headers: dict[str, str]
) -> None:
    answer = visitor.get(url, headers=headers)
    assert answer.status_code == 200
    assert ancestors(answer) == "https://one.example https://two.example:8443"


def test_a_site_that_is_allowed_by_http_may_show_it_by_https_too(visitor: Visitor) -> None:
    set_(embed_sites="http://one.example")
    assert visitor.get("/embed", headers=IN_FRAME | {"Referer": "https://one.example/"}).status_code == 200
    set_(embed_sites="https://one.example")
    assert visitor.get("/embed", headers=IN_FRAME | {"Referer": "http://one.example/"}).status_code == 403


def test_a_page_of_the_book_s_own_host_must_be_allowed_too(visitor: Visitor) -> None:
    for page in ("https://book.example/", "https://book.example/blog/embedded"):
        answer = visitor.get("/embed", headers=IN_FRAME | {"Referer": page})
        assert (answer.status_code, ancestors(answer)) == (403, "https://book.example")


def test_the_allowed_sites_alone_may_show_it_and_no_other_page(visitor: Visitor) -> None:
    (comment_id,) = add(["Hello"])
    for url in ("/embed", INSIDE, "/embed?before=x"):
        assert ancestors(visitor.get(url)) == "https://one.example https://two.example:8443"
    for url in ("/", f"/comments/{comment_id}", "/nowhere", "/feed.atom", "/admin/login", "/embeds"):
        assert ancestors(visitor.get(url)) == "'none'"
    policy = visitor.get(INSIDE).headers["Content-Security-Policy"]
    strict = response_headers.RESPONSE_HEADERS["Content-Security-Policy"].split("; ")
    assert policy.split("; ")[:-2] == strict[:-1]
    assert policy.endswith("; script-src 'self'")


def test_its_script_tells_the_height_to_the_site_around_it_alone(visitor: Visitor) -> None:
    for site in ("https://one.example", "https://two.example:8443"):
        script = attributes(visitor.page(f"/embed?site={site}"), ".//script")
        assert script["data-site"] == site
        assert visitor.get(script["src"]).content_type.startswith("text/javascript")
    strangers = ("", "*", "null", "https://evil.example", "https://one.example/")
    for site in (*strangers, "https://one.example%0Ahttps"):
        assert scripts(visitor.page(f"/embed?site={site}")) == TIMES_SCRIPT


def test_it_shows_the_book_and_its_links_lead_out_of_the_frame_or_stay_in_it(visitor: Visitor) -> None:
    set_(per_page="2")
    add(["See <a href=x>", "https://a.example", "three"], website="https://ada.example")
    page = visitor.page(INSIDE)
    assert messages(page) == ["three", "https://a.example"]
    for link in page.findall(".//article//a"):
        assert link.attrib["target"] == "_blank"
    others = [link for link in page.iter("a") if "target" not in link.attrib]
    assert others
    assert all(link.attrib["href"].startswith(("#", "/embed?")) for link in others)
    older = attributes(page, ".//nav/a[@rel='next']")["href"]
    assert messages(visitor.page(older)) == ["See <a href=x>"]
    assert "site=https://one.example" in older.replace("%3A", ":").replace("%2F", "/")


def test_one_signs_inside_the_frame_and_gets_a_cookie_for_it_alone(visitor: Visitor) -> None:
    page = visitor.page(INSIDE)
    action = attributes(page, ".//form")["action"]
    answer = visitor.open("POST", action, data=fields(page) | GREETING)
    assert answer.status_code == 303
    kept = [cookie.split("; ", 1)[1] for cookie in answer.headers.getlist("Set-Cookie")]
    assert [sorted(words.split("; "))[1:] for words in kept] == [
        ["HttpOnly", "Max-Age=15552000", "Path=/comments", "SameSite=Lax", "Secure"],
        ["HttpOnly", "Max-Age=15552000", "Partitioned", "Path=/embed", "SameSite=None", "Secure"],
    ]
    [comment] = stored()
    there = answer.headers["Location"]
    assert there.startswith("/embed?")
    assert re.search(f"[?&]signed={comment.id}&own=[^&]+#c-{comment.id}$", there)
    thanks = visitor.get(there)
    assert ancestors(thanks) == "https://one.example https://two.example:8443"
    assert "Thank you, Ada!" in text(by_class(parse(thanks), "success")[0])
    assert attributes(parse(thanks), ".//script")["data-site"] == "https://one.example"
    assert any(link.startswith(f"/embed/comments/{comment.id}/edit?") for link in hrefs(parse(thanks)))
    stranger = Visitor(visitor.app)
    assert "Change or delete it" not in stranger.get(f"/embed?signed={comment.id}").text


def test_one_changes_and_deletes_a_comment_inside_the_frame(visitor: Visitor) -> None:
    page = visitor.page(INSIDE)
    visitor.open("POST", attributes(page, ".//form")["action"], data=fields(page) | GREETING)
    [comment] = stored()
    own = visitor.get(f"/embed/comments/{comment.id}/edit?site=https://one.example")
    assert ancestors(own) == "https://one.example https://two.example:8443"
    change, delete = [form.attrib["action"] for form in parse(own).iter("form")]
    answer = visitor.open("POST", change, data=fields(parse(own)) | {"message": "Changed"})
    assert answer.location.startswith("/embed?site=")
    assert "Your change is saved." in visitor.get(answer.location).text
    assert [comment.message for comment in stored()] == ["Changed"]
    gone = visitor.open("POST", delete, data={"token": fields(parse(own))["token"]})
    assert "Your comment is deleted." in visitor.get(gone.location).text
    assert [comment.status for comment in stored()] == ["trash"]
    refused = visitor.get(f"/embed/comments/{comment.id}/edit?site=https://one.example")
    assert (refused.status_code, ancestors(refused)) == (403, ancestors(own))
    set_(embed_sites="")
    assert visitor.get(f"/embed/comments/{comment.id}/edit").status_code == 404


CHANGE = "Change or delete it"
TOP_LEVEL = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}


def signed_without_cookies(app: Flask, **typed: str) -> tuple[Visitor, str]:
    """Sign in a frame with a browser that keeps no cookie there; return it, and where it was led."""
    visitor = Visitor(app)
    visitor.client = app.test_client(use_cookies=False)
    page = visitor.page(INSIDE)
    answer = visitor.open("POST", attributes(page, ".//form")["action"], data=fields(page) | GREETING | typed)
    return visitor, answer.location


def change_link(page: Element) -> str:
    [found] = [link for link in hrefs(page) if "/edit?" in link]
    return found


@pytest.mark.parametrize("message", ["Hello", "https://a.example " * 4])
def test_without_any_cookie_the_address_lets_one_change_and_delete(app: Flask, message: str) -> None:
    visitor, there = signed_without_cookies(app, message=message)
    [comment] = stored()
    own = visitor.get(change_link(visitor.page(there)))
    assert ancestors(own) == "https://one.example https://two.example:8443"
    change, delete = [form.attrib["action"] for form in parse(own).iter("form")]
    [back] = [link for link in hrefs(parse(own)) if "signed=" in link]
    assert CHANGE in visitor.get(back).text
    wrong = visitor.open("POST", change, data=fields(parse(own)) | {"name": ""})
    assert wrong.status_code == 422
    assert attributes(parse(wrong), ".//form")["action"] == change
    saved = visitor.open("POST", change, data=fields(parse(own)) | {"message": "Changed"})
    assert "Your change is saved." in visitor.get(saved.location).text
    assert CHANGE in visitor.get(saved.location).text
    assert [one.message for one in stored()] == ["Changed"]
    gone = visitor.open("POST", delete, data={"token": fields(parse(own))["token"]})
    assert "own=" not in gone.location
    assert [one.status for one in stored()] == ["trash"]
    assert visitor.get(f"/embed/comments/{comment.id}/edit").status_code == 403


def test_the_token_is_for_its_comment_alone_in_a_frame_and_for_a_quarter_of_an_hour(
    app: Flask, later: Later
) -> None:
    visitor, there = signed_without_cookies(app)
    address = change_link(visitor.page(there))
    token = parse_qs(urlsplit(address).query)["own"][0]
    (other,) = add(["Of somebody else"])
    assert visitor.get(f"/embed/comments/{other}/edit?own={token}").status_code == 403
    assert CHANGE not in visitor.get(f"/embed?signed={other}&own={token}").text
    for forged in ("", "x", f"{other}.{token.partition('.')[2]}", "\u00e9"):
        assert visitor.get(f"/embed/comments/{other}/edit", query_string={"own": forged}).status_code == 403
    # A link that is opened by itself was shared, or copied out of the frame.
    assert visitor.get(address, headers=TOP_LEVEL).status_code == 403
    assert CHANGE not in visitor.get(there, headers=TOP_LEVEL).text
    assert visitor.get(address, headers={"Sec-Fetch-Dest": "iframe"}).status_code == 200
    assert visitor.get(address.replace("/embed/", "/")).status_code == 403, "not outside of the frame"
    later(16 * 60)
    assert visitor.get(address).status_code == 403
    assert visitor.open("POST", address, data=GREETING).status_code == 403
    assert CHANGE not in visitor.get(there).text


def test_what_is_signed_for_another_purpose_is_no_token(app: Flask, later: Later) -> None:
    visitor = Visitor(app)
    page = visitor.page(INSIDE)
    later(10)
    held = fields(page) | GREETING | {"message": "https://a.example " * 4}
    answer = visitor.open("POST", attributes(page, ".//form")["action"], data=held)
    sent = parse_qs(urlsplit(answer.location).query)
    cookie = visitor.client.get_cookie("guestbook_signed", path="/embed")
    assert cookie
    [comment] = stored()
    stranger = Visitor(app)
    for token in (sent["receipt"][0], cookie.value):
        refused = stranger.get(f"/embed/comments/{comment.id}/edit", query_string={"own": token})
        assert refused.status_code == 403
    stranger.client.set_cookie("guestbook_signed", sent["own"][0], path="/embed")
    assert stranger.get(f"/embed/comments/{comment.id}/edit").status_code == 403


def test_the_address_with_the_token_leaks_nowhere(app: Flask) -> None:
    visitor, there = signed_without_cookies(app, website="https://ada.example")
    for address in (there, change_link(visitor.page(there))):
        answer = visitor.get(address)
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        for link in parse(answer).iter("a"):
            leads_out = link.get("target") == "_blank"
            assert not (leads_out and "own=" in link.attrib["href"])
    older = [link for link in hrefs(visitor.page(there)) if "own=" in link]
    assert older == [change_link(visitor.page(there))], "no other link needs it"


def test_with_the_cookie_no_link_has_the_token(visitor: Visitor) -> None:
    page = visitor.page(INSIDE)
    answer = visitor.open("POST", attributes(page, ".//form")["action"], data=fields(page) | GREETING)
    thanks = visitor.get(answer.location)
    assert thanks.headers["Cache-Control"] == "no-store"
    assert "own=" not in change_link(parse(thanks))
    assert "own=" not in visitor.get(change_link(parse(thanks))).text


def test_the_token_earns_none_of_the_trust_that_the_cookie_earns(app: Flask) -> None:
    visitor, there = signed_without_cookies(app)
    page = visitor.page(there)
    action = attributes(page, ".//form[@id='comment-form']")["action"]
    with app.test_request_context(f"{action}&{urlsplit(there).query}", method="POST", data=GREETING):
        form = visitor_tokens.read_token(fields(page)["token"])
        assert book_signing.visitor(form).earlier_id is None


def test_a_held_comment_is_shown_in_the_frame_to_its_visitor_alone_until_it_is_decided(
    visitor: Visitor, later: Later
) -> None:
    page = visitor.page(INSIDE)
    later(10)
    held = fields(page) | GREETING | {"message": "https://a.example " * 4}
    visitor.open("POST", attributes(page, ".//form")["action"], data=held)
    [comment] = stored()
    reloaded = visitor.page(INSIDE)
    assert [words.split() for words in messages(reloaded)] == [["https://a.example"] * 4]
    assert "Thank you, Ada. The owner will look at it first." in text(by_class(reloaded, "success")[0])
    assert any("/edit" in link for link in hrefs(reloaded))
    assert visitor.get(INSIDE).headers["Cache-Control"] == "private, no-cache"
    later(16 * 60)
    assert len(messages(visitor.page(INSIDE))) == 1
    assert not any("/edit" in link for link in hrefs(visitor.page(INSIDE)))
    assert messages(Visitor(visitor.app).page(INSIDE)) == []
    factories.change(comment.id, comment_actions.move, "published")
    assert not by_class(visitor.page(INSIDE), "success")


def test_a_mistake_keeps_the_text_inside_the_frame(visitor: Visitor) -> None:
    page = visitor.page(INSIDE)
    action = attributes(page, ".//form")["action"]
    answer = visitor.open("POST", action, data=fields(page) | GREETING | {"name": ""})
    assert answer.status_code == 422
    assert ancestors(answer) == "https://one.example https://two.example:8443"
    again = parse(answer)
    assert attributes(again, ".//form")["action"] == action
    assert visitor.open("POST", action, data=fields(again) | {"name": "Ada"}).status_code == 303
    assert [comment.message for comment in stored()] == ["Hello"]


def test_without_a_database_the_text_comes_back(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    page = visitor.page(INSIDE)
    action, form = attributes(page, ".//form")["action"], fields(page) | GREETING

    def fail() -> None:
        raise OperationalError("SELECT", {}, Exception("database is locked"))

    monkeypatch.setattr(request_context, "_read", fail)
    answer = visitor.open("POST", action, data=form)
    assert answer.status_code == 503
    assert ancestors(answer) == "https://one.example https://two.example:8443"
    assert fields(parse(answer))["message"].strip() == "Hello"
    forged = visitor.open("POST", action, data=form | {"sites": '["https://evil.example"].x'})
    assert ancestors(forged) == "'none'"
    assert visitor.get(INSIDE).status_code == 503


def test_the_script_for_other_sites_is_kept_for_a_day_and_has_an_etag(visitor: Visitor) -> None:
    answer = visitor.get("/embed.js")
    assert answer.content_type.startswith("text/javascript")
    assert answer.headers["Cache-Control"] == "public, max-age=86400"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "postMessage" not in answer.text
    again = visitor.get("/embed.js", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_the_frame_s_title_is_the_book_s_in_its_language(visitor: Visitor) -> None:
    for accepted, title in (("en", "Guestbook"), ("de", "Gästebuch"), ("es", "Libro de visitas")):
        answer = visitor.get("/embed.js", headers={"Accept-Language": accepted})
        assert frame_title(answer) == title
        assert "Accept-Language" in answer.vary
    own = '"; alert(1) //\u2028</script>'
    set_(title=own)
    answer = visitor.get("/embed.js", headers={"Accept-Language": "de"})
    assert frame_title(answer) == own.replace("\u2028", " ")
    assert answer.text.isascii()


def frame_title(answer: TestResponse) -> str:
    """The only text that the script has for a title."""
    [found] = re.findall(r"bookTitle = (.*); //", answer.text)
    return str(json.loads(found))


def test_below_a_path_the_frame_stays_below_it(app: Flask) -> None:
    answer = app.test_client().get(INSIDE, environ_overrides={"SCRIPT_NAME": "/book"})
    page = parse(answer)
    assert attributes(page, ".//form")["action"].startswith("/book/embed?")
    assert attributes(page, ".//script")["src"].startswith("/book/static/")


def test_the_page_around_chooses_language_look_and_header_and_links_keep_them(visitor: Visitor) -> None:
    set_(per_page="1")
    add(["one", "two"])
    url = INSIDE + "&lang=de&look=1999&header=no"
    page = visitor.page(url)
    assert (page.attrib["lang"], page.attrib["data-look"]) == ("de", "1999")
    assert page.find(".//header[@class='site-header']") is None
    older = visitor.page(attributes(page, ".//nav/a[@rel='next']")["href"])
    assert (older.attrib["lang"], older.attrib["data-look"]) == ("de", "1999")
    answer = visitor.open("POST", attributes(page, ".//form")["action"], data=fields(page) | GREETING)
    assert {"lang=de", "look=1999", "header=no"} < set(re.split("[?&#]", answer.location))
    usual = visitor.page(INSIDE + "&lang=xx&look=pink&header=yes")
    assert (usual.attrib["lang"], usual.attrib["data-look"]) == ("en", "paper")
    assert usual.find(".//header[@class='site-header']") is not None
    assert visitor.page("/?lang=de&look=1999").attrib["data-look"] == "paper", "only in a frame"


def test_it_is_compressed_and_tells_how_many_comments_there_are(visitor: Visitor) -> None:
    add(["one", "two"])
    add(["held"], status="held")
    answer = visitor.get(INSIDE, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert attributes(visitor.page(INSIDE), ".//script")["data-count"] == "2"


def test_a_large_book_says_that_it_has_more_than_it_counts(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_comments, "COUNT_LIMIT", 2)
    for message, shown in (("one", "1"), ("two", "2"), ("three", "2+"), ("four", "2+")):
        add([message])
        assert attributes(visitor.page(INSIDE), ".//script")["data-count"] == shown
