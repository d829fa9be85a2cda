"""webhooks: all commands, with what signs; and receiver-links."""

import json
import os
import re
from datetime import timedelta

import pytest
from flask import Flask

from guestbook.lib import clock, signatures, signed_links
from guestbook.outbound.webhook_json import WEBHOOK_SCHEMA
from guestbook.settings import environment
from guestbook.storage.models import Webhook
from tests.cli.conftest import Shell
from tests.support import factories

URL = "https://receiver.example/hook"
COLUMNS = set(WEBHOOK_SCHEMA)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def added(shell: Shell, *options: str) -> str:
    return str(shell.json("webhooks", "add", URL, *options)["id"])


def secret_of(row_id: str) -> str:
    return factories.the(Webhook, row_id).secret


def test_add_prints_the_secret_and_what_to_do_next(shell: Shell) -> None:
    said = shell("webhooks", "add", URL)
    [row] = shell.json("webhooks", "list")
    tried = f"flask --app guestbook webhooks test {row['id']}"
    for words in (f"Added webhook {row['id']} for comment.created.", secret_of(row["id"]), tried):
        assert words in said


def test_add_takes_everything_that_a_webhook_has(shell: Shell) -> None:
    given = ("--name", "Chat", "--format", "json", "--event", "comment.deleted", "--event", "ping")
    more = ("--header", "X-Token: a:b", "--header", "X-Other: c", "--disabled", "--rate", "30/M")
    row = shell.json("webhooks", "add", URL, *given, *more)
    assert set(row) == COLUMNS | {"secret"}
    assert (row["name"], row["url"], row["format"]) == ("Chat", URL, "json")
    assert row["events"] == ["comment.deleted", "ping"]
    assert shell.json("webhooks", "show", "Chat", "--secret")["headers"] == {"X-Token": "a:b", "X-Other": "c"}
    assert (row["disabled_reason"], row["rate"], row["secret"][:6]) == ("by_hand", "30/m", "whsec_")
    assert all(TIME.fullmatch(row[name]) for name in ("created_at", "disabled_at"))


def test_the_list_tells_how_each_is_doing_and_no_secret(shell: Shell) -> None:
    key = added(shell, "--name", "Chat")
    for status in ("new", "new", "failed"):
        factories.delivery(key, status=status)
    headings, row = (line.split() for line in shell("webhooks", "list").splitlines())
    assert headings == ["ID", "NAME", "STATE", "TO", "SEND", "GIVEN", "UP", "EVENTS", "URL"]
    assert row == [key, "Chat", "not", "tried", "yet", "2", "1", "comment.created", URL]
    [shown] = shell.json("webhooks", "list")
    assert set(shown) == COLUMNS


def test_show_tells_all_of_one_and_what_waits_for_it(shell: Shell) -> None:
    key = added(shell, "--header", "X-Token: a")
    for status in ("new", "failed", "new"):
        factories.delivery(key, status=status)
    said = shell("webhooks", "show", key)
    hidden = (r"headers +X-Token: \(hidden\)", r"secret +\(hidden\)")
    for line in ("deliveries +2 waiting, 1 given up", *hidden):
        assert re.search(f"^{line}$", said, re.MULTILINE), line
    assert "paused" not in said
    assert set(shell.json("webhooks", "show", key)) == COLUMNS


def test_show_hides_what_is_secret_unless_it_is_asked_for_it(shell: Shell) -> None:
    key = added(shell, "--header", "X-Token: geheim")
    old = secret_of(key)
    shell("webhooks", "rotate-secret", key)
    hidden = shell("webhooks", "show", key) + json.dumps(shell.json("webhooks", "show", key))
    for secret in (old, secret_of(key), "geheim"):
        assert secret not in hidden
        assert secret in shell("webhooks", "show", key, "--secret")
    shown = shell.json("webhooks", "show", key, "--secret")
    assert set(shown) == COLUMNS | {"secret", "previous_secret"}
    assert (shown["secret"], shown["previous_secret"]) == (secret_of(key), old)
    assert shown["headers"] == {"X-Token": "geheim"}
    assert [one["action"] for one in shell.json("audit")].count("revealed") == 4


def test_update_changes_what_is_named(shell: Shell) -> None:
    key = added(shell, "--header", "X-Token: a")
    said = shell("webhooks", "update", key[:-1], "--name", "New", "--event", "ping", "--url", URL + "/2")
    assert said == f"Updated webhook {key}.\n"
    row = shell.json("webhooks", "show", key, "--secret")
    assert (row["name"], row["events"], row["url"]) == ("New", ["ping"], URL + "/2")
    assert row["headers"] == {"X-Token": "a"}
    for option, headers in (("--header=X-Other: b", {"X-Other": "b"}), ("--no-headers", {})):
        shell("webhooks", "update", key, option)
        assert shell.json("webhooks", "show", key, "--secret")["headers"] == headers


def test_update_switches_on_and_off(shell: Shell) -> None:
    key = added(shell, "--moderation-links", "--github-headers")
    switched = ("moderation_links_since", "github_headers_since", "rate")
    said = shell.refused("webhooks", "update", key, "--sign-with", "key")
    assert said.startswith("Error: Receivers written for GitHub verify with the secret")
    shell("webhooks", "update", key, "--rate", "5/s")
    assert all(shell.json("webhooks", "show", key)[name] for name in switched)
    shell("webhooks", "update", key, "--no-moderation-links", "--no-github-headers", "--no-rate")
    assert [shell.json("webhooks", "show", key)[name] for name in switched] == [None, None, None]
    for options, sentence in (
        (("--no-rate", "--rate", "1/s"), "Give --rate or --no-rate."),
        (("--no-headers", "--header", "A: b"), "each replaces all headers"),
        ((), "Say what to change: see flask --app guestbook webhooks update --help"),
    ):
        assert sentence in shell.refused("webhooks", "update", key, *options, code=2)


def test_only_show_which_is_logged_prints_the_values_of_headers(shell: Shell) -> None:
    key = added(shell, "--header", "X-Token: geheim", "--sign-with", "both")
    for command in (
        *(("list",), ("show", key), ("update", key, "--rate", "1/s"), ("disable", key), ("enable", key)),
        *(("rotate-secret", key), ("rotate-key", key)),
    ):
        said = json.dumps(shell.json("webhooks", *command))
        assert ("(hidden)" in said, "geheim" in said) == (True, False), command
    assert [one["action"] for one in shell.json("audit")].count("revealed") == 0
    assert shell.json("webhooks", "show", key, "--secret")["headers"] == {"X-Token": "geheim"}
    assert shell.json("audit")[0]["action"] == "revealed"


def test_test_queues_a_ping(shell: Shell) -> None:
    key = added(shell)
    said, row = shell("webhooks", "test", key), factories.one()
    assert said == f"Queued delivery {row.id}. Send it now: flask --app guestbook cron -v\n"
    assert (row.event, row.status, row.webhook_id) == ("ping", "new", key)
    shell("webhooks", "disable", key)
    assert "The webhook is disabled: the ping waits until it is enabled." in shell("webhooks", "test", key)
    assert shell.json("webhooks", "test", key)["event"] == "ping"


def test_add_takes_the_format_of_the_url_and_says_so(shell: Shell) -> None:
    said = shell("webhooks", "add", "https://ntfy.sh/my-topic")
    assert "Its format is ntfy, as its URL suggests; --format chooses another." in said
    assert "It is sent to https://ntfy.sh/?topic=my-topic" in said
    assert shell.json("webhooks", "list")[0]["format"] == "ntfy"
    said = shell("webhooks", "add", "https://hooks.slack.com/services/T/B/x", "--format", "slack")
    assert ("suggests" in said, "It is sent to" in said) == (False, False)


@pytest.mark.parametrize(
    ("given", "but"),
    [
        ("https://hooks.slack.com/services/T/B/x", ", but keep its URL like one"),
        ("https://chat.example/hooks/x --format mattermost", ", but keep its URL like one"),
        ("webmention:", ""),
    ],
)
def test_no_secret_is_printed_where_none_is_verified(shell: Shell, given: str, but: str) -> None:
    said = shell("webhooks", "add", *given.split())
    [row_id] = shell.ids("webhooks", "list")
    assert ("whsec_" in said, f"It needs no secret{but}.\n" in said) == (False, True)
    assert said.endswith(f"Try it: flask --app guestbook webhooks test {row_id}\n")


def test_a_test_beside_run_goes_out_by_itself(shell: Shell, app: Flask) -> None:
    source = shell.json("sources", "add", "Forge", "--verify", "github")["id"]
    noted = {"GUESTBOOK_DATA_DIR": str(app.config["GUESTBOOK"].data_dir)}
    path = environment.note_run(noted, "5000", os.getpid())
    said = shell("webhooks", "test", added(shell)), shell("sources", "test", source)
    path.unlink()
    assert "It goes out by itself at once." in said[0]
    assert "It is processed by itself at once." in said[1]
    assert "cron" not in "".join(said)


def test_a_template_is_added_shown_and_changed(shell: Shell) -> None:
    row = shell.json("webhooks", "add", URL, "--template", '{"a": {{ event|tojson }}}')
    assert (row["format"], row["template"]) == ("template", '{"a": {{ event|tojson }}}')
    assert "suggests" not in shell("webhooks", "add", URL, "--template", "[1]")
    shell("webhooks", "update", row["id"], "--template", "[2]")
    assert "[2]" in shell("webhooks", "show", row["id"])
    shell("webhooks", "update", row["id"], "--format", "json")
    assert set(shell.json("webhooks", "show", row["id"])) == COLUMNS


TEXT = "It's a Secret to Everybody"


def test_add_takes_the_secret_that_the_receiver_has_and_does_not_print_it(shell: Shell) -> None:
    said = shell("webhooks", "add", URL, "--secret", TEXT)
    assert (secret_of(shell.json("webhooks", "list")[0]["id"]), TEXT in said) == (TEXT, False)
    assert "Packages of Standard Webhooks take this secret as whsec_ and the base64 of its text." in said


def test_add_with_a_key_prints_its_public_key_and_nothing_prints_the_private_one(shell: Shell) -> None:
    said = shell("webhooks", "add", URL, "--sign-with", "key")
    [row] = shell.json("webhooks", "list")
    public = factories.the(Webhook, row["id"]).public_key
    assert f"Its public key, with which the receiver verifies: {public}\n" in said
    assert ("secret" in said, row["sign_with"], row["public_key"]) == (False, "key", public)
    shown = shell.json("webhooks", "show", row["id"], "--secret")
    assert not {"signing_key", "previous_signing_key"} & (set(row) | set(shown))
    printed = said + shell("webhooks", "show", row["id"]) + shell("webhooks", "list") + str((row, shown))
    assert "whsk_" not in printed


def test_add_with_both_prints_both(shell: Shell) -> None:
    row = shell.json("webhooks", "add", URL, "--sign-with", "both")
    assert (row["secret"][:6], row["public_key"][:5]) == ("whsec_", "whpk_")
    said = shell("webhooks", "add", URL, "--sign-with", "both")
    assert ("Its secret, " in said, "Its public key, " in said) == (True, True)


def test_update_changes_what_signs(shell: Shell) -> None:
    key = added(shell)
    said = shell("webhooks", "update", key, "--sign-with", "both")
    public = shell.json("webhooks", "show", key)["public_key"]
    assert said == f"Updated webhook {key}.\nIts public key, with which the receiver verifies: {public}\n"
    assert shell("webhooks", "update", key, "--sign-with", "secret") == f"Updated webhook {key}.\n"
    assert shell.json("webhooks", "show", key)["public_key"] is None


def test_a_key_that_signed_elsewhere_is_read_from_standard_input_and_not_printed(shell: Shell) -> None:
    key = signatures.new_key()
    given = shell.runner.invoke(args=["webhooks", "add", URL, "--signing-key", "-"], input=f"{key}\n")
    assert (given.exit_code, "whsk_" in given.output) == (0, False)
    assert f"Its public key, with which the receiver verifies: {signatures.public_key(key)}\n" in given.output
    [row_id] = shell.ids("webhooks", "list")
    stored = factories.the(Webhook, row_id)
    assert (stored.signing_key, stored.sign_with) == (key, "key")
    said = shell("webhooks", "rotate-key", row_id, "--signing-key", signatures.new_key())
    assert said.startswith("The new public key: whpk_")
    refused = shell.refused("webhooks", "update", row_id, "--signing-key", "whpk_x", code=2)
    assert refused.startswith("Error: The signing key must be whsk_ and the base64 of 32 bytes")


def test_rotate_key_prints_the_new_public_key_and_until_when_the_old_key_signs(shell: Shell) -> None:
    key = added(shell, "--sign-with", "both")
    old = shell.json("webhooks", "show", key)["public_key"]
    said = shell("webhooks", "rotate-key", key, "--overlap-hours", "1")
    row = shell.json("webhooks", "show", key)
    assert row["previous_public_key"] == old != row["public_key"]
    assert said == (
        f"The new public key: {row['public_key']}\n"
        f"The old one signs beside it until {row['previous_signing_key_expires_at']}.\n"
    )
    assert shell("webhooks", "rotate-key", key, "--overlap-hours", "0").endswith("signs no more.\n")
    assert shell.json("webhooks", "rotate-key", key)["sign_with"] == "both"


ADDRESS = re.compile(r"^https://book\.example/receiver/([0-9a-f]{76})$", re.MULTILINE)


@pytest.fixture
def shop(shell: Shell) -> str:
    assert shell
    return factories.webhook(name="Shop")


def test_add_prints_the_link_and_no_command_prints_it_again(shell: Shell, shop: str) -> None:
    said = shell("receiver-links", "add", "Shop", "--name", "Ada", "--expires", "7d")
    [token] = ADDRESS.findall(said)
    [row] = shell.json("receiver-links", "list", "Shop")
    columns = {"id", "webhook_id", "name", "created_at", "expires_at", "revoked_at", "last_used_at", "state"}
    assert (set(row), row["last_used_at"]) == (columns, None)
    assert (row["webhook_id"], row["name"], row["state"]) == (shop, "Ada", "works")
    signed = signed_links.read(token, signed_links.RECEIVER, factories.settings().secret_keys, times=1)
    assert signed
    link_id, [expires_at] = signed
    assert (link_id, clock.to_text(expires_at)) == (row["id"], row["expires_at"])
    assert timedelta(days=6.9) < expires_at - clock.now() <= timedelta(days=7)
    assert "/receiver/" not in shell("receiver-links", "list", "Shop")


def test_by_default_it_has_the_webhooks_name_and_a_month(shell: Shell, shop: str) -> None:
    row = shell.json("receiver-links", "add", shop)
    assert row["name"] == "Shop"
    assert ADDRESS.fullmatch(row["url"])
    left = clock.from_text(row["expires_at"]) - clock.now()
    assert timedelta(days=29.9) < left <= timedelta(days=30)
