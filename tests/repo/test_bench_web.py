"""`scripts/bench web` prints the answers a second, beside those of a bare Flask view; here a few."""

from scripts.benchmarks.web import COLUMNS, KINDS, web
from tests.support import benches


def test_each_kind_of_answer_stands_beside_the_bare_view() -> None:
    done = benches.run(
        web, "--backlog", "0", "--answers", "6", "--rounds", "2", "--at-once", "2", "--server", "waitress"
    )
    assert done.exit_code == 0, done.output
    head, *lines = benches.cells(done.stdout)
    assert head == ["", *COLUMNS]
    assert [line[0] for line in lines] == [f"waitress, {kind}" for kind in KINDS]
    assert {line[1] for line in lines} == {"12"}
    assert lines[0][4] == "1.00 ×"
    assert all(float(line[2].replace(",", "")) > 0 for line in lines)
