"""Bodies that are small, and yet would take long to compare."""

import json
import time

import pytest

from tests.support.api_client import ApiClient

DEEP = "[" * 500 + "]" * 500
OBJECTS = json.dumps([{"a": number} for number in range(4000)])


def send(program: ApiClient, body: str) -> tuple[int, float]:
    """Return the status, and the seconds of the processor: each part compared with each other takes 50."""
    start = time.process_time()
    answer = program.ask("POST", "/webhooks", data=body, content_type="application/json")
    return answer.status_code, time.process_time() - start


def test_a_body_that_no_parser_follows_is_refused(program: ApiClient) -> None:
    assert send(program, "[" * 20_000 + "]" * 20_000)[0] == 400


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
    status, seconds = send(program, body)
    assert status in (413, 422)
    assert seconds < 10
