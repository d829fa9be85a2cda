"""What an answer means: only 2xx is success, and what else a receiver may ask for."""

from datetime import UTC, datetime

import pytest

from guestbook import answers
from guestbook.answers import Meaning

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def read(status: int, **headers: str) -> Meaning:
    return answers.read(status, {name.replace("_", "-"): value for name, value in headers.items()}, NOW)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_2xx_is_success(status: int) -> None:
    assert read(status) == Meaning(ok=True)


@pytest.mark.parametrize("status", [101, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 500, 599])
def test_everything_else_is_a_failure_that_is_tried_again(status: int) -> None:
    assert read(status) == Meaning(ok=False)


def test_410_means_that_the_receiver_is_gone() -> None:
    assert read(410) == Meaning(ok=False, gone=True)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_receiver_is_left_alone_for_as_long_as_it_asks(status: int) -> None:
    assert read(status, retry_after="120") == Meaning(ok=False, pause=120)
    assert read(status) == Meaning(ok=False)


@pytest.mark.parametrize("status", [200, 301, 404, 500, 501])
def test_retry_after_beside_another_status_pauses_nothing(status: int) -> None:
    assert read(status, retry_after="120").pause == 0


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("wish", ["disable", " Disable ", "DISABLE"])
def test_the_answer_disable_means_gone_whatever_the_status(status: int, wish: str) -> None:
    assert read(status, webhook_delivery=wish) == Meaning(ok=status == 200, gone=True)


@pytest.mark.parametrize("wish", ["abort-message", "Abort-Message\t"])
def test_the_answer_abort_message_ends_this_delivery_alone(wish: str) -> None:
    assert read(400, webhook_delivery=wish) == Meaning(ok=False, abort=True)
    assert read(200, webhook_delivery=wish).ok


def test_another_wish_is_none() -> None:
    assert read(500, webhook_delivery="abort") == Meaning(ok=False)
    assert read(200, webhook_delivery="please") == Meaning(ok=True)


def test_a_busy_receiver_may_ask_for_both() -> None:
    assert read(429, webhook_delivery="abort-message", retry_after="5") == Meaning(
        ok=False, abort=True, pause=5
    )
