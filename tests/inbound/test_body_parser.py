"""Bodies of others: JSON, forms, text, compressed or not; what cannot be read is refused in one sentence."""

import gzip
import json
import re
import sys
import time
import zlib
from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, strategies as st

from guestbook.inbound.event_reader import DEPTH_LIMIT, UNPACKED_LIMIT, BodyError, parse

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
TEXT = {"content-type": "text/plain; charset=utf-8"}
FILES = {"content-type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize(
    "kind",
    ["application/json", "Application/JSON; charset=utf-8", "application/cloudevents+json", "text/json", ""],
)
def test_json_is_read_by_what_it_is_called_or_by_its_looks(kind: str) -> None:
    body = '{"a": [1, 2.5, null, true, "ü"]}'.encode()
    assert parse({"content-type": kind}, body) == {"a": [1, 2.5, None, True, "ü"]}


@pytest.mark.parametrize("body", [b"5", b'"text"', b"null", b"[]", b'\xef\xbb\xbf{"a": 1}'])
def test_json_need_not_be_an_object_and_may_have_a_byte_order_mark(body: bytes) -> None:
    assert parse(JSON, body) == json.loads(body)


def test_a_form_is_a_dict_of_texts() -> None:
    given = {"command": "/weather", "text": "Zürich & Bern", "empty": ""}
    body = urlencode([*given.items(), ("twice", 1), ("twice", 2)])
    assert parse(FORM, body.encode()) == {**given, "twice": "2"}


def test_githubs_form_gives_the_json_inside_if_it_is_json() -> None:
    body = urlencode({"payload": json.dumps({"action": "opened", "title": "a+b & c"})}).encode()
    assert parse(FORM, body) == {"action": "opened", "title": "a+b & c"}
    assert parse(FORM, b"payload=hello") == {"payload": "hello"}
    with pytest.raises(BodyError, match="not valid JSON"):
        parse(FORM, b"payload={hello")


def form_with_files(*parts: tuple[str, bytes], end: bytes = b"--x--\r\n") -> bytes:
    """Return a body of the content type FILES; a part is what follows `form-data;`, and its content."""
    head = b"--x\r\nContent-Disposition: form-data; "
    return b"".join(head + of.encode() + b"\r\n\r\n" + content + b"\r\n" for of, content in parts) + end


def test_a_form_with_files_is_a_dict_of_its_texts() -> None:
    body = form_with_files(
        ('name="subject"', "Zürich & Bern".encode()),
        ('name="body-plain"', b"Hello\r\nyou"),
        ('name="twice"', b"1"),
        ('name="twice"', b"2"),
        ('name="attachment-1"; filename="a.png"\r\nContent-Type: image/png', bytes(range(256))),
        ('filename="nameless"', b"x"),
        (f'name="long"; filename="{"é" * 255}"', b"x"),
    )
    expected = {"subject": "Zürich & Bern", "body-plain": "Hello\r\nyou", "twice": "2"}
    assert parse(FILES, body) == expected
    assert parse({**FILES, "content-encoding": "gzip"}, gzip.compress(body)) == expected

    thumb = ('name="thumb"; filename="thumb.jpg"', b"\xff\xd8")  # Plex sends both
    of_plex = form_with_files(('name="payload"', b'{"event": "media.play"}'), thumb)
    assert parse(FILES, of_plex) == {"event": "media.play"}


@pytest.mark.parametrize(("boundary", "body", "sentence"), [
    ("", form_with_files(('name="a"', b"1")), "not the form"),
    ("; boundary=" + "x" * 71, b"--" + b"x" * 71, "not the form"),
    ("; boundary=ü", b"", "not the form"),
    ("; boundary=x", b"", "not the form"),
    ("; boundary=x", b"message=hello", "not the form"),
    ("; boundary=x", form_with_files(('name="a"', b"1"), end=b""), "cut off"),
    ("; boundary=x", b"--x\r\nX: y\r\n\r\n1\r\n--x--", "not the form"),
    ("; boundary=x", b"--x\r\n\xff: y\r\n\r\n1\r\n--x--", "not the form"),
    ("; boundary=x", form_with_files(("x\r\na:" * 800, b"1")), "not the form"),
    ("; boundary=x", form_with_files(*[('name="a"', b"1")] * 1001), "1,000 fields"),
])  # fmt: skip
def test_what_is_no_form_with_files_is_refused(boundary: str, body: bytes, sentence: str) -> None:
    with pytest.raises(BodyError, match=sentence):
        parse({"content-type": f"multipart/form-data{boundary}"}, body)


ENCODED = {"iso-8859-1": "Grüezi “you”", '"ISO-8859-15"': "Grüezi €", "windows-1252": "Grüezi €"}
ENCODED |= {"koi8-r": "Привет", "shift_jis": "こんにちは", "utf-16": "Grüezi"}


@pytest.mark.parametrize(("charset", "word"), ENCODED.items())
def test_another_encoding_than_utf_8_is_read_if_the_sender_names_it(charset: str, word: str) -> None:
    sent = word.encode("cp1252" if charset == "iso-8859-1" else charset.strip('"'))
    assert parse({"content-type": f"text/plain; charset={charset}"}, sent) == word
    form = {"content-type": f"application/x-www-form-urlencoded; charset={charset}"}
    assert parse(form, f"message={quote(sent)}".encode()) == {"message": word}
    of = f'name="message"\r\nContent-Type: text/plain; charset={charset}'
    assert parse(FILES, form_with_files((of, sent))) == {"message": word}


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", "utf-8", "", "idna", "iso-8859-99"])
def test_what_is_utf_8_is_read_so_whatever_the_sender_names(charset: str) -> None:
    assert parse({"content-type": f"text/plain; charset={charset}"}, "Zoë".encode()) == "Zoë"
    form = {"content-type": f"application/x-www-form-urlencoded; charset={charset}"}
    assert parse(form, b"name=Zo%C3%AB") == {"name": "Zoë"}
    assert parse(form, "name=Zoë".encode()) == {"name": "Zoë"}


@pytest.mark.parametrize("charset", ["utf-8", "", "idna", "iso-8859-99"])
def test_an_encoding_that_nobody_knows_is_no_help(charset: str) -> None:
    with pytest.raises(BodyError, match="not UTF-8: byte 3"):
        parse({"content-type": f"text/plain; charset={charset}"}, b"Zo\xeb")
    form = {"content-type": f"application/x-www-form-urlencoded; charset={charset}"}
    assert parse(form, b"name=Zo%EB") == {"name": "Zo\ufffd"}


def test_json_that_calls_itself_a_form_or_text_is_json() -> None:
    for headers in (FORM, TEXT, {}):
        assert parse(headers, b' {"a": "b=c"}') == {"a": "b=c"}
    assert parse(TEXT, b"[draft] Hello") == "[draft] Hello"
    assert parse(FORM, b"{a=b") == {"{a": "b"}


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/mixed; boundary=x", "", "\x00"])
def test_all_else_is_text(kind: str) -> None:
    assert parse({"content-type": kind}, "grüezi\n".encode()) == "grüezi\n"
    assert parse({"content-type": kind}, b"") == ""


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKERS = [("gzip", gzip.compress), ("X-GZIP", gzip.compress), ("deflate", zlib.compress)]


@pytest.mark.parametrize(("encoding", "pack"), [*PACKERS, ("deflate", raw_deflate)])
def test_a_compressed_body_is_unpacked(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    assert parse({**JSON, "content-encoding": encoding}, pack(b'{"a": 1}')) == {"a": 1}


PACKED = gzip.compress(b'{"a": 1}')
NOT_PACKED = {
    "plain": ("gzip", b'{"a": 1}'),
    "cut off": ("gzip", PACKED[:-1]),
    "two in a row": ("gzip", gzip.compress(b'{"a"') + gzip.compress(b": 1}")),
    "empty": ("gzip", b""),
    "twice": ("gzip, gzip", gzip.compress(PACKED)),
    **{"garbage": ("deflate", b"\xff\xff"), "unknown": ("br", b"x"), "nonsense": ("ключ", b"x")},
}


@pytest.mark.parametrize(("encoding", "body"), NOT_PACKED.values(), ids=NOT_PACKED)
def test_what_cannot_be_unpacked_is_refused(encoding: str, body: bytes) -> None:
    with pytest.raises(BodyError, match="compressed"):
        parse({**JSON, "content-encoding": encoding}, body)


@pytest.mark.parametrize(("encoding", "pack"), PACKERS[::2])
def test_a_bomb_is_not_unpacked(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(b" " * 100_000_000)
    assert len(bomb) < 1_000_000
    start = time.thread_time()
    with pytest.raises(BodyError, match=f"more than {UNPACKED_LIMIT:,} bytes"):
        parse({**JSON, "content-encoding": encoding}, bomb)
    assert time.thread_time() - start < 1


def test_a_form_of_countless_fields_or_escapes_is_refused_before_it_takes_up_the_memory() -> None:
    with pytest.raises(BodyError, match="more than 200,000 escaped characters"):
        parse(FORM, b"a=" + b"%41" * 300_000)
    assert parse(FORM, b"a=" + b"%41" * 1000) == {"a": "A" * 1000}
    with pytest.raises(BodyError, match="more than 1,000 fields"):
        parse(FORM, b"a&" * 100_000)


@pytest.mark.parametrize(("body", "sentence"), [
    (b"", "empty"),
    (b" \n", "empty"),
    (b"{", "line 1, column 2"),
    (b'{"a": 1,\n "b" 2}', "line 2, column 6"),
    (b'{"a": 1} {}', "Extra data"),
    (b"{'a': 1}", "line 1, column 2"),
    (b'{"a": "\n"}', "Invalid control character"),
    (b'{"a": NaN}', "NaN"),
    (b"[Infinity]", "Infinity"),
    (b"[-Infinity]", "-Infinity"),
    (b"[1e999]", "too large"),
    (b"[-1e999]", "too large"),
    (b"[" + b"9" * 5000 + b"]", "5,000 digits"),
    (b"9" * 900_000, "900,000 digits"),
    (b'{"a": "\xff"}', "not UTF-8: byte 8"),
    (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
    ('{"a": 1}'.encode("utf-16"), "not UTF-8: byte 1"),
    (b"[" * 100_000, "nested more than 64 deep"),
    (b'{"a":' * 100_000, "nested more than 64 deep"),
    (b"[" * 65 + b"]" * 65, "nested more than 64 deep"),
    (b"[" + b"[]," * 400_000 + b"1]", "more than 700,000 values"),
])  # fmt: skip
def test_what_is_no_json_is_refused_with_the_reason(body: bytes, sentence: str) -> None:
    with pytest.raises(BodyError, match=re.escape(sentence)) as fault:
        parse(JSON, body)
    assert re.fullmatch(r"The body .{5,200}\.", str(fault.value))


def test_the_deepest_and_the_longest_number_are_taken() -> None:
    body = b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT
    assert json.dumps(parse(JSON, body)).encode() == body
    assert parse(JSON, b"9" * 100) == 10**100 - 1
    assert parse(JSON, b"[1e308, -0.0]") == [1e308, 0.0]


def test_half_a_character_becomes_the_sign_for_what_is_lost() -> None:
    body = rb'{"cut \ud83d": ["\ud83d\ude00", "\ud83d", "\uDE00 \\ud800", {"a": "\ud800"}]}'
    assert parse(JSON, rb'["\uD83D"]') == parse(JSON, rb'["\udE00"]') == ["\ufffd"]
    assert parse(JSON, body) == {"cut \ufffd": ["😀", "\ufffd", "\ufffd \\ud800", {"a": "\ufffd"}]}


@pytest.mark.parametrize(
    "body", [b"[" + b"0," * 499_000 + b"0]", b'{"a":' * 60 + b"[" + b"{}," * 300_000 + b"0]" + b"}" * 60]
)
def test_a_megabyte_is_read_in_a_moment(body: bytes) -> None:
    start = time.thread_time()
    parse(JSON, body)
    assert time.thread_time() - start < 5


def values() -> st.SearchStrategy[object]:
    text = st.text(st.characters(blacklist_categories=["Cs"]))
    numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    plain = st.none() | st.booleans() | numbers | text
    return st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=10)


@given(values(), st.booleans())
def test_any_value_comes_back_as_it_was_sent(value: object, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert parse(JSON, body) == value
    assert parse({**JSON, "content-encoding": "gzip"}, gzip.compress(body)) == value


def test_a_stack_that_is_half_used_up_changes_nothing() -> None:
    def deeper(levels: int) -> None:
        if levels:
            deeper(levels - 1)
        else:
            with pytest.raises(BodyError, match="nested"):
                parse(JSON, b"[" * 100_000)

    deeper(sys.getrecursionlimit() // 2)
