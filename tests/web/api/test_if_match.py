"""A program decides only about what it has read: If-Match holds the ETag of the row."""

from threading import Thread

import pytest
from flask import Flask

from guestbook.storage import row_changes
from guestbook.web import response_headers
from tests.support import factories
from tests.support.api_client import ApiClient, new_token
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


@pytest.fixture(params=["webhooks", "sources"])
def path(each_app: Flask, request: pytest.FixtureRequest) -> str:
    """Return the path of a webhook or source with five deliveries or events."""
    with each_app.app_context():
        is_webhook = request.param == "webhooks"
        row_id = factories.webhook() if is_webhook else factories.source()
        for _ in range(5):
            (factories.delivery if is_webhook else factories.inbound)(row_id)
    return f"/{request.param}/{row_id}"


def count_rows(app: Flask) -> int:
    """Return how many deliveries and inbound events there are."""
    with app.app_context():
        return len(factories.deliveries()) + len(factories.inbound_events())


@pytest.mark.parametrize("batch_size", [2, 500])
def test_a_webhook_or_source_goes_with_all_its_rows_or_stays_with_all(
    each_app: Flask, path: str, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_changes, "BATCH_SIZE", batch_size)
    program = ApiClient(each_app, new_token(each_app))
    assert program.ask("DELETE", path, headers={"If-Match": '"x"'}).status_code == 412
    assert count_rows(each_app) == 5
    assert program.ask("DELETE", path, headers={"If-Match": etag(program, path)}).status_code == 204
    assert count_rows(each_app) == 0
    program.get(path, 404)


def test_no_change_comes_between_the_look_at_the_etag_and_the_deletion(
    each_app: Flask, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = new_token(each_app)
    program, other = ApiClient(each_app, token), ApiClient(each_app, token)
    read = {"If-Match": etag(program, path)}
    refuse, changed = response_headers.refuse_if_changed, []
    change = Thread(target=lambda: changed.append(other.ask("PATCH", path, {"name": "Other"}).status_code))

    def refuse_then_change(document: dict[str, object]) -> None:
        refuse(document)
        if change.ident is None:  # in the DELETE, not in the PATCH
            change.start()
            change.join(1)  # it waits for the lock

    monkeypatch.setattr(response_headers, "refuse_if_changed", refuse_then_change)
    assert program.ask("DELETE", path, headers=read).status_code == 204
    change.join()
    assert changed == [404]
