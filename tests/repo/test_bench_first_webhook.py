"""`scripts/bench first-webhook` installs the wheel and goes a newcomer's way; here without an index."""

from scripts.benchmarks.first_webhook import first_webhook
from tests.support import benches


def test_each_step_is_timed() -> None:
    done = benches.run(first_webhook, "--share-packages")
    assert done.exit_code == 0, done.output
    lines = benches.cells(done.stdout)
    assert [line[0] for line in lines] == [
        "step",
        "make a virtual environment, install the wheel",
        "guestbook run, until the site answers",
        "guestbook bins add",
        "guestbook webhooks add",
        "sign, until guestbook bins show has the webhook",
        "all",
        "to the first webhook",
    ]
    assert all(float(line[1]) > 0 for line in (*lines[1:6], lines[7]))
