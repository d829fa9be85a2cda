"""migrate-to: what it prints, what it ends with, what it never prints."""

import re
from pathlib import Path

import pytest
from flask import Flask

from guestbook.storage.database import db
from tests.cli.conftest import Shell, Terminal
from tests.storage.hostile_rows import TABLES
from tests.support import factories
from tests.support.forks import Forks


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/new.db"


def test_it_prints_each_table_and_the_next_step(shell: Shell, target: str) -> None:
    factories.sign("one")
    factories.sign("two")
    lines = shell("migrate-to", target).splitlines()
    assert lines[0].split("  ")[0] == "TABLE"
    assert {line.split()[0] for line in lines[1 : len(TABLES) + 1]} == set(TABLES)
    [comments] = [line.split() for line in lines if line.startswith("comments")]
    assert (comments[1], len(comments[2])) == ("2", 12)
    said = " ".join(lines[len(TABLES) + 1 :])
    assert f"The copy in {target} is complete: 3 rows, each compared. Now set GUESTBOOK_DATABASE_URL" in said
    assert "GUESTBOOK_SECRET_KEY" in said


def test_programs_get_the_rows_and_a_checksum_of_each_table(shell: Shell, target: str) -> None:
    factories.sign()
    found = shell.json("migrate-to", target)
    assert found["target"] == target
    [comments] = [one for one in found["tables"] if one["table"] == "comments"]
    assert (comments["rows"], comments["copied"], len(comments["checksum"])) == (1, 1, 64)


def test_what_is_refused_is_one_sentence_and_1(shell: Shell, environ: dict[str, str]) -> None:
    said = shell.refused("migrate-to", environ["GUESTBOOK_DATABASE_URL"])
    assert re.fullmatch("Error: The book is in .*\n", said)


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://me:hunter2@127.0.0.1:1/b", "mysql+pymysql://me:hunter2@127.0.0.1:1/b"]
)
def test_a_target_that_is_away_is_one_sentence_and_75(shell: Shell, url: str) -> None:
    said = shell.refused("migrate-to", url, code=75)
    assert re.fullmatch("The target cannot be used now: .*\n", said)
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "url", ["hunter2", "oracle://me:hunter2@host/b", "postgresql+psycopg://me:hunter2", "sqlite://"]
)
def test_what_is_no_url_is_2_and_is_not_repeated(shell: Shell, url: str) -> None:
    said = shell.refused("migrate-to", url, code=2)
    assert ("Invalid value for 'URL': " in said, "hunter2" in said) == (True, False)


def test_the_url_may_come_from_standard_input(shell: Shell, target: str) -> None:
    factories.sign()
    db.session.remove()
    result = shell.runner.invoke(args=["migrate-to", "-"], input=f"{target}\n")
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"The copy in {target} is complete" in result.stdout
    result = shell.runner.invoke(args=["migrate-to", "-"], input="")
    assert (result.exit_code, result.stderr) == (1, "Error: Standard input is empty.\n")


def test_a_terminal_sees_how_far_it_is(app: Flask, terminal: Terminal, target: str) -> None:
    assert app
    factories.sign()
    code, said = terminal("migrate-to", target)
    assert code == 0
    assert all(words in said for words in ("Copying", "Checking", "100%", "TABLE "))


def test_a_pass_that_stays_is_asked_to_end(
    shell: Shell, environ: dict[str, str], forks: Forks, target: str
) -> None:
    at_work = forks.start(environ, "cron", "--stay", "--max-seconds", "600")
    at_work.is_at_work()
    result = shell.result("migrate-to", target)
    said = "A pass is running; waiting for its end, up to 60 seconds.\n"
    assert (result.exit_code, result.stderr) == (0, said)
    assert (at_work.wait(), at_work.printed) == (0, "")
