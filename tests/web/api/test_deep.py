"""Bodies whose lists are as deep as they can be read."""

from flask import Flask

from guestbook import tokens
from guestbook.database import writing


def test_lists_that_are_deep_and_alike_are_refused(app: Flask) -> None:
    deep = "[" * 500 + "]" * 500
    with app.app_context(), writing() as session:
        _, token = tokens.add(session, "A program")
    answer = app.test_client().post(
        "/api/v1/webhooks",
        data=f'{{"url": "http://receiver.example/", "events": [{deep}, {deep}]}}',
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 400
