"""No token sees an address with which it could do more than its scope."""

import base64
import re

import pytest
from flask import Flask

from guestbook.auth import api_tokens
from guestbook.outbound import receiver_links
from guestbook.storage.database import writing
from guestbook.storage.models import Webhook
from guestbook.web.api.api_call import PENDING
from guestbook.web.api.document import CALLS
from tests.support import factories
from tests.support.api_client import ApiClient

SLACK = "https://hooks.slack.com/services/T0001/B0001/letmeinletmein"
NTFY = "https://ntfy.sh/?topic=letmein"
LINK_TO_MODERATE = "/moderate/" + "0" * 88


@pytest.fixture
def filled(app: Flask, program: ApiClient) -> tuple[dict[str, str], list[str]]:
    """Fill a book with secret addresses wherever one may stand. Return ids by variable, and the secrets."""
    source = program.post("/sources", {"name": "x", "verify": "none"})
    verified = program.post("/sources", {"name": "y", "verify": "github", "secret": "opensesame"})
    bin_ = program.post("/bins", {"name": "x"})
    with app.app_context():
        webhook_id, ntfy = factories.webhook(SLACK), factories.webhook(NTFY, format="ntfy")
        with writing() as session:
            link = receiver_links.add(session, session.get_one(Webhook, webhook_id))
            addresses = [receiver_links.url(link, factories.settings()), LINK_TO_MODERATE]
        addresses += [one["url"] for one in (source, verified, bin_)]
        said = "\n".join((*addresses, *(one.replace("/", "\\/") for one in addresses)))
        delivery_id = factories.delivery(webhook_id, payload=said)
        answer = {
            "response_body": f"{SLACK} {said}",
            "response_headers": {"Location": SLACK},
            "error": addresses[0],
        }
        factories.attempt(delivery_id, **answer)
        topic = factories.delivery(ntfy, payload='{"topic": "letmein", "title": "Hi"}')
        factories.attempt(topic, response_body='{"id":"x","topic":"letmein"}')
        bytes_ = base64.b64encode(b"\xff" + said.encode()).decode()
        event_id = factories.inbound(source["id"], payload=bytes_, encoding="base64", error=addresses[0])
    program.client.post(bin_["url"] + "/a?key=letmein", data=said)
    [request] = program.get(f"/bins/{bin_['id']}/requests")["requests"]
    ids = {"webhook_id": webhook_id, "source_id": source["id"], "bin_id": bin_["id"], "event_id": event_id}
    ids |= {"delivery_id": delivery_id, "request_id": request["id"], "event_name": "ping", "topic": topic}
    secrets = [one.rpartition("/")[2] for one in addresses]
    return ids, ["letmein", *secrets]


def all_that_is_read(client: ApiClient, ids: dict[str, str]) -> str:
    """The answers to all calls that read, with whatever base64 carries in clear."""
    reading = [one.removeprefix("GET ") for one in CALLS if one.startswith("GET ") and one != PENDING]
    paths = [re.sub("{(.*?)}", lambda found: ids.get(found[1], ""), one) for one in reading]
    paths = [one for one in paths if not one.endswith("/") and "//" not in one]
    texts = [client.ask("GET", one).text for one in [*paths, f"/deliveries/{ids['topic']}"]]
    packed = client.get(f"/inbox/{ids['event_id']}")["payload"]
    return "\n".join([*texts, base64.b64decode(packed).decode("latin-1")])


@pytest.mark.parametrize("scope", ["read", "moderate", "manage"])
def test_a_token_sees_no_address_with_which_it_could_do_more(
    app: Flask, filled: tuple[dict[str, str], list[str]], scope: str
) -> None:
    ids, secrets = filled
    with app.app_context(), writing() as session:
        client = ApiClient(app, api_tokens.add(session, "x", scope=scope)[1])
    seen = all_that_is_read(client, ids)
    may_see = {"read": [], "moderate": ["0" * 88], "manage": secrets}[scope]
    assert [one for one in secrets if one in seen] == [one for one in secrets if one in may_see]
    shown = client.get(f"/webhooks/{ids['webhook_id']}")["url"]
    assert shown == (SLACK if scope == "manage" else "https://hooks.slack.com/(hidden)")


def test_who_may_moderate_may_change_the_version_that_was_shown(app: Flask) -> None:
    with app.app_context():
        comment_id = factories.sign(f"See https://book.example/bin/{'x' * 32}")
        with writing() as session:
            client = ApiClient(app, api_tokens.add(session, "x", scope="moderate")[1])
    path = f"/comments/{comment_id}"
    read = client.ask("GET", path)
    assert read.get_json()["message"].endswith("/bin/(hidden)")
    changed = client.ask("PATCH", path, {"reply": "Hi"}, headers={"If-Match": read.headers["ETag"]})
    assert changed.status_code == 200
