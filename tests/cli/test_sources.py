"""sources: add, list, show, update, enable, disable, rotate-secret, delete."""

import re
from typing import Any

from guestbook.inbound.sender_presets import PRESETS, SCHEME_DEFAULTS
from guestbook.inbound.source_json import SOURCE_SCHEMA
from tests.cli.conftest import Shell
from tests.support import factories

COLUMNS = {*SOURCE_SCHEMA, "secret", "previous_secret"}


def added(shell: Shell, *options: str, name: str = "Robot", verify: str = "github") -> dict[str, Any]:
    row: dict[str, Any] = shell.json("sources", "add", name, "--verify", verify, *options)
    return row


def shown(shell: Shell, row_id: str) -> dict[str, Any]:
    row: dict[str, Any] = shell.json("sources", "show", row_id, "--secret")
    return row


def test_add_prints_the_url_to_give_away_the_secret_and_what_to_do_next(shell: Shell) -> None:
    said = shell("sources", "add", "Robot", "--verify", "github")
    [row] = shell.json("sources", "list")
    full = shown(shell, row["id"])
    assert said == (
        f"Added source {row['id']}. It must send to this URL:\n"
        f"{full['url']}\n"
        f"It must sign with this secret: {full['secret']}\n"
        "See what arrived: flask --app guestbook inbox list\n"
    )


def test_a_token_is_printed_with_its_header_and_no_secret_is_said_to_be_none(shell: Shell) -> None:
    given = ("--verify", "token", "--header", "X-Gitlab-Token", "--secret", "s3")
    said = shell("sources", "add", "Robot", *given)
    assert "It must send your token in the header X-Gitlab-Token.\n" in said
    said = shell("sources", "add", "Other", "--verify", "none")
    assert "It has no secret: anybody who knows the URL can send.\n" in said


def test_add_takes_everything_that_a_source_has(shell: Shell) -> None:
    given = ("--action", "comment", "--template", "{{ payload.text }}", "--notify-webhooks", "--secret", "s3")
    row = added(shell, *given)
    assert set(row) == COLUMNS - {"secret", "previous_secret"}
    assert (row["name"], row["verify"], row["action"]) == ("Robot", "github", "comment")
    assert (row["template"], row["header"]) == ("{{ payload.text }}", None)
    assert shown(shell, row["id"])["secret"] == "s3"
    assert row["relayed_since"]
    assert re.fullmatch(r"https://book\.example/hooks/[\w-]{32}", row["url"])


def test_a_known_sender_is_named_and_options_beside_it_count(shell: Shell) -> None:
    row = shell.json(
        *("sources", "add", "Shop", "--preset", "shopify", "--secret", "s3"),
        *("--action", "comment", "--hash", "sha512"),
    )
    assert (row["verify"], row["header"]) == ("hmac", "X-Shopify-Hmac-Sha256")
    assert row["scheme"] == {**SCHEME_DEFAULTS, "tolerance": 300, "encoding": "base64", "hash": "sha512"}
    assert row["template"] == PRESETS["shopify"]
    said = shell("sources", "show", row["id"], "--secret")
    assert "encoding: base64" in said
    shell("sources", "update", row["id"], "--preset", "gitlab")
    after = shown(shell, row["id"])
    assert (after["verify"], after["header"], after["scheme"]) == ("token", "X-Gitlab-Token", None)
    assert (after["template"], after["secret"] == "s3") == (PRESETS["gitlab"], False)


def test_every_part_of_a_scheme_has_an_option(shell: Shell) -> None:
    said = shell.json(
        *("sources", "add", "Bank", "--verify", "hmac", "--header", "X-Sig", "--hash", "sha1"),
        *("--encoding", "base64", "--prefix", "v0=", "--timestamp-header", "X-Time", "--tolerance", "60"),
        *("--signed-content", "v0:{timestamp}:{body}", "--action", "forward", "--forward-in-full"),
    )
    assert said["scheme"] == {
        "hash": "sha1", "encoding": "base64", "prefix": "v0=", "timestamp_header": "X-Time",
        "tolerance": 60, "content": "v0:{timestamp}:{body}",
    }  # fmt: skip
    assert said["forwarded_in_full_since"]
    shell("sources", "update", said["id"], "--no-forward-in-full", "--prefix", "")
    after = shown(shell, said["id"])
    assert (after["forwarded_in_full_since"], after["scheme"]["prefix"]) == (None, "")


def test_the_budget_is_set_changed_and_shown(shell: Shell) -> None:
    assert added(shell)["budget_mb"] == 50
    row = added(shell, "--budget", "20", name="Other")
    shell("sources", "update", row["id"], "--budget", "7")
    assert shown(shell, row["id"])["budget_mb"] == 7
    assert [one["budget_mb"] for one in shell.json("sources", "list")] == [50, 7]
    assert "2<=x<=1000" in shell.refused("sources", "update", row["id"], "--budget", "1", code=2)


def test_the_list_tells_how_each_is_doing_and_no_secret(shell: Shell) -> None:
    row = added(shell)
    off = added(shell, name="Other", verify="none")
    factories.inbound(row["id"])
    factories.inbound(row["id"], status="failed", error="It is odd.")
    shell("sources", "disable", off["id"])
    said = shell("sources", "list")
    first, second = (line.split() for line in said.splitlines()[1:])
    assert first[1:7] == ["Robot", "failing", "1", "1", "github", "log"], "waiting, failed"
    assert second[1:] == ["Other", "disabled", "0", "0", "none", "log", "-"]
    assert row["secret"] not in said
    [listed, _] = shell.json("sources", "list")
    assert set(listed) == COLUMNS - {"secret", "previous_secret"}


def test_show_tells_all_and_the_start_of_an_id_is_enough(shell: Shell) -> None:
    row = added(shell)
    factories.inbound(row["id"], status="processed", note="Logged.")
    assert shown(shell, row["id"][:20]) == {**row, "previous_secret": None}
    said = shell("sources", "show", row["id"], "--secret")
    state = "The latest came just now. Nothing waits."
    printed = [" ".join(line.split()) for line in said.splitlines()]
    for line in (f"secret {row['secret']}", f"url {row['url']}", f"state {state}", "events 1 processed"):
        assert line in printed


def test_the_old_name_of_notify_webhooks_still_works(shell: Shell) -> None:
    row = shell.json("sources", "add", "Robot", "--verify", "none", "--action", "comment", "--relay")
    assert row["relayed_since"]
    assert shell.json("sources", "update", row["id"], "--no-relay")["relayed_since"] is None
    assert "--relay" not in shell("sources", "add", "--help")


def test_update_changes_what_is_named_and_prints_a_new_secret(shell: Shell) -> None:
    row = added(shell)
    given = ("--name", "Other", "--action", "comment", "--notify-webhooks")
    assert shell("sources", "update", row["id"], *given) == f"Updated source {row['id']}.\n"
    after = shown(shell, row["id"])
    assert (after["name"], after["template"], after["secret"]) == ("Other", PRESETS["github"], row["secret"])
    assert after["relayed_since"]
    said = shell("sources", "update", row["id"], "--verify", "token", "--no-notify-webhooks")
    after = shown(shell, row["id"])
    assert f"It must send this in the header X-Webhook-Token: {after['secret']}\n" in said
    assert after["relayed_since"] is None
    assert "Say what to change" in shell.refused("sources", "update", row["id"], code=2)


def test_a_sample_is_stored_and_what_becomes_of_it_can_be_seen(shell: Shell) -> None:
    row = added(shell, "--action", "comment")
    said = shell("sources", "test", "Robot", "--event", "star.created")
    [event] = shell.json("inbox", "list")
    assert said == (
        f"Stored the sample as inbound event {event['id']}.\n"
        "Process it now: flask --app guestbook cron -v\n"
        f"See what became of it: flask --app guestbook inbox show {event['id']}\n"
    )
    shell("inbox", "process")
    assert "It became a comment." in shell("inbox", "show", event["id"])
    shell("sources", "disable", row["id"])
    assert "It waits, because the source is disabled." in shell("sources", "test", "Robot")
    assert shell.json("sources", "test", "Robot")["status"] == "new"
    refused = shell.refused("sources", "test", "Robot", "--event", "coffee")
    assert refused.startswith("Error: There is no sample 'coffee'. Choose one of: issues.opened, push, ")
