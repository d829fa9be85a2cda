"""The functions and the receivers of the guides that verify accept what we sign, and no more."""

import base64
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskCliRunner

from guestbook.lib import signatures
from tests.conftest import need, run
from tests.support import documents, factories, processes
from tests.support.documents import blocks, read

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"type":"comment.created","data":{"comment":{"name":"Zoë 🦋"}}}'.encode()

# Each reads a case from each line of standard input and answers whether the page's function says yes.
# Ruby's servers call bytes UTF-8 without a look at them, so its harness does the same.
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
    "  env = d['headers'].transform_keys { |n| 'HTTP_' + n.upcase.tr('-', '_') }\n"
    "  env.transform_values! { |v| v.encode('ISO-8859-1').force_encoding('UTF-8') }\n"
    "  puts verify(d['proof'], env, d['body'].unpack1('m')) ? 'yes' : 'no'\nend\n",
    "go": """
type delivery struct {
	Proof   string
	Headers map[string]string
	Body    []byte
}

func main() {
	for cases := json.NewDecoder(os.Stdin); ; {
		var d delivery
		if cases.Decode(&d) != nil {
			return
		}
		headers := http.Header{}
		for name, value := range d.Headers {
			headers.Set(name, value)
		}
		fmt.Println(map[bool]string{true: "yes", false: "no"}[verify(d.Proof, headers, d.Body)])
	}
}
""",
}
BEFORE = {"php": "<?php\n", "go": 'package main\n\nimport (\n"encoding/json"\n"fmt"\n"os"\n)\n\n'}
NEEDED = {"php": "php", "js": "node", "ruby": "ruby", "go": "go"}
# Go compiles its own library once for all of these programs, without a compiler of C.
# Without optimizing, Go compiles its own packages in two thirds of the time.
GO = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "'-gcflags=all=-N -l'"}
GO_LIMIT = 250  # seconds: that once takes half a minute of computing


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
    path.write_text(BEFORE.get(language, "") + code + HARNESSES[language])
    if language == "go":
        environ = processes.clean_environ(TMPDIR=str(folder), **GO)
        build = ["go", "build", "-o", f"{folder}/verify", str(path)]
        with processes.started(build, env=environ) as compiler:
            processes.wait_for(lambda: compiler.process.poll() is not None, GO_LIMIT, compiler.output)
            assert compiler.process.returncode == 0, compiler.output()
    php = ["php", "-d", "error_reporting=-1", "-d", "display_errors=stderr"]
    python, ruby = [sys.executable, "-W", "error"], ["ruby", "-w"]
    programs = {"python": python, "php": php, "js": ["node"], "ruby": ruby, "go": [f"{folder}/verify"]}
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


# --- the receivers in five languages, which verify so

PAGE = "howto/receivers-in-five-languages"
SAMPLES = {"Python": "receiver.py", "PHP": "receiver.php", "Node": "receiver.js"}
SAMPLES |= {"Ruby": "receiver.rb", "Go": "receiver.go"}
NO_ANSWER = 0


@dataclass
class Sample:
    """A program of the page in its folder, as the page says to save and to start it."""

    language: str
    folder: Path
    port: str
    run: processes.Started | None = None

    def __post_init__(self) -> None:
        text = documents.section(read(PAGE), self.language)
        (self.program,) = [code for one in HARNESSES for code in blocks(text, one)]
        (command,) = blocks(text, "sh")
        (self.folder / SAMPLES[self.language]).write_text(self.program)
        assert f"Save it as `{SAMPLES[self.language]}`" in text
        # What a killed `go run` leaves goes with the folder.
        environ = {"PORT": self.port, "WEBHOOK_SECRET": SECRET, "TMPDIR": str(self.folder)}
        self.environ = processes.clean_environ(**environ, **GO)
        self.command = ["sh", "-c", command]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", int(self.port)), 20):
            return True
        return False

    def inbox(self) -> dict[str, str]:
        """What it has stored: the bodies by the files' names."""
        return {path.name: path.read_text() for path in (self.folder / "inbox").iterdir()}

    def answers(self, body: bytes, **headers: str) -> int:
        """Return the status for a body of that many bytes, also if it comes before the body's end."""
        lines = {"Host": "book.example", "Content-Length": len(body), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        with socket.create_connection(("127.0.0.1", int(self.port)), 20) as connection:
            with suppress(ConnectionError):
                connection.sendall(f"POST / HTTP/1.1\r\n{head}\r\n".encode() + body)
            line = connection.makefile("rb").readline()
            return int(line.split()[1]) if line else NO_ANSWER


@pytest.fixture(scope="module", params=SAMPLES)
def sample(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Sample]:
    if request.param != "Python":
        need(request.param.lower())
    one = Sample(request.param, tmp_path_factory.mktemp("sample"), str(processes.free_port()))
    with processes.started(one.command, cwd=one.folder, env=one.environ) as one.run:
        processes.wait_for(one.listens, GO_LIMIT, one.run.output)
        yield one


def file_name(event_id: str) -> str:
    return hashlib.sha256(event_id.encode()).hexdigest() + ".json"


def test_a_sample_verifies_with_the_function_of_the_other_page(sample: Sample) -> None:
    (code,) = [
        code
        for one in HARNESSES
        for code in blocks(documents.section(read(SECRETS.page), sample.language), one)
    ]
    (verify,) = re.findall(r"(?ms)^(?:def|func|function) verify\(.*", code)
    assert verify.rstrip() in sample.program


def test_a_sample_stores_each_once(runner: FlaskCliRunner, sample: Sample) -> None:
    factories.webhook(sample.url, secret=SECRET)
    factories.sign("Grüße from the book")
    factories.run_pass()
    sent = factories.one()
    assert (sent.status, sent.last_status_code) == ("processed", 204)
    before = sample.inbox()
    assert before[file_name(sent.event_id)] == sent.payload
    assert runner.invoke(args=["deliveries", "redeliver", sent.id]).exit_code == 0
    factories.run_pass()
    assert [one.status_code for one in factories.attempts(sent.id)] == [204, 204]
    assert sample.inbox() == before


def test_a_sample_passes_the_check(runner: FlaskCliRunner, sample: Sample) -> None:
    factories.webhook(sample.url, secret=SECRET)
    done = runner.invoke(args=["webhooks", "check", "one", "--json"])
    assert (done.exit_code, [one for one in json.loads(done.output) if one["fault"]]) == (0, [])
    assert sample.run
    assert not re.search("Traceback|Warning|Fatal|panic|Unhandled|Error", sample.run.output())


def test_a_sample_refuses_a_forged_an_old_and_a_large_body(sample: Sample) -> None:
    before = sample.inbox()
    assert sample.answers(BODY) == 401
    assert sample.answers(BODY[1:], **SECRETS.delivery(SECRET)) == 401
    assert sample.answers(BODY, **SECRETS.delivery(SECRET, age=400)) == 401
    assert sample.answers(b"x" * 1_000_001, **SECRETS.delivery(SECRET)) == 413
    assert sample.inbox() == before
    assert sample.answers(BODY, **SECRETS.delivery(signatures.new_secret(), SECRET)) == 204
    assert sample.inbox() == before | {file_name("evt1"): BODY.decode()}


def test_a_sample_that_cannot_store_does_not_say_that_it_has(sample: Sample) -> None:
    inbox, aside = sample.folder / "inbox", sample.folder / "aside"
    inbox.rename(aside)
    inbox.write_text("This is no folder.")
    assert sample.answers(BODY, **SECRETS.delivery(SECRET)) in (500, NO_ANSWER)
    inbox.unlink()
    aside.rename(inbox)
    assert sample.answers(BODY, **SECRETS.delivery(SECRET)) == 204


def test_a_sample_takes_nothing_for_a_secret_that_is_none(sample: Sample) -> None:
    command = re.sub(r"-S \S+ ", "", sample.command[-1])  # PHP's server starts without it, too.
    environ = sample.environ | {"WEBHOOK_SECRET": "whsec_…"}
    with processes.started(["sh", "-c", command], cwd=sample.folder, env=environ) as refused:
        processes.wait_for(lambda: refused.process.poll() is not None, 60, refused.output)
        assert "WEBHOOK_SECRET must be whsec_" in refused.output()


def test_the_loop_of_the_guide_hands_over_each_file_until_it_is_done(tmp_path: Path) -> None:
    (loop,) = [one for one in blocks(read("howto/write-a-receiver"), "sh") if "ls -tr" in one]
    inbox, handle = tmp_path / "inbox", tmp_path / "handle"
    inbox.mkdir()
    for age, name in enumerate(("a", "b", "c")):
        (inbox / f"{name}.json").write_text(f"{name}\n")
        os.utime(inbox / f"{name}.json", (0, 2_000_000_000 - age))
    (inbox / "new-temporary").write_text("half")
    handle.write_text('#!/bin/sh\nread -r body; echo "$body"; [ "$body" != b ] || [ -e ../now ]\n')
    handle.chmod(0o755)
    assert run("sh", "-c", loop, cwd=tmp_path).stdout == "c\nb\na\n"
    (tmp_path / "now").touch()
    assert run("sh", "-c", loop, cwd=tmp_path).stdout == "b\n"
    assert run("sh", "-c", loop, cwd=tmp_path).stdout == ""
    assert {one.name: one.read_text() for one in inbox.glob("*.json")} == dict.fromkeys(
        ("a.json", "b.json", "c.json"), ""
    )
    os.utime(inbox / "a.json", (0, time.time() - 102 * 24 * 3600))
    run("sh", "-c", loop, cwd=tmp_path)
    assert sorted(one.name for one in inbox.iterdir()) == ["b.json", "c.json", "new-temporary"]
