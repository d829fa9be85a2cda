"""Checks that several forms share."""

import pytest
from hypothesis import given, strategies as st

from guestbook.lib import validate
from guestbook.lib.errors import Refused


def test_every_wrong_field_has_its_sentence_and_the_others_are_not_lost() -> None:
    def refuse(value: str) -> str:
        raise Refused(f"Not {value}.", field="a")

    checks = {"a": ("column_a", refuse), "b": ("column_b", str.upper), "c": ("column_c", validate.name)}
    assert validate.given({"b": "x"}, checks) == {"column_b": "X"}
    with pytest.raises(Refused) as refused:
        validate.given({"a": "x", "b": "x", "c": ""}, checks)
    assert refused.value.fields == {"a": "Not x.", "name": "The name must have 1 to 80 characters."}


def test_a_refusal_that_names_no_field_is_about_the_checked_one() -> None:
    def refuse() -> str:
        raise Refused("Not now.")

    with pytest.raises(Refused) as refused:
        validate.all_of({"a": refuse, "b": str})
    assert refused.value.fields == {"a": "Not now."}


@pytest.mark.parametrize(("given", "read"), [("5", 5.0), (" 2.5 ", 2.5), (0, 0.0), (3.0, 3.0)])
def test_a_number_is_read_as_it_is_typed_or_sent(given: object, read: float) -> None:
    assert validate.number(given, 0, 5, field="n", what="It must be a number", whole=False) == read


@pytest.mark.parametrize("given", ["", "-1", "6", "1e0", "٣", "nan", "2.5", None, "1" * 1000])
def test_other_numbers_are_refused(given: object) -> None:
    with pytest.raises(Refused, match="It must be a number from 0 to 5"):
        validate.number(given, 0, 5, field="n", what="It must be a number")


def test_a_large_limit_is_written_with_a_comma() -> None:
    with pytest.raises(Refused, match="from 2 to 1,000"):
        validate.number("1001", 2, 1000, field="n", what="It must be a number")


@pytest.mark.parametrize("value", ["\0", "a\ud800"])
def test_what_no_database_stores_is_refused(value: str) -> None:
    with pytest.raises(Refused, match="The body must be text without NUL"):
        validate.storable(value, field="body")


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("https://example.org", "https://example.org"),
        ("https://Example.ORG/guestbook/?a=b#c", "https://example.org"),
        ("https://example.org:443/", "https://example.org"),
        ("http://example.org:80", "http://example.org"),
        ("http://example.org:443", "http://example.org:443"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost:5000", "http://localhost:5000"),
        ("https://münchen.example", "https://xn--mnchen-3ya.example"),
    ],
)
def test_an_address_has_its_origin(typed: str, origin: str) -> None:
    assert validate.web_origin(typed) == origin


@pytest.mark.parametrize(
    "typed",
    [
        *("", "example.org", "*", "'self'", "https:", "https://", "https://*.example.org", "https://[::1"),
        *("https://user@example.org", "https://example.org;script-src", "https://example.org,"),
        *("https://example.org:x", "https://example.org:99999", "https://a..b", "https://-a.example"),
        *("javascript:alert(1)", "data:text/html,x", "ftp://example.org", f"https://{'x' * 64}.example"),
    ],
)
def test_all_else_has_none(typed: str) -> None:
    with pytest.raises(ValueError, match="is not the address of a website"):
        validate.web_origin(typed)


@pytest.mark.parametrize(
    ("typed", "page"),
    [
        ("https://a.example", "https://a.example/"),
        (
            "HTTPS://Bücher.example:443/É ü?q=ä b#top",
            "https://xn--bcher-kva.example/%C3%89%20%C3%BC?q=%C3%A4%20b",
        ),
        ("http://a.example:8000/%c3%a9/?", "http://a.example:8000/%C3%A9/"),
        ("https://a.example//b/../c;d", "https://a.example//b/../c;d"),
        ("https://a.example/<script>\\\"'\n", "https://a.example/%3Cscript%3E%5C%22'"),
    ],
)
def test_a_page_has_one_address(typed: str, page: str) -> None:
    assert validate.web_page(typed) == validate.web_page(page) == page


@pytest.mark.parametrize(
    "typed", ["", "/a", "a.example/b", "ftp://a.example", "https://", "https://[", "https://a@b.example/"]
)
def test_what_is_no_address_of_a_page_has_a_sentence(typed: str) -> None:
    with pytest.raises(ValueError, match="is not the address of a website"):
        validate.web_page(typed)


@given(st.text(max_size=20))
def test_the_address_of_a_page_is_plain_and_stays_as_it_is(path: str) -> None:
    page = validate.web_page(f"https://a.example/{path}")
    assert page.isascii()
    assert not set(page) & set(' "<>\\#')
    assert validate.web_page(page) == page


def test_the_address_of_a_page_has_a_limit() -> None:
    longest = "https://a.example/".ljust(350, "x")
    assert validate.web_page(longest) == longest
    with pytest.raises(ValueError, match="at most 350 characters"):
        validate.web_page(f"{longest}x")
