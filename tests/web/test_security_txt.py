"""/.well-known/security.txt is made of the owner's contact, as RFC 9116 wants it."""

import re
from datetime import datetime, timedelta

import pytest

from guestbook.lib import clock
from tests.conftest import running
from tests.support.visitor import Visitor, set_
from tests.web.conftest import Later

URL = "/.well-known/security.txt"
URI = re.compile(r"(?:https://|mailto:)[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")


def fields(visitor: Visitor) -> dict[str, str]:
    answer = visitor.get(URL)
    assert (answer.status_code, answer.content_type) == (200, "text/plain; charset=utf-8")
    assert answer.text.endswith("\n")
    return dict(line.split(": ", 1) for line in answer.text.splitlines())


def test_without_a_contact_there_is_none(visitor: Visitor) -> None:
    assert visitor.get(URL).status_code == 404
    set_(contact="ada@book.example")
    assert visitor.get(URL).status_code == 200
    set_(contact="")
    assert visitor.get(URL).status_code == 404


def test_it_has_the_fields_of_the_standard(visitor: Visitor) -> None:
    set_(contact="ada@book.example", language="de")
    found = fields(visitor)
    assert list(found) == ["Contact", "Expires", "Preferred-Languages", "Canonical"]
    assert found["Contact"] == "mailto:ada@book.example"
    assert found["Preferred-Languages"] == "de"
    assert found["Canonical"] == f"https://book.example{URL}"


@pytest.mark.parametrize(
    ("contact", "address"),
    [
        ("a+b@book.example", "mailto:a%2Bb@book.example"),
        ("50%?#@book.example", "mailto:50%25%3F%23@book.example"),
        ("https://social.example/@ada?to=me#form", "https://social.example/@ada?to=me#form"),
        ("https://bücher.example/ä%20b", "https://b%C3%BCcher.example/%C3%A4%20b"),
    ],
)
def test_a_contact_is_a_uri(visitor: Visitor, contact: str, address: str) -> None:
    set_(contact=contact)
    found = fields(visitor)["Contact"]
    assert found == address
    assert URI.fullmatch(found)


def test_it_expires_within_a_year_and_never_before_it_is_read(visitor: Visitor, later: Later) -> None:
    set_(contact="ada@book.example")
    ends = []
    for days in (0, 1):
        later(days * 86_400)
        ends.append(datetime.fromisoformat(fields(visitor)["Expires"]))
        assert timedelta(days=90) < ends[-1] - clock.now() < timedelta(days=365)
    assert ends[1] - ends[0] == timedelta(days=1)


def test_a_book_without_https_names_no_address_of_its_own(environ: dict[str, str]) -> None:
    with running(environ | {"GUESTBOOK_BASE_URL": "http://127.0.0.1:5000"}) as app:
        set_(contact="ada@book.example")
        assert "Canonical" not in fields(Visitor(app))


def test_below_a_path_it_names_the_address_of_the_book(environ: dict[str, str]) -> None:
    with running(environ | {"GUESTBOOK_BASE_URL": "https://book.example/deep"}) as app:
        set_(contact="ada@book.example")
        answer = Visitor(app).get(URL, environ_overrides={"SCRIPT_NAME": "/deep"})
        assert f"Canonical: https://book.example/deep{URL}\n" in answer.text
