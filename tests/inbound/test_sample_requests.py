"""Samples to a source: signed as its sender signs, stored by the receiver's code, processed by the pass."""

from typing import Any

import pytest
from sqlalchemy import delete

from guestbook.inbound import ingest, samples, sources
from guestbook.inbound.samples import SAMPLE_AGENT, SAMPLES, SampleEvent
from guestbook.inbound.sender_presets import SENDER_PRESETS
from guestbook.lib.errors import Refused
from guestbook.lib.verification.kinds import ED25519
from guestbook.storage.database import db
from guestbook.storage.models import Comment, InboundEvent, Source
from tests.support import factories, inbound_factories

STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
UNSIGNED = {"twilio", "mailgun", "square", "microsoft-graph", "twitch"}  # headers alone do not prove them
SIGNED = [name for name, one in SENDER_PRESETS.items() if one.verify != ED25519 and name not in UNSIGNED]
pytestmark = pytest.mark.usefixtures("any_app")


def source(name: str, **fields: Any) -> str:
    given = {"name": name, "preset": name, "secret": STANDARD, **fields}
    return factories.written(lambda session: sources.add(session, given).id)


def find(row_id: str) -> Source:
    return db.session.get_one(Source, row_id)


def choices(row_id: str) -> dict[str, SampleEvent]:
    return samples.choices(find(row_id))


def send(row_id: str, event: str | None = None) -> InboundEvent:
    """Send a sample, let a pass process it, and return what became of it."""
    event_id = samples.send_sample(find(row_id), factories.settings(), event)
    assert factories.the(InboundEvent, event_id).status == "new"
    inbound_factories.process()
    return factories.the(InboundEvent, event_id)


def refusal(row: Source, event: str | None = None) -> str:
    with pytest.raises(Refused) as raised:
        samples.send_sample(row, factories.settings(), event)
    assert factories.inbound_events() == []
    return str(raised.value)


@pytest.mark.parametrize("name", SIGNED)
def test_a_sample_of_each_sender_is_genuine(name: str) -> None:
    row = send(source(name))
    assert (row.status, row.error, row.note) == ("processed", None, "Logged.")
    assert row.headers["user-agent"] == SAMPLE_AGENT


@pytest.mark.parametrize("name", [name for name in SAMPLES if name in SIGNED])
def test_the_samples_of_a_sender_are_those_that_it_sends_and_each_is_a_new_event(name: str) -> None:
    row = source(name)
    assert {sample.sender for sample in choices(row).values()} == {name}
    first, second = send(row), send(row)
    assert first.external_id
    assert second.external_id
    assert (first.external_id != second.external_id, second.status) == (True, "processed")
    assert first.event == second.event == next(iter(choices(row)))


def test_every_event_of_github_can_be_chosen_and_is_named_as_in_the_inbox() -> None:
    row = source("github")
    names = list(choices(row))
    assert len(names) == len(SAMPLES["github"]) > 10
    assert [send(row, name).event for name in names] == names


@pytest.mark.parametrize("name", ["github", "gitea", "gitlab", "guestbook", "stripe", "shopify"])
def test_with_a_source_that_makes_comments_each_sample_becomes_one(name: str) -> None:
    row = source(name, action="comment")
    rows = send(row), send(row)
    assert [one.note for one in rows] == ["It became a comment."] * 2
    assert len({factories.the(Comment, str(one.comment_id)).id for one in rows}) == 2


def test_a_source_of_another_sender_takes_all_samples_and_plain_fields_first() -> None:
    row = source("linear")
    assert next(iter(choices(row))) == "plain"
    assert {"issues.opened", "checkout.session.completed", "message"} <= set(choices(row))
    assert send(row, "checkout.session.completed").status == "processed"
    nothing = source("github", preset="", verify="none", secret=None)
    assert send(nothing).status == "processed"


def test_what_cannot_be_sent_is_refused() -> None:
    key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    sentence = "only its sender has the private key that signs. Let the sender send a test."
    assert sentence in refusal(find(source("discord", secret=key)))
    assert sentence in refusal(find(source("guestbook", secret="whpk_" + key)))
    for name in UNSIGNED:
        assert refusal(find(source(name))).endswith("how this sender signs. Let the sender send a test.")
    assert "added this source for webmentions" in refusal(Source(action="webmention", verify="none"))
    sentence = "There is no sample 'coffee'. Choose one of: message."
    assert refusal(find(source("slack")), "coffee") == sentence


def test_a_source_that_is_full_or_gone_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    row = source("github")
    monkeypatch.setattr(ingest, "MOST_WAITING", 1)
    monkeypatch.setattr(ingest, "GENUINE_RESERVE", 2)
    for _ in range(2):  # the second one is genuine, so it may use the reserve
        samples.send_sample(find(row), factories.settings())
    with pytest.raises(Refused, match="webhooks of this source wait to be processed"):
        samples.send_sample(find(row), factories.settings())
    gone = find(source("gitea"))
    factories.execute(delete(Source).where(Source.id == gone.id))
    with pytest.raises(Refused, match="has just been deleted"):
        samples.send_sample(gone, factories.settings())
