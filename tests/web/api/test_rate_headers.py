"""Answers name the limits that a request counts for; beyond them there is 429 with the wait."""

import re

import pytest
from flask import Flask

from guestbook.lib.rate_counters import WindowCounter
from guestbook.storage import preferences
from guestbook.storage.database import writing
from guestbook.web.api import authentication
from tests.support.api_client import ApiClient, new_token

COMMENT = {"name": "Ada", "message": "Hello"}
ITEM = re.compile(r'"(\w+)";r=(\d+);t=(\d+)')


def left(header: str) -> tuple[str, int, int]:
    """Read the only item of a RateLimit field."""
    found = ITEM.fullmatch(header)
    assert found, header
    return found[1], int(found[2]), int(found[3])


def test_each_request_with_a_token_counts_for_it(
    app: Flask, program: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "token_requests", WindowCounter(2, 60))
    first, second, third = (program.ask("GET", "/webhooks") for _ in range(3))
    assert first.headers["RateLimit-Policy"] == '"token";q=2;w=60'
    assert [left(one.headers["RateLimit"])[:2] for one in (first, second)] == [("token", 1), ("token", 0)]
    assert (third.status_code, third.get_json()["error"]["code"]) == (429, "too_many_requests")
    assert 0 < left(third.headers["RateLimit"])[2] <= int(third.headers["Retry-After"]) <= 60
    assert ApiClient(app, new_token(app, "another")).ask("GET", "/webhooks").status_code == 200
    assert ApiClient(app).ask("GET", "/comments").status_code == 200


def test_a_comment_counts_for_its_network_and_a_refused_one_does_not(app: Flask, anybody: ApiClient) -> None:
    with app.app_context(), writing() as session:
        preferences.save(session, {"rate": "2"})
    first = anybody.ask("POST", "/comments", COMMENT)
    refused = anybody.ask("POST", "/comments", {"name": ""})
    second, third = (anybody.ask("POST", "/comments", COMMENT) for _ in range(2))
    answers = (first, refused, second, third)
    assert [one.status_code for one in answers] == [201, 422, 201, 429]
    assert [left(one.headers["RateLimit"])[1] for one in answers] == [1, 1, 0, 0]
    assert {one.headers["RateLimit-Policy"] for one in answers} == {'"comments";q=2;w=600'}
    assert 500 < left(third.headers["RateLimit"])[2] <= int(third.headers["Retry-After"])


def test_what_is_not_limited_names_no_limit(anybody: ApiClient) -> None:
    assert "RateLimit" not in anybody.ask("GET", "/comments").headers
