"""`scripts/bench upgrade` upgrades a large book; here a small one."""

from guestbook.storage import schema_version
from scripts.benchmarks.upgrade import upgrade
from tests.support import benches


def test_the_backup_and_each_migration_are_timed() -> None:
    done = benches.run(upgrade, "--comments", "3", "--deliveries", "20")
    assert done.exit_code == 0, done.output
    assert "3 comments, 20 deliveries" in done.stdout
    steps = [line for line in benches.cells(done.stdout) if len(line) == 2][1:]
    names = [name.split()[0] for name, _ in steps]
    assert names == ["backup", *schema_version.known()[1:], "all"]
    assert all(float(seconds) >= 0 for _, seconds in steps)
