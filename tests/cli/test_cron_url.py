"""`cron-url` prints one address until it is rotated or removed."""

from guestbook.storage import cron_token
from guestbook.storage.database import db
from tests.cli.conftest import Shell


def test_the_address_stays_until_it_is_rotated_or_removed(shell: Shell) -> None:
    first = shell("cron-url")
    assert first.startswith("https://book.example/cron/")
    assert shell("cron-url") == first
    second = shell("cron-url", "--rotate")
    assert second != first
    assert shell("cron-url") == second
    shell("cron-url", "--off")
    assert cron_token.read(db.session()) is None


def test_rotating_and_removing_at_once_is_refused(shell: Shell) -> None:
    assert "Choose --rotate or --off." in shell.refused("cron-url", "--rotate", "--off", code=2)
