"""doctor: what it prints, its document, its exit code."""

import json
import os
from pathlib import Path

import pytest

from guestbook.storage.database import db, writing
from tests.cli.conftest import FLASK, Process, Shell
from tests.conftest import run
from tests.support import factories


def test_warnings_alone_are_no_failure_and_each_says_what_to_do(shell: Shell) -> None:
    said = shell("doctor")
    assert said.startswith("warning  ")
    assert "\n         What to do: " in said
    assert "* * * * * " in said
    assert "\nok       database: " in said
    assert said.splitlines()[-1].startswith("0 problems and ")


def test_a_problem_comes_first_and_is_exit_code_1(shell: Shell) -> None:
    factories.webhook()  # and cron never came
    result = shell.result("doctor")
    assert result.exit_code == 1
    assert result.stdout.startswith("problem  cron: Cron has never come, so nothing is sent.\n")
    assert result.stdout.splitlines()[-1].startswith("1 problem and ")


def test_the_document_has_the_same(shell: Shell) -> None:
    document = shell.json("doctor")
    assert document["state"] == "warning"
    assert {tuple(finding) for finding in document["findings"]} == {
        ("subject", "state", "sentence", "advice", "command")
    }
    printed = shell("doctor")
    assert all(f"{finding['subject']}: " in printed for finding in document["findings"])


def test_names_of_strangers_cannot_obey_the_terminal(shell: Shell) -> None:
    factories.webhook(name="a\x1b[2Jb", failures_in_a_row=1, disabled_at=None, failing_since=None)
    with writing() as session:
        session.connection().exec_driver_sql("UPDATE webhooks SET failing_since = created_at")
    assert "webhook a [2Jb" in shell.result("doctor").stdout


def test_it_works_on_a_book_without_tables(shell: Shell) -> None:
    with writing() as session:
        session.connection().exec_driver_sql("DROP TABLE passes")
    db.session.remove()
    result = shell.result("doctor", "--json")
    assert result.exit_code == 1
    findings = {one["subject"]: one for one in json.loads(result.stdout)["findings"]}
    assert findings["cron"]["sentence"] == "The tables are missing."
    assert findings["database"]["state"] == "ok"


def test_a_wrong_setting_keeps_the_program_from_starting_and_is_named(forked: Process) -> None:
    code, said, complaint = forked("doctor", BASE_URL="example.org")
    assert (code, said) == (1, "")
    assert complaint.startswith("Error: GUESTBOOK_BASE_URL is 'example.org': it must be an address")


@pytest.mark.parametrize("program", [("flask", "--app", "guestbook"), ("guestbook",)])
def test_what_is_missing_is_found_and_not_made(program: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GUESTBOOK_DATA_DIR": str(folder)}
    command = (str(Path(FLASK).with_name(program[0])), *program[1:], "doctor", "--json")
    for is_there in (False, True)[: len(program)]:  # once by the program that has no Flask before it
        done = run(*command, env=env, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (1, "")
        findings = {one["subject"]: one for one in json.loads(done.stdout)["findings"]}
        bad = [name for name, one in findings.items() if one["state"] == "problem"]
        assert bad == ["database", *(() if is_there else ("data folder",)), "secret key"]
        assert (
            findings["secret key"]["sentence"] == f"There is no secret key: {folder}/secret_key is missing."
        )
        assert findings["database"]["sentence"] == f"There is no file {folder}/guestbook.db."
        assert list(tmp_path.rglob("*")) == ([folder] if is_there else [])
        folder.mkdir(exist_ok=True)
