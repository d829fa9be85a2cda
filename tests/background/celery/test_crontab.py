"""The line of crontab.example for who has RabbitMQ, run as cron runs it."""

from pathlib import Path

import pytest

from tests.background.celery.works import DELIVERIES
from tests.repo import test_crontab
from tests.support.book import Book
from tests.support.rabbitmq import Vhost


@pytest.mark.parametrize("environ", ["sqlite-wal"], indirect=True)  # the database makes no difference
@pytest.mark.parametrize("command", test_crontab.relaying)
def test_the_line_publishes_what_is_due_and_prints_nothing(
    command: str, book: Book, environ: dict[str, str], vhost: Vhost, tmp_path: Path
) -> None:
    book.webhook("http://127.0.0.1:9/hook")
    book.sign()
    home = tmp_path / "home"
    home.mkdir()
    (home / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in environ.items()))
    ended = test_crontab.as_cron(command, home)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert vhost.depth(DELIVERIES) == 1
    assert book.delivery().claimed_by.startswith("relay.")
