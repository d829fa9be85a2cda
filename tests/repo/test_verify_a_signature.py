"""The functions in docs/howto/verify-a-signature.md accept what we sign and refuse everything else."""

import base64
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guestbook.lib import signing
from tests.support.documents import blocks, read

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"type":"comment.created","data":{"comment":{"name":"Zoë 🦋"}}}'.encode()

# Each reads the case from standard input and exits 0 when the page's function says yes, 1 when no.
HARNESSES = {
    "python": "\nimport json, sys\nd = json.load(sys.stdin)\n"
    "sys.exit(0 if verify(d['secret'], d['headers'], base64.b64decode(d['body'])) else 1)\n",
    "php": "\n$d = json_decode(file_get_contents('php://stdin'), true);\n"
    "foreach ($d['headers'] as $n => $v) $_SERVER['HTTP_' . strtoupper(strtr($n, '-', '_'))] = $v;\n"
    "exit(verify($d['secret'], base64_decode($d['body'])) ? 0 : 1);\n",
    "js": "\nconst d = JSON.parse(require('node:fs').readFileSync(0));\n"
    "process.exit(verify(d.secret, d.headers, Buffer.from(d.body, 'base64')) ? 0 : 1);\n",
}


@pytest.fixture(
    params=[
        "python",
        pytest.param("php", marks=pytest.mark.needs("php")),
        pytest.param("js", marks=pytest.mark.needs("node")),
    ]
)
def snippet(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The command that runs the page's function in one of the languages."""
    (code,) = blocks(read("howto/verify-a-signature"), request.param)
    path = tmp_path / f"verify.{request.param}"
    opening = "<?php\n" if request.param == "php" else ""
    path.write_text(opening + code + HARNESSES[request.param])
    php = ["php", "-d", "error_reporting=-1", "-d", "display_errors=stderr"]
    programs = {"python": [sys.executable, "-W", "error"], "php": php, "js": ["node"]}
    return [*programs[request.param], str(path)]


def delivery(age: int = 0, secret: str = SECRET) -> dict[str, str]:
    """The headers that we would send with BODY."""
    sent_at = int(time.time()) - age
    signature = signing.standard((signing.key_of(secret),), "evt1", sent_at, BODY)
    return {"webhook-id": "evt1", "webhook-timestamp": str(sent_at), "webhook-signature": signature}


def says_yes(snippet: list[str], headers: dict[str, str], body: bytes = BODY, secret: str = SECRET) -> bool:
    case = {"secret": secret, "headers": headers, "body": base64.b64encode(body).decode()}
    done = subprocess.run(snippet, input=json.dumps(case), capture_output=True, text=True, timeout=30)
    assert (done.stderr, done.stdout) == ("", "")
    assert done.returncode in (0, 1)
    return done.returncode == 0


def test_a_snippet_accepts_what_we_sign(snippet: list[str]) -> None:
    assert says_yes(snippet, delivery())
    assert says_yes(snippet, delivery(age=280))
    other = signing.new_secret()
    assert says_yes(snippet, delivery(secret=other), secret=other)


def test_a_snippet_accepts_either_of_two_signatures_after_a_rotation(snippet: list[str]) -> None:
    sent_at = int(time.time())
    keys = (signing.key_of(signing.new_secret()), signing.key_of(SECRET))
    both = signing.standard(keys, "evt1", sent_at, BODY)
    headers = {"webhook-id": "evt1", "webhook-timestamp": str(sent_at), "webhook-signature": both}
    assert says_yes(snippet, headers)


def test_a_snippet_refuses_a_changed_body(snippet: list[str]) -> None:
    assert not says_yes(snippet, delivery(), BODY.replace(b"Zo", b"Jo"))
    assert not says_yes(snippet, delivery(), BODY + b"\n")
    assert not says_yes(snippet, delivery(), b"")


def test_a_snippet_refuses_another_secret(snippet: list[str]) -> None:
    assert not says_yes(snippet, delivery(), secret=signing.new_secret())
    assert not says_yes(snippet, delivery(secret=signing.new_secret()))


@pytest.mark.parametrize("age", [320, -320, 10 * 365 * 24 * 3600])
def test_a_snippet_refuses_an_old_timestamp_and_one_from_the_future(snippet: list[str], age: int) -> None:
    assert not says_yes(snippet, delivery(age=age))


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-id": "evt2"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "1e9"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,ü"},
        {"webhook-signature": "v1," + "A" * 43 + "="},
    ],
)
def test_a_snippet_refuses_a_header_that_was_changed(snippet: list[str], changes: dict[str, str]) -> None:
    assert not says_yes(snippet, {**delivery(), **changes})


def test_a_snippet_refuses_a_newer_timestamp_than_was_signed(snippet: list[str]) -> None:
    headers = delivery(age=400)
    assert not says_yes(snippet, {**headers, "webhook-timestamp": str(int(time.time()))})


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_snippet_refuses_when_a_header_is_missing(snippet: list[str], name: str) -> None:
    headers = delivery()
    del headers[name]
    assert not says_yes(snippet, headers)
