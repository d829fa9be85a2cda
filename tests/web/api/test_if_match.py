"""A program decides only about what it has read: If-Match holds the ETag of the comment."""

import pytest
from flask import Flask

from tests.support.api_client import ApiClient
from tests.support.visitor import add, stored

CHANGES = {"PATCH": {"message": "Goodbye"}, "DELETE": None}
DONE = {"PATCH": 200, "DELETE": 204}
each_method = pytest.mark.parametrize("method", CHANGES)


def etag(program: ApiClient, url: str) -> str:
    return str(program.ask("GET", url).headers["ETag"])


@each_method
def test_a_comment_that_changed_since_it_was_read_stays(app: Flask, program: ApiClient, method: str) -> None:
    [row_id] = add(app, ["Hello"])
    url = f"/comments/{row_id}"
    read = etag(program, url)
    program.patch(url, {"reply": "Welcome!"})
    answer = program.ask(method, url, CHANGES[method], headers={"If-Match": read})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (412, "precondition_failed")
    assert "Nothing was changed." in answer.get_json()["error"]["message"]
    assert [row.message for row in stored(app)] == ["Hello"]


@each_method
@pytest.mark.parametrize("given", ["{}", '"x", {}', "W/{}", "*", ""])
def test_one_that_did_not_is_changed(app: Flask, program: ApiClient, method: str, given: str) -> None:
    [row_id] = add(app, ["Hello"])
    url = f"/comments/{row_id}"
    headers = {"If-Match": given.format(etag(program, url))}
    assert program.ask(method, url, CHANGES[method], headers=headers).status_code == DONE[method]


@each_method
@pytest.mark.parametrize("given", ['"x"', "x", 'W/""', "\ufffd" * 2000, ", " * 2000 + '"x'])
def test_an_etag_that_none_ever_had_fits_nothing(
    app: Flask, program: ApiClient, method: str, given: str
) -> None:
    [row_id] = add(app, ["Hello"])
    headers = {"If-Match": given}
    assert program.ask(method, f"/comments/{row_id}", CHANGES[method], headers=headers).status_code == 412


@each_method
def test_what_is_not_there_is_404_whatever_it_should_match(program: ApiClient, method: str) -> None:
    answer = program.ask(method, f"/comments/{'0' * 32}", CHANGES[method], headers={"If-Match": "*"})
    assert answer.status_code == 404
