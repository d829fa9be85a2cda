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
