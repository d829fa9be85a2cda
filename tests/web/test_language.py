"""Pages have the language of the visitor's browser or choice; feeds and the owner's pages have their own."""

from datetime import UTC, datetime

import pytest
from werkzeug.test import TestResponse

from guestbook.comments import comment_actions
from guestbook.lib.errors import Translatable
from guestbook.storage.preferences import BOOK_LANGUAGES, RIGHT_TO_LEFT
from guestbook.web.translation_and_template_filters import translated
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import GREETING, Visitor, add, by_class, hrefs, parse, set_, text

HEADINGS = {
    "en": "What visitors wrote",
    "de": "Was Gäste geschrieben haben",
    "fr": "Ce que les visiteurs ont écrit",
    "es": "Lo que han escrito las visitas",
    "nl": "Wat bezoekers hebben geschreven",
    "it": "Che cosa hanno scritto gli ospiti",
    "pt": "O que os visitantes escreveram",
    "pl": "Co napisali goście",
    "cs": "Co napsali návštěvníci",
    "sv": "Vad besökare har skrivit",
    "ja": "みなさんの書き込み",
    "ar": "ما كتبه الزوار",
}
DAYS = {
    **{"en": "5 March 2026", "de": "5. März 2026", "fr": "5 mars 2026", "es": "5 de marzo de 2026"},
    **{"nl": "5 maart 2026", "it": "5 marzo 2026", "pt": "5 de março de 2026", "pl": "5 marca 2026"},
    **{"cs": "5. března 2026", "sv": "5 mars 2026", "ja": "2026年3月5日", "ar": "5 مارس 2026"},
}
LIMITS = {
    **dict.fromkeys(("en", "ja", "ar"), "4,000"),
    **dict.fromkeys(("de", "es", "nl", "it", "pt"), "4.000"),
    **dict.fromkeys(("pl", "cs", "sv"), "4\xa0000"),
    "fr": "4\u202f000",
}
# Numbers that need forms of their own: how long a visitor must wait.
MINUTES = {
    "pl": {1: "1 minutę", 2: "2 minuty", 5: "5 minut", 12: "12 minut", 22: "22 minuty"},
    "cs": {1: "1 minutu", 2: "2 minuty", 5: "5 minut", 22: "22 minut"},
    "ar": {1: "دقيقة واحدة", 2: "دقيقتين", 3: "3 دقائق", 15: "15 دقيقة", 100: "100 دقيقة"},
    "ja": {1: "1分", 2: "2分"},
}
CHOICE = "guestbook_language"


def asking(visitor: Visitor, accepted: str, url: str = "/") -> TestResponse:
    return visitor.get(url, headers={"Accept-Language": accepted})


def spoken(answer: TestResponse) -> str:
    return parse(answer).attrib["lang"]


def choose(visitor: Visitor, code: str, accepted: str = "en") -> TestResponse:
    headers = {"Accept-Language": accepted, "Referer": "http://localhost/privacy"}
    return visitor.open("POST", "/language", data={"language": code}, headers=headers)


@pytest.mark.parametrize("code", BOOK_LANGUAGES)
def test_the_book_speaks_the_language_of_the_browser(visitor: Visitor, code: str) -> None:
    [comment_id] = add(["Hello"], created_at=datetime(2026, 3, 5, tzinfo=UTC))
    page = parse(asking(visitor, f"{code}-XX,{code};q=0.9"))
    assert page.attrib["lang"] == code
    assert page.attrib.get("dir", "ltr") == ("rtl" if code in RIGHT_TO_LEFT else "ltr")
    assert text(page.find(".//h2[@id='comments']")) == HEADINGS[code]
    assert text(page.find(".//time")) == DAYS[code]
    assert LIMITS[code] in text(page.find(".//*[@id='message-hint']"))
    for url, status in ((f"/comments/{comment_id}", 200), ("/privacy", 200), ("/nowhere", 404)):
        answer = asking(visitor, code, url)
        assert (answer.status_code, spoken(answer)) == (status, code)
        assert "%(" not in answer.text


def test_the_first_day_of_a_month_is_an_ordinal_in_french(visitor: Visitor) -> None:
    add(["Hello"], created_at=datetime(2026, 3, 1, tzinfo=UTC))
    assert text(parse(asking(visitor, "fr")).find(".//time")) == "1er mars 2026"
    assert text(parse(asking(visitor, "de")).find(".//time")) == "1. März 2026"


@pytest.mark.parametrize("code", MINUTES)
def test_a_number_has_the_form_that_the_language_has_for_it(visitor: Visitor, code: str) -> None:
    with visitor.app.test_request_context(headers={"Accept-Language": code}):
        said = {
            count: translated(Translatable.plural("%(count)s minute", "%(count)s minutes", count))
            for count in MINUTES[code]
        }
    assert said == MINUTES[code]


def test_the_best_language_that_the_book_speaks_is_shown(visitor: Visitor) -> None:
    best = {"": "en", "*": "en", "fi, de;q=0.5": "de", "en-GB, de;q=0.9": "en", "de;q=0, fr;q=0.1": "fr"}
    best |= {"fr;q=0.2, es;q=0.8": "es", "DE-at": "de", "fi, da": "en", ";;=,\x7f": "en"}
    assert {accepted: spoken(asking(visitor, accepted)) for accepted in best} == best


def test_the_owner_s_language_is_for_other_browsers_or_for_all(visitor: Visitor) -> None:
    set_(language="fr")
    assert [spoken(asking(visitor, accepted)) for accepted in ("fi", "de")] == ["fr", "de"]
    set_(visitor_languages="no")
    answer = asking(visitor, "de")
    assert spoken(answer) == "fr"
    assert set(answer.vary) == {"Accept-Encoding"}
    assert by_class(parse(answer), "language-form") == []
    assert choose(visitor, "de").status_code == 404


def test_a_visitor_chooses_and_only_then_gets_a_cookie(visitor: Visitor) -> None:
    [form] = by_class(parse(asking(visitor, "de")), "language-form")
    buttons = {button.attrib["value"]: button for button in form.findall("button")}
    assert {code: text(button) for code, button in buttons.items()} == BOOK_LANGUAGES
    assert [code for code, button in buttons.items() if "aria-current" in button.attrib] == ["de"]
    assert visitor.client.get_cookie(CHOICE) is None
    answer = choose(visitor, "es", accepted="de")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/privacy")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(answer.headers["Set-Cookie"].split("; "))
    assert spoken(asking(visitor, "de")) == "es"
    choose(visitor, "de", accepted="de")
    assert visitor.client.get_cookie(CHOICE) is None
    for unknown in ("", "xx", "../de", "\x00"):
        assert choose(visitor, unknown).status_code == 422
    visitor.client.set_cookie(CHOICE, "xx")
    assert spoken(asking(visitor, "fr")) == "fr"


@pytest.mark.parametrize("url", ["/", "/privacy", "/nowhere", "/comments/{}"])
def test_caches_keep_the_languages_apart(visitor: Visitor, url: str) -> None:
    url = url.format(*add(["Hello"]))
    english = asking(visitor, "en", url)
    assert set(english.vary) - {"Accept-Encoding"} == {"Accept-Language", "Cookie"}
    assert "Set-Cookie" not in english.headers
    if etag := english.headers.get("ETag"):
        known = {"If-None-Match": etag}
        again = visitor.get(url, headers=known | {"Accept-Language": "en"})
        assert (again.status_code, set(again.vary)) == (304, set(english.vary))
        assert visitor.get(url, headers=known | {"Accept-Language": "de"}).status_code == 200


def test_what_is_wrong_with_a_comment_is_said_in_the_language(visitor: Visitor) -> None:
    form = visitor.form() | {"name": "", "website": "nothing", "message": "x" * 4001}
    headers = {"Accept-Language": "de"}
    answer = visitor.open("POST", "/comments", data=form, headers=headers)
    assert (answer.status_code, spoken(answer)) == (422, "de")
    for sentence in (
        "Bitte schreib deinen Namen.",
        "Das sieht nicht nach der Adresse einer Website aus",
        "Deine Nachricht hat 4.001 Zeichen. Bitte nimm höchstens 4.000.",
    ):
        assert sentence in answer.text
    expired = visitor.open("POST", "/comments", data=form | GREETING | {"token": "x"}, headers=headers)
    assert "Das Formular war unvollständig" in expired.text


def test_default_texts_are_translated_and_the_owner_s_are_not(visitor: Visitor) -> None:
    assert text(parse(asking(visitor, "de")).find(".//h1")).strip() == "Gästebuch"
    set_(title="Our island", welcome="Come in.")
    page = parse(asking(visitor, "de"))
    assert text(page.find(".//h1")).strip() == "Our island"
    assert text(by_class(page, "welcome")[0]) == "Come in."


def test_feeds_have_the_owner_s_language(visitor: Visitor) -> None:
    [comment_id] = add(["Hello"])
    factories.change(comment_id, comment_actions.reply, "Thank you")
    set_(language="es")
    for url in ("/feed.atom", "/feed.json"):
        answer = asking(visitor, "de", url)
        assert "Respuesta:" in answer.text
        assert "Accept-Language" not in answer.headers.get("Vary", "")


def test_the_owner_s_pages_and_the_api_are_english(owner: Owner, visitor: Visitor) -> None:
    set_(language="de")
    for url in ("/admin/login", "/admin/nowhere", "/moderate/nowhere"):
        assert spoken(asking(visitor, "fr", url)) == "en"
    assert spoken(asking(owner, "fr", "/admin/book/")) == "en"
    refused = visitor.open(
        "POST", "/api/v1/comments", json={"name": "x" * 81, "message": "x"}, headers={"Accept-Language": "de"}
    )
    assert "has 81 characters. Please use at most 80." in refused.text


def test_the_page_in_a_frame_follows_the_browser_alone(visitor: Visitor) -> None:
    set_(embed_sites="https://one.example")
    visitor.client.set_cookie(CHOICE, "es")
    answer = asking(visitor, "de", "/embed")
    assert spoken(answer) == "de"
    assert set(answer.vary) == {"Accept-Language", "Accept-Encoding"}
    assert by_class(parse(answer), "language-form") == []


@pytest.mark.parametrize(("url", "spoken_there"), [("/embed", "de"), ("/embed?lang=nl", "nl")])
@pytest.mark.parametrize("may_choose", ["yes", "no"])
def test_privacy_opens_in_the_language_of_the_frame(
    visitor: Visitor, url: str, spoken_there: str, may_choose: str
) -> None:
    set_(embed_sites="https://one.example", visitor_languages=may_choose, language="de")
    visitor.client.set_cookie(CHOICE, "es")
    frame = parse(asking(visitor, "de", url))
    [link] = [link for link in hrefs(frame) if link.startswith("/privacy")]
    assert spoken(asking(visitor, "fr", link)) == spoken_there
    usual = "es" if may_choose == "yes" else "de"
    assert spoken(asking(visitor, "fr", "/privacy?lang=xx")) == usual
    assert spoken(asking(visitor, "fr", "/?lang=nl")) == usual, "no other page outside of the frame"
    if may_choose == "yes":  # The choice of a visitor counts again.
        back = {"Referer": f"http://localhost{link}"}
        there = visitor.open("POST", "/language", data={"language": "cs"}, headers=back).location
        assert there == "/privacy"
        assert spoken(asking(visitor, "fr", there)) == "cs"
