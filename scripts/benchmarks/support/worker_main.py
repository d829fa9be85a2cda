"""What `deliver` measures, each in a process of its own: `python -m …support.worker_main KIND …`."""

import sys
from collections.abc import Callable

BODY = b'{"type":"comment.created","data":"' + b"x" * 560 + b'"}'
HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": "bench",
    "webhook-id": "0" * 32,
    "webhook-timestamp": "1700000000",
    "webhook-signature": "v1," + "A" * 44,
    "X-Hub-Signature-256": "sha256=" + "0" * 64,
    "X-Guestbook-Event": "comment.created",
    "X-Guestbook-Attempt": "1",
}


def session(port: int) -> Callable[[int], None]:
    """Send with a bare requests.Session that ignores the environment."""
    import requests

    client = requests.Session()
    client.trust_env = False
    url = f"http://127.0.0.1:{port}/hooks/0"
    return lambda count: _repeat(count, lambda: client.post(url, data=BODY, headers=HEADERS, timeout=15))


def urllib3(port: int) -> Callable[[int], None]:
    """Send with urllib3."""
    import urllib3

    pool = urllib3.PoolManager()
    url = f"http://127.0.0.1:{port}/hooks/0"
    return lambda count: _repeat(
        count, lambda: pool.request("POST", url, body=BODY, headers=HEADERS, timeout=15)
    )


def transport(port: int) -> Callable[[int], None]:
    """Send with our transport: guard and budget, without queue, signature and record."""
    from ipaddress import ip_network

    from guestbook.transport import Transport

    client = Transport(allow_networks=[ip_network("127.0.0.0/8")])
    url = f"http://127.0.0.1:{port}/hooks/0"
    return lambda count: _repeat(count, lambda: client.post(url, HEADERS, BODY))


def deliver(concurrency: int) -> Callable[[int], None]:
    """Run a whole pass as cron does, on the book of the environment, until nothing is due."""
    import guestbook
    from guestbook.background import cron
    from guestbook.storage.database import db

    app = guestbook.create_app()

    def drain(_count: int) -> None:
        with app.app_context():
            options = cron.Options(max_seconds=600, concurrency=concurrency)
            if cron.run(db.engine, app.config["GUESTBOOK"], options) is None:
                sys.exit("Another pass has this data folder.")

    return drain


def _repeat(count: int, work: Callable[[], object]) -> None:
    for _ in range(count):
        work()


def main(kind: str, number: str, count: str) -> None:
    """Run one: say that it is set up, wait for the word, work, say that it is done, wait for the end."""
    kinds = {"session": session, "urllib3": urllib3, "transport": transport, "deliver": deliver}
    work = kinds[kind](int(number))
    print("ready", flush=True)
    sys.stdin.readline()
    work(int(count))
    print("done", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
