"""`scripts/bench without-cron` signs beside a hanging receiver; here a few times."""

from scripts.benchmarks import without_cron
from tests.support import benches


def test_it_prints_the_waits_and_the_cost_of_a_page() -> None:
    done = benches.run(without_cron.without_cron, "--posts", "3", "--rate", "20", "--pages", "100")
    assert done.exit_code == 0, done.output
    rows = {(row[0], len(row)): row for row in benches.cells(done.stdout)}
    signing = rows["the ends of requests send", 6]
    assert signing[1] == "3"
    assert signing[-1] == "1", "the request that signs first also sends"
    assert rows["nothing sends", 6][-1] == "0"
    assert float(rows["nothing sends", 2][1]) > 0  # the kernel counts in steps of 10 ms, so few would not do
