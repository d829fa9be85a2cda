"""An origin is what a browser says of itself, however somebody typed the address."""

import pytest

from guestbook.lib import validate


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
        "",
        "example.org",
        "*",
        "'self'",
        "https:",
        "https://",
        "https://*.example.org",
        "https://user@example.org",
        "https://example.org;script-src",
        "https://example.org,",
        "https://example.org:x",
        "https://example.org:99999",
        "https://[::1",
        "https://a..b",
        "https://-a.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://example.org",
        "https://" + "x" * 64 + ".example",
    ],
)
def test_all_else_has_none(typed: str) -> None:
    with pytest.raises(ValueError, match="is not the address of a website"):
        validate.web_origin(typed)
