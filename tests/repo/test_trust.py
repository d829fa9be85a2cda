"""The documents about security and privacy are true: the tests, files and numbers that they name exist."""

import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest

from guestbook import settings
from guestbook.lib import rate_counters
from guestbook.web.visitor_tokens import CHANGE_WINDOW, VISITOR_LIFETIME
from tests.support.documents import DOCS, PAGES, links, read, section
from tests.support.processes import ROOT

NAMED_TEST = re.compile(r"`tests/([\w/]+)\.py::(\w+)`")
HEADS = ("asset", "control", "in the text")


def rows(page: str, columns: int) -> Iterator[list[str]]:
    """The rows of a page's tables with so many columns, without their heads."""
    for line in read(page).splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == columns and cells[0] not in HEADS and set(cells[0]) != {"-"}:
            yield cells


def runs(module: str, name: str) -> bool:
    """Whether pytest would run a test of that name."""
    test = getattr(import_module(f"tests.{module.replace('/', '.')}"), name, None)
    marks = {mark.name for mark in getattr(test, "pytestmark", [])}
    return callable(test) and name.startswith("test_") and "skip" not in marks


THREATS = list(rows("explanation/threat-model", 4))
TESTS = dict(re.findall(r"(?m)^- ([A-Z]\d+): (.+(?:\n  .+)*)", read("explanation/threat-model")))


def test_a_test_that_is_missing_is_found() -> None:
    assert runs("repo/test_trust", "test_a_test_that_is_missing_is_found")
    assert not runs("repo/test_trust", "test_of_nothing")
    assert not runs("repo/test_trust", "runs")


def test_each_threat_has_an_answer_and_a_list_of_tests() -> None:
    assert len(THREATS) > 40
    assert all(all(threat) for threat in THREATS)
    assert [label for *_, label in THREATS] == list(TESTS)


@pytest.mark.parametrize("label", TESTS)
def test_the_tests_that_are_named_run(label: str) -> None:
    named = NAMED_TEST.findall(TESTS[label])
    assert named
    assert NAMED_TEST.sub("", TESTS[label]).strip() == ""
    assert [one for one in named if not runs(*one)] == []


# --- the OpenSSF baseline

# Level 1 of version 2026.02.19: https://github.com/ossf/security-baseline/tree/v2026.02.19/baseline
CONTROLS = """
AC-01.01 AC-02.01 AC-03.01 AC-03.02 BR-01.01 BR-01.03 BR-03.01 BR-03.02 BR-07.01 DO-01.01 DO-02.01 GV-02.01
GV-03.01 LE-02.01 LE-02.02 LE-03.01 LE-03.02 QA-01.01 QA-01.02 QA-02.01 QA-04.01 QA-05.01 QA-05.02 VM-02.01
"""
BASELINE = DOCS / "explanation/openssf-baseline.md"
CONTROL_ROWS = list(rows("explanation/openssf-baseline", 4))
LINK = re.compile(r"\]\(([^)#]+)")


def test_each_control_of_level_1_has_one_answer() -> None:
    named = [control for control, *_ in CONTROL_ROWS]
    assert named == [f"`OSPS-{one}`" for one in CONTROLS.split()]
    assert {answer for _, _, answer, _ in CONTROL_ROWS} == {"met", "not met", "the host's"}


@pytest.mark.parametrize("row", CONTROL_ROWS, ids=lambda row: row[0].strip("`"))
def test_an_answer_leads_to_its_evidence(row: list[str]) -> None:
    _, asked, answer, evidence = row
    assert asked
    paths = [(BASELINE.parent / link).resolve() for link in LINK.findall(evidence)]
    assert [one for one in paths if not (one.is_file() and one.is_relative_to(ROOT))] == []
    assert paths or answer == "the host's"


def test_the_contact_counts_as_met_when_it_is_filled_in() -> None:
    [answer] = [answer for control, _, answer, _ in CONTROL_ROWS if control == "`OSPS-VM-02.01`"]
    report = section((ROOT / "SECURITY.md").read_text(), "Report a weakness")
    [address] = re.findall(r"\*\*Address for reports:\*\* (.+)", report)
    assert answer == ("not met" if address.startswith("not filled in") else "met")


def test_every_link_to_the_web_is_encrypted() -> None:
    pages = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]
    found = [link for page in pages for link in links(page) if "://" in link]
    assert len(found) > 10
    assert [link for link in found if not link.startswith("https://")] == []


def test_the_pipeline_reads_nothing_that_a_submission_names() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert set(re.findall(r"\$\{?([A-Z_]+)", script)) == {"PATH", "TMPDIR"}
    assert re.findall(r"(?m)^ *git .+", script) == []


def git(*words: str) -> list[str]:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_git_leaves_out_the_files_with_secrets() -> None:
    secret = [
        ".env",
        "instance/.env",
        "instance/secret_key",
        "instance/guestbook.db",
        "instance/backups/a.db",
    ]
    assert git("check-ignore", *secret) == secret


def test_the_only_binary_files_are_pictures_and_compiled_translations() -> None:
    files = [ROOT / name for name in git("ls-files", "--cached", "--others", "--exclude-standard")]
    binary = [path for path in files if path.is_file() and b"\0" in path.read_bytes()]
    assert {path.suffix for path in binary} == {".png", ".ico", ".mo"}
    assert all(path.with_suffix(".po") in files for path in binary if path.suffix == ".mo")


# --- the privacy notice


def lasting(text: str) -> set[timedelta]:
    """The times that a text names."""
    named = re.findall(r"(\d+) (day|minute)s?", text.replace("\n> ", " "))
    return {timedelta(**{f"{unit}s": int(number)}) for number, unit in named}


def test_the_numbers_of_the_privacy_notice_are_those_of_a_new_book(tmp_path: Path) -> None:
    new = settings.load({"GUESTBOOK_DATA_DIR": str(tmp_path), "GUESTBOOK_SECRET_KEY": "for the tests alone"})
    numbers = {
        "the count of a network": rate_counters.FORGET_TRIES_AFTER,
        "the cookie after signing": VISITOR_LIFETIME,
        "changing your comment": CHANGE_WINDOW,
        "spam": timedelta(days=new.keep_spam_days),
        "copies that were sent, events that were processed": timedelta(days=new.keep_processed_days),
        "copies and events that failed": timedelta(days=new.keep_failed_days),
    }
    listed = {name: lasting(number) for name, number, _ in rows("howto/write-your-privacy-notice", 3)}
    assert listed == {**{name: {time} for name, time in numbers.items()}, "backups": set()}
    assert lasting(section(read("howto/write-your-privacy-notice"), "The text")) == set(numbers.values())
