"""`scripts/bench spam` prints how many comments of the corpus are sorted right; here for one split."""

from scripts.benchmarks.spam import spam
from tests.support import benches, spam_corpus


def test_the_rates_are_printed_with_the_comments_that_were_sorted_wrong() -> None:
    done = benches.run(spam, "--splits", "1", "--show")
    assert done.exit_code == 0, done.output
    heading, *lines = benches.cells(done.stdout)
    assert heading[1:] == ["good held", "good as spam", "spam published", "spam held", "spam as spam"]
    assert [line[0] for line in lines] == ["rules alone", "split 1"]
    assert all(cell.endswith("%") for line in lines for cell in line[1:])
    wrong = [line for line in done.stdout.splitlines() if line.startswith("split 1, ")]
    found = {kind: spam_corpus.verdicts(kind, 0) for kind in ("good", "spam")}
    assert len(wrong) == len(found["good"].held) + len(found["spam"].published)
