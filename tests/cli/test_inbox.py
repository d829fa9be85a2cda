"""inbox: process, list, show, reprocess."""

import hashlib
import hmac
from datetime import timedelta

import pytest

from guestbook.lib import clock
from guestbook.lib.verification import verify_signature
from guestbook.queue import redelivery
from guestbook.storage.models import InboundEvent
from tests.cli.conftest import Process, Shell
from tests.support import factories

HOUR = timedelta(hours=1)
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


def test_an_empty_list_says_so(shell: Shell) -> None:
    assert shell("inbox", "list") == "No inbound events yet.\n"
    assert shell.json("inbox", "list") == []


@pytest.mark.parametrize("option", ["--text=x", "--status=failed", "--since=1h"])
def test_an_empty_list_of_what_was_sought_does_not_say_that_there_is_nothing(
    shell: Shell, option: str
) -> None:
    assert shell("inbox", "list", option) == "No such event.\n"


def test_process_is_silent_when_all_is_well_and_tells_all_with_v(shell: Shell, source: str) -> None:
    assert shell("inbox", "process") == ""
    key = factories.inbound(source, headers=signed(), payload=BODY)
    assert shell("inbox", "process") == ""
    assert factories.the(InboundEvent, key).status == "processed"
    other = factories.inbound(source, headers=signed(), payload=BODY)
    lines = shell("inbox", "process", "-v", "--max-seconds", "5").splitlines()
    assert lines == [
        f"{other} issues.opened of GitHub: processed. Logged.",
        "Inbox: processed 1, failed 0.",
    ]


def test_process_sends_nothing(shell: Shell) -> None:
    factories.delivery(factories.webhook())
    factories.inbound(factories.source())
    assert shell("inbox", "process") == ""
    assert (factories.one().status, factories.one().claims) == ("new", 0)
    assert factories.inbound_events()[0].status == "processed"


def test_process_in_a_process_of_its_own_complains_of_what_the_owner_can_mend(
    shell: Shell,  # noqa: ARG001
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
    assert lines[0].split() == [
        "ID", "RECEIVED", "SOURCE", "EVENT", "SENDER", "STATUS", "RESULT",
    ]  # fmt: skip
    row = factories.the(InboundEvent, new)
    received = clock.to_text(row.received_at)
    assert lines[1].split() == [new, received, "GitHub", "issues.opened", "octocat", "processed", "Logged."]
    assert lines[2].startswith(old)
    assert lines[2].endswith(" ".join(["The signature does not fit."] * 9))
    assert [row["id"] for row in shell.json("inbox", "list")] == [new, old]
    assert set(shell.json("inbox", "list")[0]) == COLUMNS - {"payload", "headers", "encoding"}


def test_the_list_has_the_filters_of_the_page(shell: Shell, source: str) -> None:
    one = factories.inbound(source, event="issues.opened", sender="octocat", external_id="id1", note="Kept.")
    two = factories.inbound(source, event="push", sender="hubot", received_at=clock.now() - timedelta(days=3))

    def ids(*options: str) -> list[str]:
        return [row["id"] for row in shell.json("inbox", "list", *options)]

    assert ids("--event", "issues") == ids("--sender", "octo") == ids("--external-id", "id1") == [one]
    assert ids("--since", "2d") == ids("--text", "kept") == [one]
    assert ids("--until", "2d") == [two]
    assert ids("--event", "push", "--sender", "octocat") == []


def test_the_list_can_be_narrowed(shell: Shell, source: str) -> None:
    other = factories.source()
    mine = [factories.inbound(source, status=status) for status in ("new", "failed", "processed", "failed")]
    factories.inbound(other, status="failed")

    def ids(*options: str) -> list[str]:
        return [row["id"] for row in shell.json("inbox", "list", *options)]

    assert ids("--status", "failed", "--source", source) == [mine[3], mine[1]]
    assert ids("--source", source, "--limit", "2") == [mine[3], mine[2]]
    assert len(ids("--status", "failed")) == 3
    assert "No source has the id or the name 0123." in shell.refused("inbox", "list", "--source", "0123")
    for wrong in (("--status", "sent"), ("--limit", "0"), ("--limit", "10001")):
        assert "Usage: " in shell.refused("inbox", "list", *wrong, code=2)


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
    said = shell("inbox", "show", key)
    assert "Verification: The signature in X-Hub-Signature-256 does not match this source's secret" in said
    assert shell.json("inbox", "show", key)["verification"]["ok"] is False


def test_what_stands_for_a_secret_is_hidden(shell: Shell) -> None:
    proof = verify_signature.proof("opensesame", factories.settings().secret_key)
    source = factories.source(verify="token", header="X-Api-Key", secret="opensesame")
    key = factories.inbound(source, headers={"x-api-key": proof})
    document = shell.json("inbox", "show", key)
    assert document["headers"] == {"x-api-key": "(hidden)"}
    assert document["verification"]["ok"] is True
    assert "hmac-sha256" not in shell("inbox", "show", key) + str(document)


HOSTILE = "\x1b]0;title\x07\x9b31mred\x7f\u202eback\r\nline\u2028 🎈"


def test_what_others_send_is_inert_on_a_terminal(shell: Shell, source: str) -> None:
    words = {"event": HOSTILE, "sender": HOSTILE, "external_id": HOSTILE, "error": HOSTILE}
    key = factories.inbound(source, headers={HOSTILE: HOSTILE}, payload=HOSTILE, status="failed", **words)
    for arguments in (("show", key), ("list",), ("show", key, "--json"), ("list", "--json")):
        said = shell("inbox", *arguments)
        assert all(letter.isprintable() or letter == "\n" for letter in said)
        assert "🎈" in said
    assert shell.json("inbox", "show", key)["payload"] == HOSTILE


def test_bytes_and_long_payloads_are_shown_cut(shell: Shell, source: str) -> None:
    binary = factories.inbound(source, payload="/wAB", encoding="base64")
    assert "\nPayload (hex, 3 bytes)\n0000  ff 00 01" in shell("inbox", "show", binary)
    long = factories.inbound(source, payload="x" * 60_000)
    assert shell("inbox", "show", long).endswith("x\n… (--json shows all of it)\n")


def test_reprocess_makes_them_due_again(shell: Shell, source: str) -> None:
    one, two = factories.inbound(source, status="failed"), factories.inbound(source, status="processed")
    assert shell("inbox", "reprocess", one[:31]) == "Will reprocess 1 inbound event with the next pass.\n"
    said = shell("inbox", "reprocess", one, two, two)
    assert said == "Will reprocess 2 inbound events with the next pass.\n"
    assert {row.status for row in factories.inbound_events()} == {"new"}


def test_reprocess_with_one_id_that_is_none_does_nothing(shell: Shell, source: str) -> None:
    one = factories.inbound(source, status="failed")
    assert "No inbound event has the id 0000." in shell.refused("inbox", "reprocess", one, "0000")
    assert "No inbound event has the id ''." in shell.refused("inbox", "show", "")
    assert factories.the(InboundEvent, one).status == "failed"


def test_reprocess_says_what_waits_and_what_is_in_hand(shell: Shell) -> None:
    asleep = factories.source(name="Asleep", disabled_at=clock.now())
    one = factories.inbound(asleep, status="failed")
    two = factories.inbound(asleep, claimed_by="a pass", claims=1, due_at=clock.now() + HOUR)
    assert shell("inbox", "reprocess", one, two).splitlines() == [
        "Will reprocess 1 inbound event with the next pass.",
        "Left alone, because a pass is processing it now: 1 inbound event.",
        "The source Asleep is disabled: what it sent waits until it is enabled.",
    ]
    assert factories.the(InboundEvent, two).claimed_by == "a pass"


def test_reprocess_failed_takes_those_and_can_be_narrowed(
    shell: Shell, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redelivery, "REQUEUE_BATCH", 2)
    other, now = factories.source(), clock.now()
    for hours in range(5):
        factories.inbound(source, status="failed", received_at=now - (hours + 0.5) * HOUR)
    factories.inbound(other, status="failed")
    factories.inbound(source, status="processed")

    def would(*options: str) -> str:
        return shell("inbox", "reprocess", "--failed", "--dry-run", *options)

    assert would() == "Would reprocess 6 inbound events.\n"
    assert would("--source", other) == "Would reprocess 1 inbound event.\n"
    assert would("--source", source, "--since", "3h") == "Would reprocess 3 inbound events.\n"
    assert {row.status for row in factories.inbound_events()} == {"failed", "processed"}
    said = shell("inbox", "reprocess", "--failed", "--source", source)
    assert said == "Will reprocess 5 inbound events with the next pass.\n"
    assert sorted(row.status for row in factories.inbound_events()) == ["failed"] + ["new"] * 5 + [
        "processed"
    ]


def test_what_failed_is_worked_through_once_its_source_is_mended(shell: Shell) -> None:
    source = factories.source(verify="github", secret="the wrong one")
    key = factories.inbound(source, headers=signed(), payload=BODY)
    shell("inbox", "process")
    assert factories.the(InboundEvent, key).status == "failed"
    shell("sources", "update", source, "--secret", SECRET)
    shell("inbox", "reprocess", "--failed")
    shell("inbox", "process")
    assert factories.the(InboundEvent, key).status == "processed"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("0123", "--failed"),
        ("0123", "--since", "1h"),
        ("0123", "--source", "01"),
        ("--failed", "--since", "yesterday"),
        ("--failed", "--since", ""),
    ],
)
def test_reprocess_wants_ids_or_failed(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert "Usage: " in shell.refused("inbox", "reprocess", *arguments, code=2)
