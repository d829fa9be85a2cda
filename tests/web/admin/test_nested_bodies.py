"""Bodies made to use up the server: the pages that show them cost no more than what they show."""

import base64
import gzip
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import Visitor, text
from tests.web.admin.conftest import store
from tests.web.admin.test_bins import added, send

NESTED = f"[{','.join(['[' * 900 + ']' * 900] * 555)}]".encode()
BEGINNING = "[\n  [\n    [\n      [\n"
MOST_SECONDS = 2.0  # of CPU; it took 38
MOST_BYTES = 200_000  # of a page


def test_an_inbound_event(owner: Owner) -> None:
    packed = gzip.compress(NESTED)
    assert len(packed) < 3000
    sent = {"payload": base64.b64encode(packed).decode(), "encoding": "base64"}
    key = factories.inbound(factories.source(), headers={"content-encoding": "gzip"}, **sent)
    check(owner, f"/admin/inbox/{key}")


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_a_request_in_a_bin(owner: Owner, kind: str) -> None:
    key = send(added(owner), NESTED, headers=[("Content-Type", kind)])
    check(owner, f"/admin/bins/requests/{key}")


def test_a_delivery(owner: Owner, hook: str) -> None:
    # nearly as much as a template may write
    key = store(hook, payload=NESTED[: 30 * 1801 + 1].decode() + "[]]")
    check(owner, f"/admin/deliveries/{key}")


def test_another_visitor_is_answered_meanwhile(owner: Owner) -> None:
    key = factories.inbound(factories.source(), payload=NESTED.decode())
    waits: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        looks = [pool.submit(owner.get, f"/admin/inbox/{key}") for _ in range(4)]
        while not waits or not all(look.done() for look in looks):
            began = time.monotonic()
            assert Visitor(owner.app).get("/").status_code == 200
            waits.append(time.monotonic() - began)
    assert {look.result().status_code for look in looks} == {200}
    assert max(waits) < 5, waits  # no step of the other thread takes so long


def check(owner: Owner, address: str) -> None:
    start = time.process_time()
    answer = owner.get(address)
    assert time.process_time() - start < MOST_SECONDS
    assert len(answer.data) < MOST_BYTES
    assert BEGINNING in text(owner.page(address))
