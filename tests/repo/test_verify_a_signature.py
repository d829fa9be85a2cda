"""The functions and the receiver of the guides that verify accept what we sign, and no more."""

import base64
import json
import sqlite3
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskCliRunner

from guestbook.lib import signatures
from tests.conftest import need
from tests.support import factories, processes
from tests.support.documents import blocks, read

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
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


def sign_with_secrets(keys: Sequence[str], sent_at: int) -> str:
    return signatures.standard(tuple(map(signatures.key_of, keys)), "evt1", sent_at, BODY)


def sign_with_key_pairs(keys: Sequence[str], sent_at: int) -> str:
    """Sign with these, and with the secret that signs beside them."""
    secret = signatures.key_of(signatures.new_secret())
    return signatures.standard((secret,), "evt1", sent_at, BODY, tuple(map(signatures.seed_of, keys)))


@dataclass
class Scheme:
    """One page, and how its senders sign."""

    page: str
    version: str
    new: Callable[[], str]  # makes what signs
    proof: Callable[[str], str]  # what the receiver verifies with
    sign: Callable[[Sequence[str], int], str]  # the header
    key: str = ""

    def __post_init__(self) -> None:
        self.key = self.new()

    def delivery(self, *keys: str, age: int = 0) -> dict[str, str]:
        """The headers that we would send with BODY."""
        sent_at = int(time.time()) - age
        signature = self.sign(keys or (self.key,), sent_at)
        return {"webhook-id": "evt1", "webhook-timestamp": str(sent_at), "webhook-signature": signature}


SECRETS = Scheme("howto/verify-a-signature", "v1", signatures.new_secret, str, sign_with_secrets)
KEY_PAIRS = Scheme(
    "howto/verify-with-a-public-key", "v1a", signatures.new_key, signatures.public_key, sign_with_key_pairs
)


@pytest.fixture(scope="module", params=[SECRETS, KEY_PAIRS], ids=["secrets", "key pairs"])
def scheme(request: pytest.FixtureRequest) -> Scheme:
    return request.param


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
def snippet(request: pytest.FixtureRequest, scheme: Scheme, tmp_path_factory: Any) -> Iterator[Snippet]:
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
        process.stdin.close()
        assert process.wait(10) == 0


def test_a_snippet_accepts_what_we_sign_also_after_a_rotation(snippet: Snippet, scheme: Scheme) -> None:
    assert snippet.says_yes(scheme.delivery())
    assert snippet.says_yes(scheme.delivery(age=280))
    other = scheme.new()
    assert snippet.says_yes(scheme.delivery(other), key=other)
    assert snippet.says_yes(scheme.delivery(other, scheme.key))


def test_a_snippet_refuses_another_body_key_or_time(snippet: Snippet, scheme: Scheme) -> None:
    for body in (BODY.replace(b"Zo", b"Jo"), BODY + b"\n", b""):
        assert not snippet.says_yes(scheme.delivery(), body)
    assert not snippet.says_yes(scheme.delivery(), key=scheme.new())
    assert not snippet.says_yes(scheme.delivery(scheme.new()))
    for age in (320, -320, 10 * 365 * 24 * 3600):
        assert not snippet.says_yes(scheme.delivery(age=age))
    newer = {"webhook-timestamp": str(int(time.time()))}
    assert not snippet.says_yes({**scheme.delivery(age=400), **newer})


WRONG = {
    "webhook-id": ("evt2",),
    "webhook-timestamp": ("soon", "9" * 5000, "-1", "1e9"),
    "webhook-signature": ("", *(f"VERSION,{end}" for end in ("", "ü", "A" * 43 + "=", "A" * 86 + "=="))),
}


@pytest.mark.parametrize(("name", "value"), [(name, one) for name in WRONG for one in WRONG[name]])
def test_a_snippet_refuses_a_wrong_header(snippet: Snippet, scheme: Scheme, name: str, value: str) -> None:
    assert not snippet.says_yes({**scheme.delivery(), name: value.replace("VERSION", scheme.version)})
    assert not snippet.says_yes({key: one for key, one in scheme.delivery().items() if key != name})


# --- the receiver of the guide, which verifies so


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[str]:
    """Start the guide's program, and give its URL."""
    (verify,) = blocks(read("howto/verify-a-signature"), "python")
    (program,) = blocks(read("howto/write-a-receiver"), "python")
    port = str(processes.free_port())
    (tmp_path / "verify.py").write_text(verify)
    (tmp_path / "receiver.py").write_text(program.replace("9000", port))
    environ = processes.clean_environ(WEBHOOK_SECRET=SECRET)
    url = f"http://127.0.0.1:{port}/"
    with processes.started([sys.executable, "-W", "error", "receiver.py"], cwd=tmp_path, env=environ) as run:
        processes.wait_for(lambda: _listens(url), 20, run.output)
        yield url
        assert "Traceback" not in run.output()


def _listens(url: str) -> bool:
    try:
        return processes.fetch(url)[0] == 501  # it takes no GET
    except (urllib.error.URLError, ConnectionError):
        return False


def test_the_guides_receiver_stores_each_once(runner: FlaskCliRunner, receiver: str, tmp_path: Path) -> None:
    factories.webhook(receiver, secret=SECRET)
    factories.sign("Grüße from the book")
    factories.run_pass()
    sent = factories.one()
    assert (sent.status, sent.last_status_code) == ("processed", 204)
    assert runner.invoke(args=["deliveries", "redeliver", sent.id]).exit_code == 0
    factories.run_pass()
    assert (factories.one().status, len(factories.attempts(sent.id))) == ("processed", 2)
    assert processes.fetch(receiver, {"forged": "yes"})[0] == 401
    with closing(sqlite3.connect(tmp_path / "inbox.db")) as inbox:
        rows = inbox.execute("SELECT id, body, done_at FROM inbox").fetchall()
    assert rows == [(sent.event_id, sent.payload, None)]
