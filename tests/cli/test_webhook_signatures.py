"""webhooks add --secret, --sign-with, --github-headers, rotate-secret --secret and rotate-key."""

from guestbook.lib import ed25519
from guestbook.lib.verification import kinds
from guestbook.storage.models import Webhook
from tests.cli.conftest import Shell
from tests.support import factories

URL = "https://receiver.example/hook"
TEXT = "It's a Secret to Everybody"
PRIVATE = {"signing_key", "previous_signing_key"}


def added(shell: Shell, *options: str) -> str:
    return str(shell.json("webhooks", "add", URL, *options)["id"])


def test_add_takes_the_secret_that_the_receiver_has_and_does_not_print_it(shell: Shell) -> None:
    said = shell("webhooks", "add", URL, "--secret", TEXT)
    [row] = shell.json("webhooks", "list")
    assert factories.the(Webhook, row["id"]).secret == TEXT
    assert TEXT not in said
    assert "Packages of Standard Webhooks take this secret as whsec_ and the base64 of its text." in said


def test_add_with_a_key_prints_its_public_key_and_nothing_prints_the_private_one(shell: Shell) -> None:
    said = shell("webhooks", "add", URL, "--sign-with", "key")
    [row] = shell.json("webhooks", "list")
    stored = factories.the(Webhook, row["id"])
    assert f"Its public key, with which the receiver verifies: {stored.public_key}\n" in said
    assert "secret" not in said
    assert (row["sign_with"], row["public_key"]) == ("key", stored.public_key)
    shown = shell.json("webhooks", "show", row["id"])
    assert not PRIVATE & (set(row) | set(shown))
    printed = said + shell("webhooks", "show", row["id"]) + shell("webhooks", "list")
    assert "whsk_" not in printed + str(row) + str(shown)
    assert stored.public_key
    assert stored.public_key in printed


def test_add_with_both_prints_both(shell: Shell) -> None:
    row = shell.json("webhooks", "add", URL, "--sign-with", "both")
    assert (row["secret"][:6], row["public_key"][:5]) == ("whsec_", "whpk_")
    said = shell("webhooks", "add", URL, "--sign-with", "both")
    assert ("Its secret, " in said, "Its public key, " in said) == (True, True)


def test_update_changes_what_signs(shell: Shell) -> None:
    key = added(shell)
    said = shell("webhooks", "update", key, "--sign-with", "both")
    public = shell.json("webhooks", "show", key)["public_key"]
    assert said == (f"Updated webhook {key}.\nIts public key, with which the receiver verifies: {public}\n")
    assert shell("webhooks", "update", key, "--sign-with", "secret") == f"Updated webhook {key}.\n"
    assert shell.json("webhooks", "show", key)["public_key"] is None


def test_a_key_that_signed_elsewhere_is_read_from_standard_input_and_not_printed(shell: Shell) -> None:
    key = ed25519.new_key()
    given = shell.runner.invoke(args=["webhooks", "add", URL, "--signing-key", "-"], input=f"{key}\n")
    assert (given.exit_code, "whsk_" in given.output) == (0, False)
    assert f"Its public key, with which the receiver verifies: {ed25519.public_key(key)}\n" in given.output
    [row] = shell.json("webhooks", "list")
    assert (factories.the(Webhook, row["id"]).signing_key, row["sign_with"]) == (key, "key")
    said = shell("webhooks", "rotate-key", row["id"], "--signing-key", ed25519.new_key())
    assert said.startswith("The new public key: whpk_")
    refused = shell.refused("webhooks", "update", row["id"], "--signing-key", "whpk_x", code=2)
    assert refused.startswith("Error: The signing key must be whsk_ and the base64 of 32 bytes")


def test_rotate_key_prints_the_new_public_key_and_until_when_the_old_key_signs(shell: Shell) -> None:
    key = added(shell, "--sign-with", "both")
    old = shell.json("webhooks", "show", key)["public_key"]
    said = shell("webhooks", "rotate-key", key, "--overlap-hours", "1")
    row = shell.json("webhooks", "show", key)
    assert (row["previous_public_key"], old in said) == (old, False)
    assert said == (
        f"The new public key: {row['public_key']}\n"
        f"The old one signs beside it until {row['previous_signing_key_expires_at']}.\n"
    )
    assert kinds.read_public_key(row["public_key"]) != kinds.read_public_key(old)
    assert shell("webhooks", "rotate-key", key, "--overlap-hours", "0").endswith("signs no more.\n")
    assert shell.json("webhooks", "rotate-key", key)["sign_with"] == "both"


def test_rotate_key_without_a_key_is_refused(shell: Shell) -> None:
    said = shell.refused("webhooks", "rotate-key", added(shell))
    assert said == "Error: This webhook has no key, because only its secret signs.\n"
