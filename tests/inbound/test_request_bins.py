"""Bins: what they keep, what they answer, and that many requests at once are each counted once."""

import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from guestbook.background import whole_pass
from guestbook.inbound import request_bins
from guestbook.inbound.request_bins import BinAnswer, CapturedRequest
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.storage import database, row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import Bin, BinRequest
from tests.support import factories, query_plans
from tests.support.at_once import at_once

AT_ONCE = 12
pytestmark = pytest.mark.usefixtures("any_app")


def made(**fields: Any) -> str:
    return factories.written(lambda session: request_bins.add(session, fields).id)


def captured(number: int = 0, **changes: Any) -> CapturedRequest:
    values = {"method": "POST", "path": f"/{number}", "query": "", "headers": [("Host", "x")], "body": b"{}"}
    return CapturedRequest(**{**values, "received_at": clock.now(), **changes})


def catch(bin_id: str, request: CapturedRequest) -> BinAnswer | None:
    return factories.written(lambda session: request_bins.capture(session, bin_id, request))


def many_at_once(app: Flask, bin_id: str, first: int = 0) -> list[BinAnswer | None]:
    def one(number: int) -> BinAnswer | None:
        return database.retry_conflicts(lambda: catch(bin_id, captured(first + number)))

    return at_once(app, AT_ONCE, one)


def kept(bin_id: str) -> list[BinRequest]:
    db.session.rollback()
    rows = request_bins.latest(db.session(), bin_id, 1000)
    db.session.expunge_all()
    db.session.rollback()
    return rows


@pytest.mark.usefixtures("each_app")
@pytest.mark.parametrize(
    "body",
    [b"", b'{"a": 1}', bytes(range(256)), b"NUL \0 within", b"\xff\xfe", "🐚".encode(), b"\r\n" * 9, b" x "],
    ids=repr,
)
def test_a_body_comes_back_byte_for_byte(body: bytes) -> None:
    bin_id = made()
    headers = [("X-Odd", "caf\xe9 \x01"), ("X-Odd", "\U0001f41a"), ("A", "")]
    catch(bin_id, captured(body=body, headers=headers, query="a=%00&b", method="PROPFIND"))
    [row] = kept(bin_id)
    assert (row.kept, row.size, row.pairs) == (body, len(body), headers)
    assert (row.method, row.path, row.query, row.answered) == ("PROPFIND", "/0", "a=%00&b", 200)


@pytest.mark.usefixtures("each_app")
@pytest.mark.parametrize("filling", [b"x", b"\0", "🐚".encode()], ids=["text", "binary", "emoji"])
def test_of_a_long_body_the_beginning_is_kept_and_the_size_counts_all(filling: bytes) -> None:
    bin_id, body = made(), b"!" + filling * 300_000
    catch(bin_id, captured(body=body))
    [row] = kept(bin_id)
    assert (row.kept, row.size) == (body[: request_bins.BODY_KEPT], len(body))


def test_so_many_fail_and_the_rest_succeed_also_when_all_come_at_once(each_app: Flask) -> None:
    bin_id = made(fail=5, status=202)
    answers = many_at_once(each_app, bin_id)
    assert Counter(answer.status for answer in answers) == {500: 5, 202: AT_ONCE - 5}
    rows = kept(bin_id)
    assert Counter(row.answered for row in rows) == {500: 5, 202: AT_ONCE - 5}
    assert {row.path for row in rows} == {f"/{number}" for number in range(AT_ONCE)}
    assert db.session.get_one(Bin, bin_id).failures_left == 0


def test_no_more_are_kept_than_the_limit(each_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_bins, "REQUESTS_KEPT", 10)
    full, other = made(), made()
    catch(other, captured())
    for number in range(9):
        catch(full, captured(number))
    many_at_once(each_app, full, 100)
    rows = kept(full)
    assert len(rows) == 10
    assert all(int(row.path[1:]) >= 100 for row in rows)
    assert len(kept(other)) == 1


@pytest.mark.usefixtures("each_app")
def test_what_is_older_than_seven_days_is_pruned() -> None:
    bin_id = made()
    for days in (8, 6):
        catch(bin_id, captured(days, received_at=clock.now() - timedelta(days=days)))
    db.session.remove()
    assert whole_pass.prune(db.engine, factories.settings(), until=time.monotonic() + 60) == 1
    assert [row.path for row in kept(bin_id)] == ["/6"]


@pytest.mark.usefixtures("each_app")
def test_the_oldest_are_found_by_the_index() -> None:
    bin_id = made()
    catch(bin_id, captured())
    with query_plans.statements() as seen:
        catch(bin_id, captured())
    [(statement, values)] = [one for one in seen if "OFFSET" in one[0] or "LIMIT" in one[0]]
    if db.engine.dialect.name != "sqlite":  # which plans without looking at how many rows there are
        return
    plan = query_plans.explain(statement, values)
    assert "USING COVERING INDEX bin_requests_by_bin" in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.usefixtures("each_app")
def test_a_bin_is_cleared_and_deleted_alone() -> None:
    one, other = made(), made()
    for bin_id in (one, one, other):
        catch(bin_id, captured())
    with writing() as session:
        assert request_bins.clear(session, one) == 2
        assert row_changes.delete_next(session.connection(), Bin, one) == (0, True)
    assert catch(one, captured()) is None
    assert [(key, number) for key, (number, _) in request_bins.held(db.session()).items()] == [(other, 1)]


WRONG = {  # by the beginning of the sentence
    "The name must have 1 to 80 characters.": ("name", " \u200b", "x" * 81),
    "The status must be a number from 200 to 599.": ("status", "199", "600", "2e2", "200.5", ""),
    "The body must have at most 4,000 characters.": ("body", "x" * 4001),
    "The body must be text without NUL.": ("body", "\0", "\ud800"),
    "The content type must be one of text/plain, ": (
        *("type", "text/html", "text/html; text/plain", "image/svg+xml"),
        *("text/plain; charset=latin-1", "text/plain;\nX-More: 1"),
    ),
    "The delay must be a number of seconds from 0 to 5.": ("delay", "5.1", "nan", "-1"),
    "The failures must be a number from 0 to 1,000.": ("fail", "1001", "-1", "٣"),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_what_a_bin_cannot_be_set_to_is_refused_by_field(sentence: str) -> None:
    field, *values = WRONG[sentence]
    for value in values:
        with pytest.raises(Refused) as refused:
            made(**{field: value})
        assert refused.value.fields[field].startswith(sentence)


def test_all_fields_are_changed_or_none() -> None:
    bin_id = made(name="one")
    with pytest.raises(Refused), writing() as session:
        request_bins.update(session, session.get_one(Bin, bin_id), {"name": "two", "delay": "9", "fail": "x"})
    assert db.session.get_one(Bin, bin_id).name == "one"
    with writing() as session:
        request_bins.update(session, session.get_one(Bin, bin_id), {"name": "two", "fail": "3"})
    row = db.session.get_one(Bin, bin_id)
    assert (row.name, row.failures_left, row.answer_status) == ("two", 3, 200)
