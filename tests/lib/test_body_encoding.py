"""Bytes as people read them: what they are counts, and no body costs more than what is shown."""

import json
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from guestbook.lib import body_encoding
from guestbook.lib.body_encoding import Kind, indented
from tests.support.amount import examples

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
KINDS = ("", FORM, MULTIPART)
MOST_CALLS = 12 * body_encoding.SHOWN_CHARACTERS
MOST_MEMORY = 30_000_000  # bytes


def view(body: bytes, content_type: str = "") -> body_encoding.View:
    return body_encoding.views(body, content_type)[0]


@pytest.mark.parametrize(
    ("body", "content_type", "kind", "text"),
    [
        (b'{"a":{"b":"\xc3\xbc"},"n":1}', "", "JSON", '{\n  "a": {\n    "b": "ü"\n  },\n  "n": 1\n}'),
        (b' \n[1]', "text/plain", "JSON", "[\n  1\n]"),
        (b'{"n":1.50,"n":1e999}', "", "JSON", '{\n  "n": 1.50,\n  "n": 1e999\n}'),
        (b"5", "application/json", "text", "5"),
        (b"{broken", "application/json", "text", "{broken"),
        (b"a=1&b=x+y%21&a=&c", f"{FORM}; charset=utf-8", "form", "a: 1\nb: x y!\na: \nc: "),
        (b"payload=%7B%22x%22%3A1%7D", FORM, "form", 'payload: {\n  "x": 1\n}'),
        (b'{"x":1}', FORM, "JSON", '{\n  "x": 1\n}'),
        (b"a=1&b=2", "text/plain", "text", "a=1&b=2"),
        (b"&&", FORM, "text", "&&"),
        (b"", FORM, "text", ""),
        (b"\xff\x00a", "text/plain", "hex", "0000  ff 00 61" + " " * 42 + "..a"),
        (b"\xffa=1", FORM, "hex", "0000  ff 61 3d 31" + " " * 39 + ".a=1"),
    ],
)  # fmt: skip
def test_each_kind_is_shown_in_its_own_way(body: bytes, content_type: str, kind: Kind, text: str) -> None:
    assert view(body, content_type) == body_encoding.View(kind, text, True)


@pytest.mark.parametrize(
    "body", [b"[" * 50_000, b"[" + b"1" * 5000 + b"]", b'{"a":"\\ud800"}', b"&" * 5000, b"a=1&" * 2000, b"\0"]
)
def test_what_is_odd_is_shown_all_the_same(body: bytes) -> None:
    assert view(body, FORM).text


def test_what_is_long_is_cut_and_says_so() -> None:
    for body, length in (
        (b"x" * body_encoding.SHOWN_CHARACTERS, body_encoding.SHOWN_CHARACTERS),
        (b"[" + b"1," * body_encoding.SHOWN_CHARACTERS + b"1]", body_encoding.SHOWN_CHARACTERS),
        (b"\xff" * body_encoding.HEX_LIMIT, 73 * body_encoding.HEX_LIMIT // 16 - 1),
    ):
        assert len(view(body).text) == length
    assert view(b"x" * body_encoding.SHOWN_CHARACTERS).is_whole
    assert not view(b"x" * (body_encoding.SHOWN_CHARACTERS + 1)).is_whole
    assert view(b"\xff" * body_encoding.HEX_LIMIT).is_whole
    assert not view(b"\xff" * (body_encoding.HEX_LIMIT + 1)).is_whole
    assert not body_encoding.views(b"short", is_cut=True)[0].is_whole


# --- JSON in lines

WORDS = st.text(st.characters(codec="utf-8") | st.sampled_from('"\\/\n\x1f\x7f\u2028'), max_size=8)
NUMBERS = st.integers() | st.floats()
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=30,
).filter(lambda value: isinstance(value, list | dict))
SPACES: list[dict[str, Any]] = [{}, {"separators": (",", ":")}, {"indent": "\t"}, {"ensure_ascii": False}]


@given(DOCUMENTS, st.sampled_from(SPACES))
@settings(max_examples=examples(20), deadline=None)
def test_json_is_written_as_the_standard_library_writes_it(value: object, style: dict[str, Any]) -> None:
    expected = json.dumps(value, ensure_ascii=False, indent=2)
    assert indented(f" {json.dumps(value, **style)}\n", len(expected)) == (expected, True)


@given(DOCUMENTS, st.integers(1, 200), st.integers(1, 200))
@settings(max_examples=examples(20), deadline=None)
def test_of_long_json_the_beginning_is_shown(value: object, limit: int, read: int) -> None:
    whole = json.dumps(value, ensure_ascii=False, indent=2)
    for ascii_only in (True, False):
        sent = json.dumps(value, ensure_ascii=ascii_only)
        shown = indented(sent, limit)
        assert shown == (whole[:limit], len(whole) <= limit)
        cut = indented(sent[:read], limit, is_cut=True)
        assert cut is not None
        assert not cut[1]
        # A text that was cut is shown as it came.
        assert whole.startswith(cut[0].rpartition('"')[0]) or ascii_only


@given(DOCUMENTS, st.data())
@settings(max_examples=examples(20), deadline=None)
def test_what_is_not_json_is_not_taken_for_it(value: object, data: st.DataObject) -> None:
    sent = json.dumps(value)
    place = data.draw(st.integers(1, len(sent)))
    broken = sent[:place] + data.draw(st.sampled_from('[]{}",:x01\\-\n')) + sent[place:]
    try:
        json.loads(broken)
    except ValueError:
        assert indented(broken, 10**9) is None
    else:
        assert indented(broken, 10**9) is not None


# --- what it costs

BOMB = f"[{','.join(['[' * 900 + ']' * 900] * 555)}]".encode()
PIECES = st.sampled_from(
    [
        *(b"[", b"]", b"{", b"}", b"[]", b'{"a":', b",", b'""', b'"', b"\\u0041", b"\\", b"1", b" ", b"&"),
        b"a=%5B",
    ]
)


def bomb(parts: list[tuple[bytes, int]]) -> bytes:
    """Bodies of a megabyte that nest, list, escape or do nothing in many ways."""
    return b"".join(piece * count for piece, count in parts)[:1_000_000].ljust(1_000_000, b"[")


@given(st.lists(st.tuples(PIECES, st.sampled_from([1, 1000, 10**6])), max_size=4).map(bomb))
@settings(max_examples=examples(6), deadline=None)
def test_no_body_costs_more_than_what_is_shown(body: bytes) -> None:
    check_cost(body)


@pytest.mark.parametrize(
    "body",
    [
        BOMB,
        b"[" + b"[]," * 300_000,
        b'["' + b"\\ud83d\\ude00" * 80_000,
        b"a=" + b"%41" * 300_000,
        (b"a=" + b"[" * 150 + b"]" * 149 + b"&") * 3000,
        b'--x\r\nContent-Disposition: form-data; name="n"\r\n\r\n' + b"\r\n--" * 60_000,
    ],
    ids=["nested", "empty lists", "escapes", "one field", "fields that are nearly JSON", "parts"],
)
def test_no_bomb_that_was_found_goes_off(body: bytes) -> None:
    check_cost(body)


def check_cost(body: bytes) -> None:
    for kind in KINDS:
        calls, views = counted(partial(body_encoding.views, body, kind))
        assert calls <= MOST_CALLS
        assert all(len(view.text) <= body_encoding.SHOWN_CHARACTERS for view in views)


def counted(work: Callable[[], Any]) -> tuple[int, Any]:
    """Return how many functions were called, C's too, and what came back; watch the memory."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    tracemalloc.start()
    sys.setprofile(count)
    try:
        result = work()
    finally:
        sys.setprofile(before)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most <= MOST_MEMORY
    return calls, result
