"""`scripts/bench start` measures what an idle pass and a page by CGI cost; here once."""

from scripts.benchmarks import start
from tests.support import benches


def test_all_commands_are_measured() -> None:
    done = benches.run(start.start, "--times", "1")
    assert done.exit_code == 0, done.output
    lines = benches.cells(done.stdout)
    costs = [line for line in lines if line[0] in start.COMMANDS]
    assert [line[0] for line in costs] == list(start.COMMANDS)
    assert all(float(cell.replace(",", "")) > 0 for line in costs for cell in (line[1], line[3]))
