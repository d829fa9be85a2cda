"""inbox: process, list, show, reprocess."""

import hashlib
import hmac
from datetime import timedelta
from functools import partial

import pytest

from guestbook.lib import clock, verification
from guestbook.storage.models import InboundEvent
from tests.cli.conftest import Process, Shell
from tests.support import factories

COLUMNS = {
    "id", "source_id", "external_id", "event", "sender", "headers", "payload", "encoding", "status",
    "attempts", "claims", "due_at", "claimed_by", "error", "note", "comment_id", "received_at",
    "processed_at", "unproven_bytes", "erased_at",
}  # fmt: skip
BODY = '{"action": "opened", "issue": {"title": "Zoë"}}'
SECRET = "It's a Secret to Everybody"


@pytest.fixture
def source(shell: Shell) -> str:  # noqa: ARG001
    return factories.source(name="GitHub", verify="github", secret=SECRET)


def signed(body: str = BODY, secret: str = SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    return {
        "content-type": "application/json",
        "x-github-event": "issues",
        "x-hub-signature-256": f"sha256={digest}",
    }


def test_process_is_silent_when_all_is_well_and_tells_all_with_v(shell: Shell, source: str) -> None:
    factories.delivery(factories.webhook())
    assert shell("inbox", "process") == ""
    key = factories.inbound(source, headers=signed(), payload=BODY)
    assert shell("inbox", "process") == ""
    assert factories.the(InboundEvent, key).status == "processed"
    other = factories.inbound(source, headers=signed(), payload=BODY)
    lines = shell("inbox", "process", "-v", "--max-seconds", "5").splitlines()
    assert lines[0] == f"{other} issues.opened of GitHub: processed. Logged."
    assert lines[1:] == ["Inbox: processed 1, failed 0."]
    assert (factories.one().status, factories.one().claims) == ("new", 0), "it sends nothing"


def test_process_in_a_process_of_its_own_complains_of_what_the_owner_can_mend(
    shell: Shell,  # noqa: ARG001  it makes the book
    forked: Process,
) -> None:
    source = factories.source(name="Robot", action="comment", template="{{ 1 / 0 }}")
    factories.inbound(source)
    code, said, complained = forked("inbox", "process")
    assert (code, said) == (0, "")
    assert complained.startswith("guestbook: 1 inbound event of source Robot failed. See: ")
    assert f"inbox list --status failed --source {source}" in complained
    assert "Usage: " in forked("inbox", "process", "--max-seconds", "0")[2]


def test_the_list_is_newest_first_with_what_became_of_each(shell: Shell, source: str) -> None:
    old = factories.inbound(source, status="failed", error="The signature does not fit. " * 9)
    new = factories.inbound(
        source, status="processed", note="Logged.", event="issues.opened", sender="octocat"
    )
    lines = shell("inbox", "list").splitlines()
    assert " ".join(lines[0].split()) == "ID RECEIVED SOURCE EVENT SENDER STATUS RESULT"
    received = clock.to_text(factories.the(InboundEvent, new).received_at)
    assert lines[1].split() == [new, received, "GitHub", "issues.opened", "octocat", "processed", "Logged."]
    assert lines[2].startswith(old)
    assert lines[2].endswith(" ".join(["The signature does not fit."] * 9))
    assert shell.ids("inbox", "list") == [new, old]
    assert set(shell.json("inbox", "list")[0]) == COLUMNS - {"payload", "headers", "encoding"}


def test_the_list_has_the_filters_of_the_page(shell: Shell, source: str) -> None:
    one = factories.inbound(source, event="issues.opened", sender="octocat", external_id="id1", note="Kept.")
    two = factories.inbound(source, event="push", sender="hubot", received_at=clock.now() - timedelta(days=3))

    ids = partial(shell.ids, "inbox", "list")
    assert ids("--event", "issues") == ids("--sender", "octo") == ids("--external-id", "id1") == [one]
    assert ids("--since", "2d") == ids("--text", "kept") == [one]
    assert ids("--until", "2d") == [two]
    assert ids("--event", "push", "--sender", "octocat") == []


def test_show_tells_headers_payload_and_how_it_was_verified(shell: Shell, source: str) -> None:
    key = factories.inbound(source, headers=signed(), payload=BODY, status="processed", note="Logged.")
    said = shell("inbox", "show", key[:31])
    for fact in (
        "note          Logged.\n",
        "\nHeaders\n",
        "x-github-event       issues\n",
        "\nVerification: The signature in X-Hub-Signature-256 matches the current secret.\n",
        "\nPayload (JSON, 48 bytes)\n",
        '\n  "issue": {\n    "title": "Zoë"\n',
    ):
        assert fact in said, fact
    document = shell.json("inbox", "show", key)
    assert set(document) == COLUMNS | {"verification"}
    assert (document["payload"], document["encoding"]) == (BODY, "text")
    assert document["verification"]["ok"] is True
    assert {"name": "Secret", "value": "the current secret matches"} in document["verification"]["steps"]
    assert SECRET not in said + str(document)


def test_show_says_why_a_signature_does_not_fit(shell: Shell, source: str) -> None:
    key = factories.inbound(source, headers=signed(secret="another"), payload=BODY)
    sentence = "Verification: The signature in X-Hub-Signature-256 does not match this source's secret"
    assert sentence in shell("inbox", "show", key)
    assert shell.json("inbox", "show", key)["verification"]["ok"] is False


def test_what_stands_for_a_secret_is_hidden(shell: Shell) -> None:
    proof = verification.proof("opensesame", factories.settings().secret_key)
    source = factories.source(verify="token", header="X-Api-Key", secret="opensesame")
    key = factories.inbound(source, headers={"x-api-key": proof})
    document = shell.json("inbox", "show", key)
    assert (document["headers"], document["verification"]["ok"]) == ({"x-api-key": "(hidden)"}, True)
    assert "hmac-sha256" not in shell("inbox", "show", key) + str(document)


def test_bytes_and_long_payloads_are_shown_cut(shell: Shell, source: str) -> None:
    binary = factories.inbound(source, payload="/wAB", encoding="base64")
    assert "\nPayload (hex, 3 bytes)\n0000  ff 00 01" in shell("inbox", "show", binary)
    long = factories.inbound(source, payload="x" * 60_000)
    assert shell("inbox", "show", long).endswith("x\n… (--json shows all of it)\n")
