"""Whatever a program sends in the fields of a public form: a page with a sentence, and the text in it."""

from urllib.parse import quote

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.support.visitor import GREETING, Visitor, by_class, fields, let_write, parse, set_, stored
from tests.web.test_hostile import FORM, encoded

TYPED = {**GREETING, "place": "Turin", "mood": "happy", "note": "It is me", "answer": "four"}
ASKING = dict.fromkeys(("asks_place", "asks_note", "visitor_looks"), "yes")
ASKING |= {"question": "2 + 2?", "answers": "four", "moods": "happy\ntired"}
STRANGE = {  # what browsers do not send
    "NUL": "a\0b",
    "halves of characters": "a\ud800\udfffb",
    "directions": "\u202eevil\u2066\u200f",
    "controls": "\x01\x1b[31m\x7f\x85\u2028",
    "not one character": "\ufffe\ufdd0\U0001ffff",
    "nothing to see": "\u200b\u00ad\u3164",
    "60 kB": "x" * 60_000,
}


@pytest.fixture
def asking(app: Flask) -> Visitor:
    """A visitor of a book that asks for all that it can ask for."""
    let_write()
    set_(**ASKING)
    return Visitor(app)


def send(visitor: Visitor, url: str, form: dict[str, str]) -> TestResponse:
    return visitor.open("POST", url, data=encoded(form), content_type=FORM)


def assert_kept(answer: TestResponse, sent: dict[str, str], changed: str) -> None:
    """The page with the reasons has every other field as it was typed."""
    page = parse(answer)
    assert by_class(page, "summary")
    again = fields(page)
    assert {name: again[name].strip() for name in sent if name != changed} == {
        name: text for name, text in sent.items() if name != changed
    }


@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize("button", [{}, {"preview": "yes"}], ids=["sent", "previewed"])
def test_a_comment_is_taken_or_comes_back(asking: Visitor, strange: str, button: dict[str, str]) -> None:
    form = asking.form()
    assert {*TYPED} <= {*form}
    for field in TYPED:
        before = len(stored())
        answer = send(asking, "/comments", form | TYPED | {field: STRANGE[strange]} | button)
        if answer.status_code == 422:
            assert len(stored()) == before
            assert_kept(answer, TYPED, field)
        else:
            assert answer.status_code == (200 if button else 303), field
            assert len(stored()) == before + (0 if button else 1)
            parse(answer if button else asking.get(answer.location))


@pytest.mark.parametrize("strange", STRANGE)
def test_a_change_of_one_s_own_comment_too(asking: Visitor, strange: str) -> None:
    asking.sign(**TYPED)
    [comment] = stored()
    url = f"/comments/{comment.id}/edit"
    typed = {name: text for name, text in TYPED.items() if name != "answer"}
    for field in (*typed, "token"):
        form = asking.form(url)
        answer = send(asking, url, form | typed | {field: STRANGE[strange]})
        assert answer.status_code in (303, 422)
        if answer.status_code == 422:
            assert_kept(answer, typed, field)
    assert len(stored()) == 1


@pytest.mark.parametrize("strange", STRANGE)
def test_a_closed_book_gives_the_text_back(asking: Visitor, strange: str) -> None:
    form = asking.form() | TYPED
    set_(closed="yes")
    for field in (*TYPED, "token", "subject", "preview"):
        answer = send(asking, "/comments", form | {field: STRANGE[strange]})
        assert answer.status_code == 403
        assert_kept(answer, TYPED, field)
    assert stored() == []


@pytest.mark.parametrize("strange", STRANGE)
def test_a_choice_that_is_none_is_refused_with_a_sentence(asking: Visitor, strange: str) -> None:
    for name, sentence in (("language", "does not speak"), ("look", "There is no such look")):
        answer = send(asking, f"/{name}", {name: STRANGE[strange]})
        assert answer.status_code == 422
        assert sentence in answer.text
        assert "Set-Cookie" not in answer.headers
        parse(answer)


@pytest.mark.parametrize("strange", STRANGE)
def test_a_webmention_comes_back_with_its_addresses(app: Flask, asking: Visitor, strange: str) -> None:
    typed = {"source": "https://a.example/", "target": f"{app.config['GUESTBOOK'].base_url}/"}
    for field in typed:
        other = next(name for name in typed if name != field)
        for answer in (
            send(asking, "/webmention", typed | {field: STRANGE[strange]}),
            asking.get(f"/webmention?{encoded(typed | {field: STRANGE[strange][:9]})}"),
        ):
            assert answer.status_code in (200, 400)
            assert fields(parse(answer))[other] == typed[other]


PARTS = "multipart/form-data; boundary=b"
NO_FORMS = [
    ("multipart/form-data", b"no boundary"),
    (PARTS, b"--b\r\nnot a part"),
    (PARTS, b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
    ("multipart/form-data; boundary=" + "b" * 500, b"--" + b"b" * 500),
    (f"{FORM}; charset=nonsense", b"name=%ff%fe&message=%00&token=%ed%a0%80"),
    (FORM, b"&&&===&%%%&name"),
    ("nonsense", b"\xff\xfe"),
    ("", b""),
]
PUBLIC_FORMS = ("/comments", "/language", "/look", "/webmention")


@pytest.mark.parametrize("url", PUBLIC_FORMS)
def test_too_many_or_too_long_or_no_fields_are_refused(asking: Visitor, url: str) -> None:
    many = {f"field{number}": "" for number in range(10_000)}
    part = '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nAda\r\n'
    bodies = {
        "a field of 100 kB": (f"name={'x' * 100_000}", FORM, 413),
        "10,000 fields": ("&".join(list(many)[:6000]), FORM, None),
        "10,000 fields that are one": ("a&" * 10_000, FORM, None),
        "1,001 parts": (part * 1001 + "--b--\r\n", PARTS, 413),
        "JSON": ('{"name": "Ada", "language": "de", "look": "1999"}', "application/json", None),
        **{str(number): (body, kind, None) for number, (kind, body) in enumerate(NO_FORMS)},
        "text": ("language=de&look=1999", "text/plain", None),
        "no type": ("language=de&look=1999", None, None),
    }
    for name, (body, kind, status) in bodies.items():
        answer = asking.open("POST", url, data=body, content_type=kind)
        assert 400 <= answer.status_code < 500, name
        assert status in (None, answer.status_code), name
        assert "Set-Cookie" not in answer.headers
        parse(answer)
    assert stored() == []


def test_a_comment_among_thousands_of_fields_is_not_lost(asking: Visitor) -> None:
    known = encoded(asking.form() | TYPED)
    twice = "&".join(f"{name}={quote('other')}" for name in TYPED)
    body = f"{known}&{'&'.join(f'x{number}' for number in range(9000))}&{twice}"
    assert asking.open("POST", "/comments", data=body, content_type=FORM).status_code == 303
    [comment] = stored()
    assert (comment.name, comment.place, comment.note) == ("Ada", "Turin", "It is me")
