"""Each parser keeps its promises with the corpus and with inputs made of it, and a defect in it is found."""

import base64
import gzip
import logging
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
from click.testing import CliRunner

from guestbook.lib import body_encoding, parse_html, text
from guestbook.lib.template_sandbox import values
from guestbook.lib.verification import kinds
from guestbook.transport import http_response, urls
from guestbook.web import request_checks
from proof import fuzz
from proof.fuzz import CORPUS, NAMES, Fuzzer
from tests.support.parsers import Parsers

SEED = 1
INPUTS = {"url": 400, "answer": 400, "page": 70, "typed": 150, "web": 90}  # by default 110
OF_TWIN = 3000  # inputs at most
CORPUS_LIMIT = 200_000  # bytes
NEVER = re.compile("(?!)")

# By the parser: what is changed, and what takes its place.
TWINS: dict[str, tuple[Any, str, Any]] = {
    "url": (urls, "literal", lambda host: None if host.count(".") < 3 else urls.ip_address(host)),
    "answer": (http_response, "LENGTH", re.compile("(.+)")),
    "page": (parse_html, "absolute", urljoin),
    "inbound": (
        body_encoding,
        "unpacked_beginning",
        lambda kind, body, _: gzip.decompress(body) if kind else body,
    ),
    "template": (values, "lookup", lambda value, key: getattr(value, str(key), "")),
    "signature": (kinds, "_base64", base64.b64decode),
    "comments_file": (text, "plain_cell", str),
    "typed": (text, "UNWANTED", re.compile("[\0-\x08]")),
    "web": (request_checks, "LONG_NUMBER", NEVER),
}


@pytest.fixture(scope="module")
def parsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parsers]:
    parsers = Parsers(tmp_path_factory.mktemp("fuzz"))
    yield parsers
    parsers.close()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_breaks_a_promise_of(name: str, parsers: Parsers) -> None:
    fuzzer = Fuzzer(name, SEED, getattr(parsers, name))
    fuzzer.run(count=INPUTS.get(name, 150))
    assert fuzzer.faults == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_defect_is_found_in(name: str, parsers: Parsers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*TWINS[name])
    fuzzer = Fuzzer(name, SEED, getattr(parsers, name))
    fuzzer.run(count=OF_TWIN, faults=1)
    assert fuzzer.faults


def test_a_fault_is_printed_as_a_line_for_the_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*TWINS["url"])
    done = CliRunner().invoke(fuzz.fuzz, ["--parser", "url", "--seconds", "0.2"], catch_exceptions=False)
    logging.disable(logging.NOTSET)
    assert done.exit_code == 1
    first, fault, data, *_ = done.stdout.splitlines()
    assert re.fullmatch(r"url: [0-9,]+ inputs, [0-9,]+ calls, [1-9]\d* faults", first)
    assert fault.startswith("    AssertionError in parsers.py, line ")
    assert data.strip() in (CORPUS / "url.jsonl").read_text().splitlines()


def test_the_corpus_is_small() -> None:
    assert {path.stem for path in CORPUS.iterdir()} == {*NAMES, "pieces"}
    assert sum(path.stat().st_size for path in CORPUS.iterdir()) < CORPUS_LIMIT
