"""A vhost of RabbitMQ for a bench, so that nothing of it is left."""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

PREFIX = "guestbook_bench_"


@contextmanager
def vhost(url: str) -> Iterator[str]:
    """Give the URL of a new vhost; or, where rabbitmqctl cannot make one, the same URL."""
    name = f"{PREFIX}{secrets.token_hex(4)}"
    user = urlsplit(url).username or "guest"
    if not _rabbitmqctl("add_vhost", name):
        yield url
        return
    try:
        _rabbitmqctl("set_permissions", "-p", name, user, ".*", ".*", ".*")
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        _rabbitmqctl("delete_vhost", name)


def is_ours(url: str) -> bool:
    """Whether it names a vhost that we have made, which goes as a whole."""
    return urlsplit(url).path.startswith(f"/{PREFIX}")


def _rabbitmqctl(*arguments: str) -> bool:
    try:
        done = subprocess.run(["rabbitmqctl", "--quiet", *arguments], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0
