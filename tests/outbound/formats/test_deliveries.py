"""Deliveries in each format, to a receiver that answers as the service does."""

import pytest

from guestbook.outbound.formats import CHAT_FORMATS
from guestbook.storage.models import Webhook
from tests.outbound.formats.cases import said
from tests.support import factories
from tests.support.owned_webhooks import add, update
from tests.support.receiver import Answer, Receiver

TEMPLATE = '{"note": {{ comment.message|tojson }}}'
MESSAGE = "Hello *there* <@U1>"
# What the owner pastes, where it goes, and how the service says that it has it.
SERVICES: dict[str, tuple[str, str, Answer]] = {
    "slack": ("/services/T/B/x", "/services/T/B/x", Answer(200, body=b"ok")),
    "discord": ("/api/webhooks/1/x", "/api/webhooks/1/x?wait=true", Answer(200, body=b'{"id": "1"}')),
    "teams": ("/workflows/1?sig=x", "/workflows/1?sig=x", Answer(202, body=b"")),
    "mattermost": ("/hooks/x", "/hooks/x", Answer(200, body=b"ok")),
    "ntfy": ("/my-topic", "/?topic=my-topic", Answer(200, body=b'{"id": "x"}')),
    "telegram": (
        "/bot1:a/sendMessage?chat_id=5",
        "/bot1:a/sendMessage?chat_id=5",
        Answer(200, body=b'{"ok":true,"result":{}}'),
    ),
}


@pytest.mark.usefixtures("app")
def test_each_service_gets_the_comment_at_its_address_in_its_format(receiver: Receiver) -> None:
    assert {*SERVICES} == {*CHAT_FORMATS}
    for name, (pasted, place, answer) in SERVICES.items():
        receiver.answer(place, answer)
        add(receiver.url(pasted), format=name)
    add(receiver.url("/template"), format="template", template=TEMPLATE)
    add(receiver.url("/json"))
    factories.sign(MESSAGE)
    factories.run_pass()
    assert {(row.status, row.last_error) for row in factories.deliveries()} == {("processed", None)}
    assert len(receiver.requests) == len(SERVICES) + 2
    for name, (_, place, _) in SERVICES.items():
        [request] = receiver.at(place)
        assert request.headers["content-type"] == "application/json"
        assert "Hello " in said(name, request.json)
    assert receiver.at("/template")[0].json == {"note": MESSAGE}
    assert receiver.at("/json")[0].json["data"]["comment"]["message"] == MESSAGE


@pytest.mark.usefixtures("app")
def test_a_deleted_webhook_of_discord_is_disabled_at_once(receiver: Receiver) -> None:
    hook, other = (add(receiver.url("/gone"), format=name).id for name in ("discord", "json"))
    for place in ("/gone", "/gone?wait=true"):
        receiver.answer(place, Answer(404, body=b'{"code": 10015}'))
    factories.sign()
    factories.run_pass()
    assert factories.the(Webhook, hook).disabled_reason == "gone"
    assert factories.the(Webhook, other).disabled_reason is None


@pytest.mark.usefixtures("app")
def test_a_pass_reads_the_answers_in_the_format_that_a_webhook_has_now(receiver: Receiver) -> None:
    hook = add(receiver.url("/bot1:a/sendMessage?chat_id=5"), format="telegram")
    receiver.answer("/bot1:a/sendMessage?chat_id=5", Answer(200, body=b'{"ok":false}'))
    factories.sign()
    factories.run_pass()
    assert factories.one().last_error == 'The receiver answered 200, but not that it is "ok".'
    update(hook, format="json")
    factories.all_due()
    factories.run_pass()
    assert factories.one().status == "processed"
