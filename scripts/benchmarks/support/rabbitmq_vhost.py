"""A vhost of RabbitMQ for a bench, so that nothing of it is left."""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import click


@contextmanager
def vhost(url: str) -> Iterator[str]:
    """Give the URL of a new vhost; raise ClickException where rabbitmqctl cannot make one."""
    name = f"guestbook_bench_{secrets.token_hex(4)}"
    user = urlsplit(url).username or "guest"
    if not _rabbitmqctl("add_vhost", name):
        raise click.ClickException("rabbitmqctl cannot make a vhost for the bench.")
    try:
        _rabbitmqctl("set_permissions", "-p", name, user, ".*", ".*", ".*")
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        _rabbitmqctl("delete_vhost", name)


def _rabbitmqctl(*arguments: str) -> bool:
    try:
        done = subprocess.run(["rabbitmqctl", "--quiet", *arguments], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0
