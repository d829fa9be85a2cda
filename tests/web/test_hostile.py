"""Hostile text stays text."""

from urllib.parse import quote_from_bytes

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings, strategies as st

from guestbook.comments import comment_form
from tests.support.amount import examples
from tests.support.visitor import (
    GREETING,
    TIMES_SCRIPT,
    Visitor,
    add,
    by_class,
    fields,
    let_write,
    messages,
    parse,
    scripts,
    stored,
    text,
)

ONE_APP = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
TYPED = st.text(st.characters(), max_size=60)  # surrogates and controls included
MARKUP = st.text(st.sampled_from("<>&\"'/={}%#!-[]()a:; \n\0\u202e\ufeff\ud800é"), max_size=60)
OURS = ("/", "#")
FORM = "application/x-www-form-urlencoded"

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</p></article></ol></main></body></html>",
    "<!-- ",
    "]]>",
    "&lt;b&gt; &amp; &#0;",
    "{{ 7*7 }} {% raw %} {# x #} ${7*7} #{7*7}",
    "'; DROP TABLE comments; --",
    "%s %(name)s {0} %00",
    "x" * 4000,
    "=cmd|'/c calc'!A1",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_markup_and_templates_are_shown_as_they_were_typed(visitor: Visitor, hostile: str) -> None:
    assert visitor.sign(name=hostile[:80], message=hostile).status_code == 303
    [comment] = stored()
    for url in ("/", f"/comments/{comment.id}", f"/?signed={comment.id}"):
        page = visitor.page(url)
        assert messages(page) == [hostile.strip()]
        assert text(by_class(page, "name")[0]) == hostile[:80].strip()
        assert scripts(page) == TIMES_SCRIPT
        assert not page.findall(".//ol//img") + page.findall(".//b")


BAD_WEBSITES = ["javascript:alert(1)", "JAVASCRIPT:alert(1)", "data:text/html,x", "//evil.example", "x"]


@pytest.mark.parametrize("website", [*BAD_WEBSITES, "https://a@b.c"])
def test_a_bad_website_that_got_into_the_table_is_still_no_link(visitor: Visitor, website: str) -> None:
    add(["Hello"], website=website)
    page = visitor.page()
    assert not by_class(page, "name")[0].findall(".//a")


def test_every_link_that_leads_away_says_what_it_is(visitor: Visitor) -> None:
    wanted = ["https://a.example/?q=1&r=2", "https://www.b.example", "https://third.com"]
    add(["See https://a.example/?q=1&r=2, www.b.example and third.com"], website="https://d.example/")
    away = [link for link in visitor.page().findall(".//a") if not link.attrib["href"].startswith(OURS)]
    assert [link.attrib["href"] for link in away] == [*wanted, "https://d.example/"]
    for link in away:
        assert {"nofollow", "ugc", "noopener"} <= set(link.attrib["rel"].split())
        assert "target" not in link.attrib


@given(name=TYPED | MARKUP, website=TYPED | MARKUP, message=TYPED | MARKUP)
@example(name="a", website="", message="\r")
@example(name="\ufffe", website="http://a.b/\u200d", message="<\ufdd0>")
@settings(parent=ONE_APP, max_examples=examples(25))
def test_any_form_is_shown_as_text_or_comes_back(app: Flask, name: str, website: str, message: str) -> None:
    let_write()
    visitor = Visitor(app)
    typed = {"token": visitor.form()["token"], "name": name, "website": website, "message": message}
    before = len(stored())
    answer = visitor.client.post("/comments", data=encoded(typed), content_type=FORM)
    if answer.status_code == 422:
        assert len(stored()) == before
        assert by_class(parse(answer), "reason")
        return
    assert answer.status_code == 303
    comment = stored()[-1]
    page = visitor.page(f"/comments/{comment.id}")
    assert messages(page) == [comment.message]
    assert text(by_class(page, "name")[0]) == comment.name
    for link in page.findall(".//a"):
        href = link.attrib["href"]
        assert href.startswith(OURS) or comment_form.website_error(href) is None or href.startswith("mailto:")


def encoded(form: dict[str, str]) -> str:
    """Encode as a browser does, but let half characters through, as a program may."""
    sent = {field: value.encode("utf-8", "surrogatepass") for field, value in form.items()}
    return "&".join(f"{field}={quote_from_bytes(value)}" for field, value in sent.items())


def test_an_answer_with_reasons_escapes_what_was_typed(visitor: Visitor) -> None:
    hostile = '"><script>alert(1)</script>'
    page = parse(visitor.sign(name=hostile * 9, website=hostile, message=""))
    assert fields(page)["name"] == hostile * 9
    assert fields(page)["website"] == hostile
    assert not page.findall(".//script")
    assert GREETING["message"] not in text(page)
