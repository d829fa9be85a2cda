"""A signature is explained: the steps match the signing code, and the programs verify this delivery."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from standardwebhooks import Webhook as Verifier

from guestbook.lib.signatures import new_secret
from guestbook.outbound import signature_explanation
from guestbook.outbound.formats import chats
from guestbook.outbound.signature_explanation import Explanation, Snippet
from tests.conftest import need

SECRET, OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", new_secret()
EVENT_ID, TIMESTAMP = "019a2b3c4d5e7f60819a2b3c4d5e7f60", 1614265330
HOSTILE = [
    '{"test": 2432232314}',
    "",
    """it's "quoted" `twice` \\ \\\\ \\' '; exit(0); // """,
    "#{exit 0} #{`id`} $x ${y} {$z} @body @id %s %(a)s {0} {{ 7*7 }} {% raw %}",
    "?> <?php exit(0); </pre><script>alert(1)</script> <!-- ''' \"\"\" =begin __END__",
    "one\ntwo\r\nthree\rfour\u2028five\u2029six\x85\t\x0b\x0c\x1b[31m\x00\x7f end\n",
    "🎈 👩‍👩‍👧 Zoë שלום \u202eback\u2066 nbsp\xa0 \ufeff \U000e0041 \U0010ffff \uffff",
    "ends with a backslash \\",
    json.dumps({"data": {"message": "a\nb'\"\\ #{x} ?> 🎈"}}, ensure_ascii=False),
]
# A text that is quoted badly spoils the signature of all; an empty body and another end have their own runs.
BODIES = {"nothing": "", "all with a line's end": "\n".join([*HOSTILE, ""]), "a backslash's end": HOSTILE[7]}
RUNS = {"python": [sys.executable, "-I"], "php": ["php"], "node": ["node"], "ruby": ["ruby", "-w"]}


def explained(body: str, secret: str = SECRET, previous: str | None = None) -> Explanation:
    return signature_explanation.explain(EVENT_ID, TIMESTAMP, body.encode(), [secret, previous])


def run(snippet: Snippet, folder: Path, secret: str | None) -> tuple[int, str, str]:
    program = folder / snippet.file
    program.write_text(snippet.text, encoding="utf-8", newline="")
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C"} | ({} if secret is None else {"WEBHOOK_SECRET": secret})
    command = [*RUNS[snippet.name], str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, cwd=folder)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(params=signature_explanation.LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    if request.param != "python":
        need(request.param)
    return str(request.param)


def snippet(language: str, it: Explanation) -> Snippet:
    [one] = [one for one in it.programs if one.name == language]
    return one


# --- the steps


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_the_library_of_the_standard_makes_the_same_header(body: str) -> None:
    moment = datetime.fromtimestamp(TIMESTAMP, UTC)
    assert explained(body).header == Verifier(SECRET).sign(EVENT_ID, moment, body)


# --- the programs


@pytest.mark.parametrize("body", BODIES)
def test_the_program_finds_this_delivery_valid(language: str, body: str, tmp_path: Path) -> None:
    assert run(snippet(language, explained(BODIES[body])), tmp_path, SECRET) == (0, "valid\n", "")


@pytest.mark.parametrize(
    "secret",
    [OTHER, SECRET[:-4], "nonsense!", "ключ", "", None],
    ids=["another", "cut", "nonsense", "not ASCII", "empty", "none"],  # the same in all processes
)
def test_with_another_secret_it_does_not(language: str, secret: str | None, tmp_path: Path) -> None:
    assert run(snippet(language, explained(HOSTILE[0])), tmp_path, secret) == (1, "not valid\n", "")


def test_a_body_that_was_altered_is_not_valid(language: str, tmp_path: Path) -> None:
    whole = snippet(language, explained("before"))
    altered = Snippet(whole.name, "", whole.file, "", whole.text.replace("'before'", "'beforE'"))
    assert altered.text != whole.text
    assert run(altered, tmp_path, SECRET) == (1, "not valid\n", "")


def test_while_two_secrets_sign_either_is_right(language: str, tmp_path: Path) -> None:
    both = snippet(language, explained("{}", SECRET, OTHER))
    assert run(both, tmp_path, SECRET) == (0, "valid\n", "")
    assert run(both, tmp_path, OTHER) == (0, "valid\n", "")


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_a_program_can_be_read_and_copied_from_a_page(body: str) -> None:
    for one, plain in zip(explained(body).programs, explained("").programs, strict=True):
        seen = [letter for letter in one.text if letter != "\n" and letter not in chats.JOINERS]
        assert all(letter.isprintable() for letter in seen)
        assert one.text.count("\n") == plain.text.count("\n")
