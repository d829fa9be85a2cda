"""The broker of the tests is what the tests take it for."""

import amqp
import pytest

from tests.support.rabbitmq import Vhost

pytestmark = pytest.mark.needs("rabbitmq")
QUEUE = "letters"


def test_a_persistent_message_in_a_durable_queue_is_there_after_the_broker_was_killed(vhost: Vhost) -> None:
    with vhost.channel() as channel:
        channel.queue_declare(QUEUE, durable=True, auto_delete=False)
    vhost.put(QUEUE, amqp.Message("kept", delivery_mode=2))
    vhost.put(QUEUE, amqp.Message("lost", delivery_mode=1))
    vhost.node.kill()
    with pytest.raises(OSError, match="refused"):
        vhost.depth(QUEUE)
    vhost.node.start()
    assert vhost.depth(QUEUE) == 1
    message = vhost.take(QUEUE)
    assert message
    assert message.body == "kept"


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
