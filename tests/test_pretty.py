"""Bytes as people read them: what they are counts, and not what they say that they are."""

import pytest

from guestbook import pretty

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("body", "content_type", "kind", "text"),
    [
        (b'{"a":{"b":"\xc3\xbc"},"n":1}', "", "JSON", '{\n  "a": {\n    "b": "ü"\n  },\n  "n": 1\n}'),
        (b' \n[1]', "text/plain", "JSON", "[\n  1\n]"),
        (b"5", "application/json", "text", "5"),
        (b"{broken", "application/json", "text", "{broken"),
        (b"a=1&b=x+y%21&a=&c", f"{FORM}; charset=utf-8", "form", "a: 1\nb: x y!\na: \nc: "),
        (b"payload=%7B%22x%22%3A1%7D", FORM, "form", 'payload: {\n  "x": 1\n}'),
        (b'{"x":1}', FORM, "JSON", '{\n  "x": 1\n}'),
        (b"a=1&b=2", "text/plain", "text", "a=1&b=2"),
        (b"", FORM, "text", ""),
        (b"\xff\x00a", "text/plain", "hex", "0000  ff 00 61" + " " * 42 + "..a"),
    ],
)  # fmt: skip
def test_each_kind_is_shown_in_its_own_way(body: bytes, content_type: str, kind: str, text: str) -> None:
    assert pretty.view(body, content_type) == pretty.View(kind, text, True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body", [b"[" * 50_000, b"[" + b"1" * 5000 + b"]", b'{"a":"\\ud800"}', b"&" * 5000, b"a=1&" * 2000, b"\0"]
)
def test_what_is_odd_is_shown_all_the_same(body: bytes) -> None:
    assert pretty.view(body, FORM).text


def test_what_is_long_is_cut_and_says_so() -> None:
    for body, length in (
        (b"x" * pretty.SHOWN, pretty.SHOWN),
        (b"[" + b"1," * pretty.SHOWN + b"1]", pretty.SHOWN),
        (b"\xff" * pretty.HEX_LIMIT, 73 * pretty.HEX_LIMIT // 16 - 1),
    ):
        assert len(pretty.view(body).text) == length
    assert pretty.view(b"x" * pretty.SHOWN).is_whole
    assert not pretty.view(b"x" * (pretty.SHOWN + 1)).is_whole
    assert pretty.view(b"\xff" * pretty.HEX_LIMIT).is_whole
    assert not pretty.view(b"\xff" * (pretty.HEX_LIMIT + 1)).is_whole
