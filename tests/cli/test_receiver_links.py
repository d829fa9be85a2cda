"""receiver-links: add, list, revoke."""

import re
from datetime import timedelta

import pytest

from guestbook.lib import clock, signed_links
from tests.cli.conftest import Shell
from tests.support import factories

ADDRESS = re.compile(r"^https://book\.example/receiver/([0-9a-f]{76})$", re.MULTILINE)


@pytest.fixture
def shop(shell: Shell) -> str:
    assert shell
    return factories.webhook(name="Shop")


def test_add_prints_the_link_and_no_command_prints_it_again(shell: Shell, shop: str) -> None:
    said = shell("receiver-links", "add", "Shop", "--name", "Ada", "--expires", "7d")
    [token] = ADDRESS.findall(said)
    [row] = shell.json("receiver-links", "list", "Shop")
    columns = {"id", "webhook_id", "name", "created_at", "expires_at", "revoked_at", "last_used_at"}
    assert set(row) == columns | {"state"}
    assert row["last_used_at"] is None
    assert (row["webhook_id"], row["name"], row["state"]) == (shop, "Ada", "works")
    signed = signed_links.read_receiver_token(token, factories.settings().secret_keys)
    assert signed
    assert (signed.link_id, clock.to_text(signed.expires_at)) == (row["id"], row["expires_at"])
    assert timedelta(days=6.9) < signed.expires_at - clock.now() <= timedelta(days=7)
    assert "/receiver/" not in shell("receiver-links", "list", "Shop")


def test_by_default_it_has_the_webhooks_name_and_a_month(shell: Shell, shop: str) -> None:
    row = shell.json("receiver-links", "add", shop)
    assert row["name"] == "Shop"
    assert ADDRESS.fullmatch(row["url"])
    left = clock.from_text(row["expires_at"]) - clock.now()
    assert timedelta(days=29.9) < left <= timedelta(days=30)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (("--expires", "never"), "is no time such as"),
        (("--expires", ""), "is no time such as"),
        (("--expires", "2020-01-31"), "A link must expire in the future"),
        (("--expires", "2y"), "is no time such as"),
        (("--expires", "400d"), "A link may work for a year at most."),
        (("--name", " "), "The name must have 1 to 80 characters."),
    ],
)
def test_wrong_input_is_refused(shell: Shell, shop: str, wrong: tuple[str, ...], words: str) -> None:
    assert words in shell.refused("receiver-links", "add", shop, *wrong, code=2)
    assert shell.json("receiver-links", "list", shop) == []


def test_revoke_ends_it_by_its_id_or_name(shell: Shell, shop: str) -> None:
    first = shell.json("receiver-links", "add", shop)["id"]
    shell("receiver-links", "add", shop, "--name", "Ada")
    assert shell("receiver-links", "revoke", first) == f"Revoked link {first}.\n"
    assert "Revoked link" in shell("receiver-links", "revoke", "Ada")
    assert {row["state"] for row in shell.json("receiver-links", "list", shop)} == {"revoked"}
    assert "No receiver link has the id or the name x." in shell.refused("receiver-links", "revoke", "x")
    assert "No links yet." in shell("receiver-links", "list", factories.webhook(name="Other"))
