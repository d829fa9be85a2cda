"""The broker of the tests is what the tests take it for; test_broker_outage kills it and starts it again."""

import amqp
import pytest

from tests.support.rabbitmq import Vhost

pytestmark = pytest.mark.needs("rabbitmq")
QUEUE = "letters"


def test_each_test_has_a_world_of_its_own(vhost: Vhost) -> None:
    assert vhost.depth(QUEUE) == 0
    other = vhost.node.vhost()
    for one in (vhost, other):
        with one.channel() as channel:
            channel.queue_declare(QUEUE, durable=True, auto_delete=False)
    other.put(QUEUE, amqp.Message("hello"))
    assert (vhost.depth(QUEUE), other.depth(QUEUE)) == (0, 1)
    assert other.purge(QUEUE) == 1
    other.drop()
