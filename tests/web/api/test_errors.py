"""Whatever goes wrong under /api/ is answered in one shape, and a stranger's bytes are never our mistake."""

import gzip
import json
import time

import pytest
from werkzeug.test import TestResponse

import guestbook
from guestbook.web.error_pages import ERROR_TEXTS
from tests.support.api_client import NOBODY, ApiClient
from tests.support.visitor import stored
from tests.web.test_errors import AWAY

JSON = "application/json"


def shape(answer: TestResponse) -> tuple[int, str]:
    """Check that an answer has the shape of all errors, and return its status and code."""
    assert answer.content_type == JSON
    [error] = answer.get_json().values()
    assert set(error) - {"fields"} == {"code", "message", "request_id"}
    assert error["request_id"] == answer.headers["X-Request-Id"]
    assert error["message"]
    assert error["code"] == ERROR_TEXTS[answer.status_code].code
    return answer.status_code, error["code"]


def send(program: ApiClient, body: bytes, content_type: str | None = JSON) -> TestResponse:
    return program.ask("POST", "/comments", data=body, content_type=content_type)


@pytest.mark.parametrize("path", ["/nowhere", "", "/comments/", "/webhooks/a/b/c", "/%FF", "/comments/%00"])
def test_what_is_not_there(anybody: ApiClient, path: str) -> None:
    assert shape(anybody.ask("GET", path)) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/comments", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("PUT", f"/webhooks/{NOBODY}", {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH"}),
        ("GET", f"/deliveries/{NOBODY}/redeliver", {"OPTIONS", "POST"}),
        ("TRACE", "/openapi.json", {"GET", "HEAD", "OPTIONS"}),
        ("PROPFIND", "/deliveries", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_method_not_for_this_address(anybody: ApiClient, method: str, path: str, allowed: set[str]) -> None:
    answer = anybody.ask(method, path)
    assert shape(answer) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_the_scheme_may_be_written_in_any_case(anybody: ApiClient, program: ApiClient, scheme: str) -> None:
    token = program.headers["Authorization"].partition(" ")[2]
    answer = anybody.ask("GET", "/webhooks", headers={"Authorization": f"{scheme} {token}"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b'{"name": "Ada",}', "not valid JSON"),
        (b'{"name": %s}' % (b"9" * 5000), "not valid JSON: a number has 5,000 digits."),
        (b"[" * 60_000, "too deep"),
        (b'{"a":' * 12_000, "too deep"),
        (b'{"name": NaN}', "NaN"),
        (b'{"name": -Infinity}', "Infinity"),
        (b'{"name": ' + b"9" * 50_000 + b"}", "digits"),
        (b'{"name": "\xff"}', "not UTF-8: byte 11 is wrong"),
        (b"\xef\xbb\xbf", "Expecting value"),
        ('{"name": "Ada"}'.encode("utf-16"), "not UTF-8: byte 1 is wrong"),
        (b'{"name": "Ada", "name": "Bob"}', "twice"),
        (b'{"name": "Ada", "message": "a\nb"}', "control character"),
    ],
)
def test_a_body_that_is_no_json(anybody: ApiClient, body: bytes, said: str) -> None:
    answer = send(anybody, body)
    assert shape(answer) == (400, "bad_request")
    assert said in answer.get_json()["error"]["message"]
    assert stored() == []


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"5", b"true", b"1e999"])
def test_json_that_is_no_object(anybody: ApiClient, body: bytes) -> None:
    answer = send(anybody, body)
    assert shape(answer) == (422, "invalid")
    assert answer.get_json()["error"]["message"] == "This must be an object."


@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/x-www-form-urlencoded", "nonsense"])
def test_a_body_that_is_not_declared_as_json(anybody: ApiClient, kind: str | None) -> None:
    assert shape(send(anybody, b'{"name": "Ada", "message": "Hello"}', kind)) == (
        415,
        "unsupported_media_type",
    )


def test_a_compressed_body_is_refused_by_its_header(anybody: ApiClient) -> None:
    body = gzip.compress(b'{"name": "Ada", "message": "Hello"}')
    packed = {"Content-Encoding": "gzip"}
    answer = anybody.ask("POST", "/comments", data=body, content_type=JSON, headers=packed)
    assert shape(answer) == (415, "unsupported_media_type")
    assert "uncompressed" in answer.get_json()["error"]["message"]


def test_a_byte_order_mark_is_overlooked(anybody: ApiClient) -> None:
    body = b"\xef\xbb\xbf" + '{"name": "Zoë", "message": "Hello"}'.encode()
    assert send(anybody, body).get_json()["name"] == "Zoë"


def test_too_much(anybody: ApiClient) -> None:
    assert shape(send(anybody, b" " * 65_537)) == (413, "content_too_large")


@pytest.mark.parametrize("name", ["\ud800", "\0", "x" * 5000, "</script>", "constructor", "__proto__"])
def test_hostile_names_of_fields_are_refused_by_name_and_cut_short(anybody: ApiClient, name: str) -> None:
    answer = anybody.ask("POST", "/comments", {"name": "Ada", "message": "Hello", name: {"a": [1]}})
    assert shape(answer) == (422, "invalid")
    assert list(answer.get_json()["error"]["fields"]) == [name if len(name) < 60 else name[:60] + "…"]


def test_a_long_text_that_almost_fits_a_pattern_costs_no_time(program: ApiClient) -> None:
    for url in ("https://" + "a-" * 30_000, "https://" + "a." * 30_000, "a" * 60_000 + "!"):
        assert shape(program.ask("POST", "/webhooks", {"url": url})) == (422, "invalid")
        assert shape(program.ask("POST", "/comments", {"website": url})) == (422, "invalid")


def test_errors_are_logged(anybody: ApiClient, program: ApiClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "guestbook")
    cases = [(anybody, "GET", "/nowhere%0Aforged", 404, "INFO"), (anybody, "PUT", "/comments", 405, "INFO")]
    cases += [(anybody, "GET", "/webhooks", 401, "INFO"), (program, "GET", "/webhooks?x=1", 422, "WARNING")]
    for one, method, path, status, level in cases:
        caplog.clear()
        answer = one.ask(method, path)
        assert shape(answer)[0] == status
        [line] = [record for record in caplog.records if answer.headers["X-Request-Id"] in record.message]
        assert (line.levelname, "\n" in line.message) == (level, False)
        assert f"{method} /api/v1{path.partition('?')[0]} got {status} " in line.message


def test_a_database_that_is_away(environ: dict[str, str]) -> None:
    app = guestbook.create_app(environ | AWAY)
    for one in (ApiClient(app), ApiClient(app, "gbk_any")):
        answer = one.ask("GET", "/comments")
        assert shape(answer) == (503, "service_unavailable")
        assert answer.headers["Retry-After"] == "60"
    assert shape(ApiClient(app).ask("POST", "/comments", {"name": "Ada", "message": "Hi"}))[0] == 503


def test_a_422_names_the_fields_and_each_has_its_sentence_once(program: ApiClient) -> None:
    one = program.post("/webhooks", {"url": "ftp://x"}, 422)["error"]
    assert one["message"] == "Nothing was changed, because the field url is wrong."
    assert one["fields"] == {"url": "The URL must start with https:// or http://."}
    two = program.post("/webhooks", {"url": "ftp://x", "name": ""}, 422)["error"]
    assert set(two["fields"]) == {"url", "name"}
    assert two["message"].startswith("Nothing was changed, because these fields are wrong: ")
    assert not [sentence for sentence in two["fields"].values() if sentence in two["message"]]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [("limit=101", "The field limit is wrong."), ("limit=0&x=1", "These fields are wrong: limit, x.")],
)
def test_a_wrong_filter_of_a_get_says_no_changes(anybody: ApiClient, query: str, sentence: str) -> None:
    assert anybody.ask("GET", f"/comments?{query}").get_json()["error"]["message"] == sentence


DEEP = "[" * 500 + "]" * 500
OBJECTS = json.dumps([{"a": number} for number in range(4000)])


@pytest.mark.parametrize(
    "body",
    [
        f'{{"url": "http://receiver.example/", "events": [{DEEP}, {DEEP}]}}',
        f'{{"url": "http://receiver.example/", "events": {OBJECTS}}}',
        f'{{"url": "http://receiver.example/", "events": [{OBJECTS}, {OBJECTS[:-1]}, 1]]}}',
        f'{{"url": "http://receiver.example/", "events": {json.dumps(["ping"] * 6000)}}}',
        f'{{"url": {OBJECTS}, "name": "x", "unknown": []}}',
        json.dumps({"url": "http://a.example/", "headers": {f"X-{n}": [n] for n in range(4000)}}),
        json.dumps({str(number): [number] for number in range(4000)}),
    ],
    ids=["deep lists", "objects", "lists of objects", "names", "a url", "headers", "unknown fields"],
)
def test_a_body_of_thousands_of_parts_is_refused_at_once(program: ApiClient, body: str) -> None:
    start = time.process_time()
    answer = program.ask("POST", "/webhooks", data=body, content_type=JSON)
    assert answer.status_code in (413, 422)
    assert time.process_time() - start < 10  # to compare each part with each other takes 50
