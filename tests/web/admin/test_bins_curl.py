"""Copy as curl: the real curl, run by real shells, sends the same bytes to a real receiver."""

import shutil
import subprocess
from pathlib import Path

import pytest

from guestbook.lib.text import UNWANTED
from guestbook.web.admin import curl_command
from tests.support.receiver import Receiver, Request

ODD = "'\"$`\\!%&;|<>(){}[]*?~# \t"
BODIES = [
    *(b"", b"hello", b"@/etc/passwd", b"-n", b"-\0", b"\n\nlines\n", b"cr\r\nlf", bytes(range(256))),
    *(b"%s%d\\n\\000'", ODD.encode(), "שלום 🐚 \u202e \u200b".encode(), b"\xff\xfe", b'{"a": "it\'s $HOME"}'),
    *(b"x" * 32_001, bytes(range(256)) * 1000),
]


@pytest.fixture(params=["sh", "bash"])
def shell(request: pytest.FixtureRequest) -> str:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    return str(request.param)


def run(shell: str, command: str, folder: Path) -> None:
    assert not UNWANTED.search(command), "what is copied must be what is seen"
    where = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    done = subprocess.run([shell, "-c", command], cwd=folder, env=where, capture_output=True, timeout=30)
    assert done.returncode == 0, (command[:500], done.stderr)


def replayed(
    shell: str, receiver: Receiver, folder: Path, body: bytes = b"", path: str = "/a", method: str = "POST",
    headers: tuple[tuple[str, str], ...] = (),
) -> Request:  # fmt: skip
    command = curl_command.command(method, receiver.url(path), headers, body, "it's a body.bin")
    (folder / "it's a body.bin").write_bytes(body)
    run(shell, command, folder)
    [request] = receiver.requests
    return request


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:12]))
def test_the_body_arrives_byte_for_byte(shell: str, receiver: Receiver, tmp_path: Path, body: bytes) -> None:
    request = replayed(shell, receiver, tmp_path, body)
    assert (request.method, request.body) == ("POST", body)
    assert set(request.headers) - {"host", "content-length"} == set()


@pytest.mark.parametrize(
    "method", ["GET", "PUT", "DELETE", "PROPFIND", "OPTIONS", "HEAD", "M-SEARCH", "A'B", "$X"]
)
@pytest.mark.parametrize("body", [b"", b"hello"])
def test_the_method_is_the_same(
    shell: str, receiver: Receiver, tmp_path: Path, method: str, body: bytes
) -> None:
    if (method, body) == ("HEAD", b"hello"):
        return  # curl waits for the body that an answer to HEAD never has, until it is told to stop
    request = replayed(shell, receiver, tmp_path, body, method=method)
    assert (request.method, request.body) == (method, body)


@pytest.mark.parametrize("path", ["/a?b=c&d=%20", "/a/../b/./c", "/[1-3]{a,b}", "/it's?$HOME;`id`", "//a"])
def test_the_address_is_the_same(shell: str, receiver: Receiver, tmp_path: Path, path: str) -> None:
    assert replayed(shell, receiver, tmp_path, path=path).path == path


def test_headers_are_the_same_and_none_is_added(shell: str, receiver: Receiver, tmp_path: Path) -> None:
    same = {
        **{"x-odd": ODD.strip(), "x-empty": "", "x-utf8": "é🐚".encode().decode("latin-1")},
        **{"x-latin": "caf\xe9", "x-control": "a\x01b", "user-agent": "x/1", "content-type": "a/b"},
        "webhook-signature": "v1,abc= v1,d+/",
    }
    left_out = (("Host", "elsewhere.example"), ("Content-Length", "99"), ("Connection", "close"))
    left_out += (("@File", "x"),)
    request = replayed(shell, receiver, tmp_path, b"hello", headers=(*same.items(), *left_out))
    assert request.headers.pop("host") == f"127.0.0.1:{receiver.port}"
    assert request.headers == {**same, "content-length": "5"}
