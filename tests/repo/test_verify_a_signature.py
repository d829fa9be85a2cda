"""The functions of the pages that verify, with a secret or a public key, accept what we sign, no more."""

import base64
import json
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestbook.lib import ed25519, signing
from tests.conftest import need
from tests.support.documents import blocks, read

BODY = '{"type":"comment.created","data":{"comment":{"name":"Zoë 🦋"}}}'.encode()

# Each reads a case from each line of standard input and answers whether the page's function says yes.
HARNESSES = {
    "python": "\nimport json, sys\nfor line in sys.stdin:\n    d = json.loads(line)\n"
    "    said = verify(d['proof'], d['headers'], base64.b64decode(d['body']))\n"
    "    print('yes' if said else 'no', flush=True)\n",
    "php": "\n$own = $_SERVER;\nwhile ($line = fgets(STDIN)) {\n"
    "$d = json_decode($line, true);\n$_SERVER = $own;\n"
    "foreach ($d['headers'] as $n => $v) $_SERVER['HTTP_' . strtoupper(strtr($n, '-', '_'))] = $v;\n"
    "echo verify($d['proof'], base64_decode($d['body'])) ? \"yes\\n\" : \"no\\n\";\n}\n",
    "js": "\nrequire('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {\n"
    "const d = JSON.parse(line);\n"
    "console.log(verify(d.proof, d.headers, Buffer.from(d.body, 'base64')) ? 'yes' : 'no');\n});\n",
    "ruby": "\nrequire 'json'\n$stdout.sync = true\nSTDIN.each_line do |line|\n  d = JSON.parse(line)\n"
    "  env = d['headers'].transform_keys { |n| 'HTTP_' + n.upcase.tr('-', '_') }.transform_values(&:b)\n"
    "  puts verify(d['proof'], env, d['body'].unpack1('m')) ? 'yes' : 'no'\nend\n",
}
NEEDED = {"php": "php", "js": "node", "ruby": "ruby"}


class Scheme(ABC):
    """One page, and how its senders sign."""

    page: str
    version: str

    def __init__(self) -> None:
        self.key = self.new()

    @abstractmethod
    def new(self) -> str:
        """Make what signs."""

    @abstractmethod
    def proof(self, key: str) -> str:
        """What the receiver verifies with."""

    @abstractmethod
    def sign(self, *keys: str, sent_at: int) -> str:
        """The header."""

    def delivery(self, *keys: str, age: int = 0) -> dict[str, str]:
        """The headers that we would send with BODY."""
        sent_at = int(time.time()) - age
        signature = self.sign(*(keys or (self.key,)), sent_at=sent_at)
        return {"webhook-id": "evt1", "webhook-timestamp": str(sent_at), "webhook-signature": signature}


class Secrets(Scheme):
    page, version = "howto/verify-a-signature", "v1"

    def new(self) -> str:
        return signing.new_secret()

    def proof(self, key: str) -> str:
        return key

    def sign(self, *keys: str, sent_at: int) -> str:
        return signing.standard(tuple(map(signing.key_of, keys)), "evt1", sent_at, BODY)


class KeyPairs(Scheme):
    page, version = "howto/verify-with-a-public-key", "v1a"

    def new(self) -> str:
        return ed25519.new_key()

    def proof(self, key: str) -> str:
        return ed25519.public_key(key)

    def sign(self, *keys: str, sent_at: int) -> str:
        secret = signing.key_of(signing.new_secret())  # which signs beside the keys
        return signing.standard((secret,), "evt1", sent_at, BODY, tuple(map(ed25519.seed_of, keys)))


@pytest.fixture(scope="module", params=[Secrets, KeyPairs])
def scheme(request: pytest.FixtureRequest) -> Scheme:
    made: Scheme = request.param()
    return made


class Snippet:
    """A page's function in one language, in a process that answers one case after the other."""

    def __init__(self, scheme: Scheme, process: "subprocess.Popen[str]", complaints: Path) -> None:
        self.scheme, self._process, self._complaints = scheme, process, complaints

    def says_yes(self, headers: dict[str, str], body: bytes = BODY, key: str | None = None) -> bool:
        proof = self.scheme.proof(key or self.scheme.key)
        case = {"proof": proof, "headers": headers, "body": base64.b64encode(body).decode()}
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(case) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert self._complaints.read_text() == ""
        assert answer in ("yes\n", "no\n")
        return answer == "yes\n"


@pytest.fixture(scope="module", params=HARNESSES)
def snippet(
    request: pytest.FixtureRequest, scheme: Scheme, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Snippet]:
    language = request.param
    if language in NEEDED:
        need(NEEDED[language])
    folder = tmp_path_factory.mktemp("snippet")
    (code,) = blocks(read(scheme.page), language)
    path, complaints = folder / f"verify.{language}", folder / "complaints"
    path.write_text(("<?php\n" if language == "php" else "") + code + HARNESSES[language])
    php = ["php", "-d", "error_reporting=-1", "-d", "display_errors=stderr"]
    python, ruby = [sys.executable, "-W", "error"], ["ruby", "-w"]
    programs = {"python": python, "php": php, "js": ["node"], "ruby": ruby}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        complaints.open("w") as file,
        subprocess.Popen([*programs[language], str(path)], stderr=file, **pipes) as process,
    ):
        yield Snippet(scheme, process, complaints)
        assert process.stdin
        process.stdin.close()
        assert process.wait(10) == 0


def test_a_snippet_accepts_what_we_sign(snippet: Snippet, scheme: Scheme) -> None:
    assert snippet.says_yes(scheme.delivery())
    assert snippet.says_yes(scheme.delivery(age=280))
    other = scheme.new()
    assert snippet.says_yes(scheme.delivery(other), key=other)


def test_a_snippet_accepts_either_of_two_signatures_after_a_rotation(
    snippet: Snippet, scheme: Scheme
) -> None:
    assert snippet.says_yes(scheme.delivery(scheme.new(), scheme.key))


def test_a_snippet_refuses_a_changed_body(snippet: Snippet, scheme: Scheme) -> None:
    assert not snippet.says_yes(scheme.delivery(), BODY.replace(b"Zo", b"Jo"))
    assert not snippet.says_yes(scheme.delivery(), BODY + b"\n")
    assert not snippet.says_yes(scheme.delivery(), b"")


def test_a_snippet_refuses_another_key(snippet: Snippet, scheme: Scheme) -> None:
    assert not snippet.says_yes(scheme.delivery(), key=scheme.new())
    assert not snippet.says_yes(scheme.delivery(scheme.new()))


@pytest.mark.parametrize("age", [320, -320, 10 * 365 * 24 * 3600])
def test_a_snippet_refuses_an_old_timestamp_and_one_from_the_future(
    snippet: Snippet, scheme: Scheme, age: int
) -> None:
    assert not snippet.says_yes(scheme.delivery(age=age))


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-id": "evt2"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "1e9"},
        {"webhook-signature": ""},
        {"webhook-signature": "VERSION,"},
        {"webhook-signature": "VERSION,ü"},
        {"webhook-signature": "VERSION," + "A" * 43 + "="},
        {"webhook-signature": "VERSION," + "A" * 86 + "=="},
    ],
)
def test_a_snippet_refuses_a_header_that_was_changed(
    snippet: Snippet, scheme: Scheme, changes: dict[str, str]
) -> None:
    changed = {name: value.replace("VERSION", scheme.version) for name, value in changes.items()}
    assert not snippet.says_yes({**scheme.delivery(), **changed})


def test_a_snippet_refuses_a_newer_timestamp_than_was_signed(snippet: Snippet, scheme: Scheme) -> None:
    headers = scheme.delivery(age=400)
    assert not snippet.says_yes({**headers, "webhook-timestamp": str(int(time.time()))})


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_snippet_refuses_when_a_header_is_missing(snippet: Snippet, scheme: Scheme, name: str) -> None:
    headers = scheme.delivery()
    del headers[name]
    assert not snippet.says_yes(headers)
