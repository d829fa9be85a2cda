"""Scripts of other websites read what is public; those of allowed websites may make every call."""

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.support.api_client import NOBODY, ApiClient
from tests.support.visitor import set_

SITE, STRANGER = "https://one.example", "https://two.example"
COMMENT = {"name": "Ada", "message": "Hello"}


@pytest.fixture(autouse=True)
def _allowed(app: Flask) -> None:  # noqa: ARG001  the factories fill it
    set_(embed_sites=SITE)


def preflight(anybody: ApiClient, path: str, method: str, origin: str) -> TestResponse:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "content-type"}
    return anybody.ask("OPTIONS", path, headers={"Origin": origin, **asked})


@pytest.mark.parametrize(
    ("path", "method"), [("/comments", "POST"), ("/webhooks", "POST"), (f"/comments/{NOBODY}", "PATCH")]
)
def test_a_preflight_says_what_an_allowed_site_may_send(anybody: ApiClient, path: str, method: str) -> None:
    answer = preflight(anybody, path, method, SITE)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == SITE
    assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert {"Content-Type", "Idempotency-Key", "Authorization"} <= set(
        answer.headers["Access-Control-Allow-Headers"].split(", ")
    )
    assert "Origin" in answer.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", [STRANGER, "null", "https://one.example.evil.example", "http://one.example"]
)
def test_another_website_is_not_allowed_to_send(anybody: ApiClient, origin: str) -> None:
    for path, method in (("/comments", "POST"), ("/webhooks", "GET"), ("/comments", "GET")):
        answer = preflight(anybody, path, method, origin)
        assert [name for name in dict(answer.headers) if name.startswith("Access-Control-")] == []


def test_an_allowed_website_reads_answers_and_errors_of_what_it_sent(anybody: ApiClient) -> None:
    for body, status in ((COMMENT, 201), ({}, 422)):
        answer = anybody.ask("POST", "/comments", body, headers={"Origin": SITE})
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (status, SITE)
        assert "RateLimit" in answer.headers["Access-Control-Expose-Headers"]
        other = anybody.ask("POST", "/comments", body, headers={"Origin": STRANGER})
        assert "Access-Control-Allow-Origin" not in other.headers


def test_with_a_token_only_an_allowed_website_reads(program: ApiClient) -> None:
    asked = [program.ask("GET", "/webhooks", headers={"Origin": one}) for one in (SITE, STRANGER)]
    assert [one.headers.get("Access-Control-Allow-Origin") for one in asked] == [SITE, None]
