"""Ids: UUIDv7 in 32 hex characters, in the order they were made, never the same twice."""

import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from guestbook.lib import ids


def test_an_id_is_a_uuid_of_version_7() -> None:
    new = ids.new()
    read = uuid.UUID(hex=new)
    assert (new, read.version, read.variant) == (read.hex, 7, uuid.RFC_4122)


def test_an_id_tells_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    milliseconds = int(ids.new()[:12], 16)
    assert before <= milliseconds <= time.time_ns() // 1_000_000


def test_later_ids_sort_after_earlier_ones() -> None:
    made = []
    for _ in range(300):
        made.append(ids.new())
        start = time.time_ns()
        while time.time_ns() - start < 1000:  # the fraction counts quarters of a microsecond
            pass
    assert made == sorted(made)


def test_ids_from_many_threads_and_processes_are_all_different() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = [
            one for some in pool.map(lambda _: [ids.new() for _ in range(2000)], range(4)) for one in some
        ]
    code = "from guestbook.lib import ids\nfor _ in range(2000): print(ids.new())"
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
    for process in processes:
        made += process.communicate(timeout=60)[0].decode().split()
    assert len(set(made)) == len(made) == 12_000


def test_a_token_of_a_url_needs_no_escapes_and_is_never_the_same() -> None:
    made = {ids.new_url_token() for _ in range(100)}
    assert len(made) == 100
    assert all(ids.URL_TOKEN.fullmatch(token) and len(token) == 32 for token in made)


def test_without_linux_a_network_card_names_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "BOOT_ID", tmp_path / "none")
    monkeypatch.setattr(uuid, "getnode", lambda: 0x00163E5EC1A9)
    assert ids.boot_id() == "163e5ec1a9"
    monkeypatch.setattr(uuid, "getnode", lambda: 1 << 40 | 5)  # made for this process
    assert ids.boot_id() is None
