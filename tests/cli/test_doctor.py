"""doctor: what it prints, its document, its exit code."""

import json

from guestbook.storage.database import db, writing
from tests.cli.conftest import Process, Shell
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


def test_a_wrong_setting_keeps_the_program_from_starting_and_is_named(process: Process) -> None:
    code, said, complaint = process("doctor", BASE_URL="example.org")
    assert (code, said) == (1, "")
    assert complaint.startswith("Error: GUESTBOOK_BASE_URL is 'example.org': it must be an address")
