"""What arrived at a receiver of `scripts/bench` is compared with the deliveries, one by one."""

import click
import pytest

from scripts.benchmarks.support import raw_client, receivers
from scripts.benchmarks.support.receivers import Behaviour, Memory

WANTED = [("/hooks/0", "aa"), ("/hooks/1", "aa"), ("/hooks/0", "bb")]


def memory(*found: tuple[str, str]) -> Memory:
    return Memory([(path.encode(), event.encode()) for path, event in found])


def test_all_of_them_in_any_order_are_fine() -> None:
    receivers.check(memory(*reversed(WANTED)), WANTED)


@pytest.mark.parametrize(
    ("found", "listed"),
    [
        (WANTED[:2], "1 never arrived"),
        ([*WANTED, WANTED[0], WANTED[0]], "2 arrived again"),
        ([*WANTED, ("/hooks/2", "aa")], "1 arrived that nobody sent"),
        ([WANTED[0], WANTED[0], WANTED[2]], "1 never arrived, 1 arrived again"),  # as many as were wanted
    ],
)
def test_what_is_lost_doubled_or_unknown_ends_the_bench(found: list[tuple[str, str]], listed: str) -> None:
    with pytest.raises(click.ClickException) as raised:
        receivers.check(memory(*found), WANTED)
    assert raised.value.message == f"Of 3 deliveries, each must arrive once: {listed}."


def test_a_receiver_knows_what_has_arrived_since_its_reset() -> None:
    with receivers.running(Behaviour()) as receiver:
        port = receiver.ports[0]
        sent = [
            raw_client.request(port, path, {"Webhook-ID": event, "X-Last": "1"}, b"body")
            for path, event in WANTED
        ]
        assert raw_client.exchange(port, sent[:1], 1).statuses == {"200": 1}
        receiver.reset()
        assert receiver.count == 0
        assert raw_client.exchange(port, sent, 2).statuses == {"200": 3}
        assert receiver.count == 3
        receivers.check(receiver.memories()[0], WANTED)
        assert receiver.memories()[0].requests == {"aa": 2, "bb": 1}
