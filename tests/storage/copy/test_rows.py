"""A row that cannot move is named, and the rest waits for it to be mended."""

from pathlib import Path

import pytest

from tests.storage.copy.moving import back, count, file_of, is_well, migrate, refused, servers
from tests.storage.copy.rows import change, dump, hostile, write

BROKEN = {
    "bytes": ("deliveries SET payload = x'00ff'", "d2 of deliveries"),
    "no UTF-8": ("deliveries SET payload = CAST(x'41ff' AS TEXT)", "d2 of deliveries"),
    "a fraction": ("deliveries SET claims = 1.5", "d2 of deliveries"),
    "a word": ("attempts SET milliseconds = 'no'", "d2 0 of attempts"),
}
MENDED = (
    "UPDATE deliveries SET payload = 'é', claims = 3 WHERE id = 'd2'",
    "UPDATE attempts SET milliseconds = 0 WHERE delivery_id = 'd2'",
)


@pytest.mark.parametrize("there", ["sqlite-journal", "postgresql"], indirect=True)
def test_a_row_that_no_database_should_have_is_named(folder: Path, there: str) -> None:
    write(file_of(folder), hostile())
    for sql, named in BROKEN.values():
        key = "delivery_id" if "attempts" in named else "id"
        change(file_of(folder), f"UPDATE {sql} WHERE {key} = 'd2'")
        assert refused(folder, there) == (
            f"The row {named} has a wrong value: text must be UTF-8, and numbers must be whole. "
            "Fix or remove that row in the book, and run this again."
        )
        assert count(there, "comments") == 7  # what was there before it stays for the next run
        change(file_of(folder), *MENDED)
    report = migrate(folder, there)
    assert is_well(report)
    assert {one.table.name: one.copied for one in report.moved}["comments"] == 0
    assert back(folder, there) == dump(file_of(folder))


TOO_MUCH = {
    "a long name": ("comments SET name = printf('%.81c', 'x') WHERE id = 'c2'", "c2 of comments"),
    "a long text": ("comments SET message = printf('%.70000c', 'x') WHERE id = 'c2'", "c2 of comments"),
    "NUL": ("comments SET message = 'a' || char(0) WHERE id = 'c2'", "c2 of comments"),
    "a large number": ("days SET failed = 2147483648", "2026-01-31 of days"),
}
TAKES = {"mariadb": ["NUL"], "postgresql": ["a long text"], "sqlite-journal": list(TOO_MUCH)}


@pytest.mark.parametrize("broken", TOO_MUCH)
@pytest.mark.parametrize("there", TAKES, indirect=True)
def test_a_row_that_the_target_does_not_take_is_named(
    folder: Path, there: str, broken: str, request: pytest.FixtureRequest
) -> None:
    write(file_of(folder), hostile())
    sql, named = TOO_MUCH[broken]
    change(file_of(folder), f"UPDATE {sql}")
    if broken in TAKES[request.node.callspec.params["there"]]:
        assert is_well(migrate(folder, there))
        assert back(folder, there) == dump(file_of(folder))
        return
    for _ in range(2):
        sentence = refused(folder, there)
        assert sentence.startswith(f"The row {named} is refused by the target: ")
        assert sentence.endswith(". Fix or remove that row in the book, and run this again.")
        assert count(there, "deliveries") == 0


@servers
def test_an_orphan_is_named(folder: Path, there: str) -> None:
    """SQLite has such rows where its own shell was used: there foreign keys are off."""
    write(file_of(folder), hostile())
    change(file_of(folder), "PRAGMA foreign_keys = OFF", "DELETE FROM bins")
    assert "of bin_requests is refused by the target: " in refused(folder, there)
