"""A draft says what is wrong with each field, keeps what was typed, and lets no bad address become a link."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestbook.comments import comment_form

GOOD = {"name": "Ada", "website": "", "message": "Hello"}


def test_a_draft_with_everything_right_has_no_errors() -> None:
    read = comment_form.read({"name": " Ada ", "website": "example.org", "message": "Hello\r\nagain"})
    assert read == comment_form.Draft("Ada", "https://example.org", "Hello\nagain", {})


def test_without_a_website_there_is_none() -> None:
    assert comment_form.read(GOOD).website is None


def test_missing_fields_are_asked_for_in_the_order_of_the_form() -> None:
    assert dict(comment_form.read({}).errors) == {
        "name": "Please write your name.",
        "message": "Please write a few words.",
    }
    assert list(comment_form.read({"website": "?"}).errors) == ["name", "website", "message"]


def test_a_name_or_message_that_nobody_can_see_counts_as_missing() -> None:
    assert set(comment_form.read({"name": "\u3164\u200b", "message": "\u2800"}).errors) == {"name", "message"}


def test_a_long_name_is_kept_and_its_length_told() -> None:
    assert "name" not in comment_form.read(GOOD | {"name": "é" * 80}).errors
    read = comment_form.read(GOOD | {"name": "é" * 81})
    assert read.errors["name"] == "This name has 81 characters. Please use at most 80."
    assert read.name == "é" * 81


def test_place_and_note_are_optional_cleaned_and_limited() -> None:
    read = comment_form.read(GOOD | {"place": " Görlitz\n", "note": "For you\r\nalone "})
    assert (read.place, read.note, dict(read.errors)) == ("Görlitz", "For you\nalone", {})
    assert (comment_form.read(GOOD).place, comment_form.read(GOOD | {"note": " "}).note) == (None, None)
    wrong = comment_form.read(GOOD | {"place": "é" * 61, "note": "é" * 1001})
    assert list(wrong.errors) == ["place", "note"]
    assert wrong.errors["note"] == "Your note has 1,001 characters. Please use at most 1,000."


def test_the_longest_message_leaves_room_for_a_short_note_alone() -> None:
    longest = GOOD | {"message": "🦋" * 4000}
    assert not comment_form.read(longest | {"note": "🦋" * 200}).errors
    assert "very long" in comment_form.read(longest | {"note": "🦋" * 1000}).errors["note"]
    assert not comment_form.read(GOOD | {"message": "x" * 4000, "note": "🦋" * 1000}).errors


def test_a_long_message_is_kept_and_its_length_told() -> None:
    assert "message" not in comment_form.read(GOOD | {"message": "x" * 4000}).errors
    read = comment_form.read(GOOD | {"message": "x" * 4321})
    assert read.errors["message"] == "Your message has 4,321 characters. Please use at most 4,000."
    assert read.message == "x" * 4321


def test_a_line_end_counts_as_one_character_as_it_does_in_the_browser() -> None:
    assert comment_form.read(GOOD | {"message": "x\r\n" * 1999 + "xx"}).errors == {}


@pytest.mark.parametrize(
    ("typed", "linked"),
    [
        ("example.org", "https://example.org"),
        ("www.example.org/~ada?a=1#b", "https://www.example.org/~ada?a=1#b"),
        ("//example.org", "https://example.org"),
        ("example.org:8080/x", "https://example.org:8080/x"),
        ("HTTP://Example.org", "http://Example.org"),
        ("http://localhost:5000/", "http://localhost:5000/"),
        ("http://münchen.example/ä", "http://münchen.example/ä"),
        ("https://xn--mnchen-3ya.example./", "https://xn--mnchen-3ya.example./"),
        ("http://192.0.2.7/", "http://192.0.2.7/"),
        ("http://[2001:db8::1]:80/", "http://[2001:db8::1]:80/"),
        ("https://example.org/@ada", "https://example.org/@ada"),
        ("https://under_score.example", "https://under_score.example"),
    ],
)
def test_an_address_that_people_type_becomes_a_link(typed: str, linked: str) -> None:
    read = comment_form.read(GOOD | {"website": typed})
    assert (read.website, dict(read.errors)) == (linked, {})


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("javascript:alert(1)", comment_form.NOT_THE_WEB),
        ("JaVaScRiPt:alert(1)//example.org", comment_form.NOT_THE_WEB),
        ("javascript://example.org/%0aalert(1)", comment_form.NOT_THE_WEB),
        ("data:text/html,hello.org", comment_form.NOT_THE_WEB),
        ("ftp://example.org", comment_form.NOT_THE_WEB),
        ("mailto:ada@example.org", comment_form.NOT_THE_WEB),
        ("ada@example.org", comment_form.NOT_MAIL),
        ("https://paypal.example@evil.example", comment_form.NOT_MAIL),
        ("https://@evil.example", comment_form.NOT_MAIL),
        ("none", comment_form.NOT_AN_ADDRESS),
        ("my page.org", comment_form.NOT_AN_ADDRESS),
        ("http://", comment_form.NOT_AN_ADDRESS),
        ("http:example.org", comment_form.NOT_AN_ADDRESS),
        ("https:///example.org", comment_form.NOT_AN_ADDRESS),
        ("https://:443/", comment_form.NOT_AN_ADDRESS),
        ("https://example.org:99999", comment_form.NOT_AN_ADDRESS),
        ("https://example.org:x", comment_form.NOT_AN_ADDRESS),
        ("https://example..org", comment_form.NOT_AN_ADDRESS),
        ("https://-.org", comment_form.NOT_AN_ADDRESS),
        ("https://good.example\\@evil.example", comment_form.NOT_AN_ADDRESS),
        ("https://evil%2eexample", comment_form.NOT_AN_ADDRESS),
        ('https://example.org/"onclick="x', comment_form.NOT_AN_ADDRESS),
        ("https://example.org/<script>", comment_form.NOT_AN_ADDRESS),
        ("https://[::1", comment_form.NOT_AN_ADDRESS),
        ("https://[v1.x]/", comment_form.NOT_AN_ADDRESS),
    ],
)
def test_an_address_that_must_not_be_linked_is_kept_with_its_reason(typed: str, reason: str) -> None:
    read = comment_form.read(GOOD | {"website": typed})
    assert (read.website, dict(read.errors)) == (typed, {"website": reason})


def test_an_address_may_have_500_characters_with_the_scheme_we_add() -> None:
    assert comment_form.read(GOOD | {"website": "example.org/" + "x" * 480}).errors == {}
    read = comment_form.read(GOOD | {"website": "example.org/" + "x" * 481})
    assert read.errors["website"] == "This address has 501 characters. Please use at most 500."


@given(st.fixed_dictionaries({"name": st.text(), "website": st.text(), "message": st.text()}))
def test_whatever_is_typed_is_read_and_what_has_no_error_fits_the_table(fields: dict[str, str]) -> None:
    read = comment_form.read(fields)
    if not read.errors:
        assert 0 < len(read.name) <= 80
        assert 0 < len(read.message) <= 4000
        assert read.website is None or read.website.startswith(("http://", "https://"))
