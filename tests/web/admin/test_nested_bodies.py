"""Bodies made to use up the server: the pages that show them cost no more than what they show."""

import base64
import gzip
import time

import pytest
from flask import Flask

from guestbook.inbound import bins
from guestbook.inbound.bins import CapturedRequest
from guestbook.lib import clock
from guestbook.storage.database import writing
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import text
from tests.web.admin.conftest import Store

NESTED = f"[{','.join(['[' * 900 + ']' * 900] * 555)}]".encode()
BEGINNING = "[\n  [\n    [\n      [\n"
MOST_SECONDS = 2.0  # of CPU; it took 38
MOST_BYTES = 200_000  # of a page


def test_an_inbound_event(app: Flask, owner: Owner) -> None:
    packed = gzip.compress(NESTED)
    assert len(packed) < 3000
    with app.app_context():
        sent = {"payload": base64.b64encode(packed).decode(), "encoding": "base64"}
        key = factories.inbound(factories.source(), headers={"content-encoding": "gzip"}, **sent)
    check(owner, f"/admin/inbox/{key}")


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_a_request_in_a_bin(app: Flask, owner: Owner, kind: str) -> None:
    captured = CapturedRequest("POST", "", "", [("Content-Type", kind)], NESTED, clock.now())
    with app.app_context(), writing() as session:
        bin_id = bins.add(session, {}).id
        bins.capture(session, bin_id, captured)
        key = bins.latest(session, bin_id, 1)[0].id
    check(owner, f"/admin/bins/requests/{key}")


def test_a_delivery(owner: Owner, hook: str, store: Store) -> None:
    # nearly as much as a template may write
    key = store(hook, payload=NESTED[: 30 * 1801 + 1].decode() + "[]]")
    check(owner, f"/admin/deliveries/{key}")


def check(owner: Owner, address: str) -> None:
    start = time.process_time()
    answer = owner.get(address)
    assert time.process_time() - start < MOST_SECONDS
    assert len(answer.data) < MOST_BYTES
    assert BEGINNING in text(owner.page(address))
