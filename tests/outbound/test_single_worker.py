"""`cron --concurrency 1` needs no thread: where starting one raises, it sends all the same."""

from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.receiver import Answer, Receiver


def test_with_a_concurrency_of_one_a_pass_sends_without_starting_any_thread(
    each_book: Book, each_environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    """That Python starts without one too is the next test's."""
    receiver.answer("/bad", Answer(500))
    by_name = f"http://localhost:{receiver.port}"  # a name needs a look-up, an address does not
    each_book.webhook(f"{by_name}/good")
    each_book.webhook(f"{by_name}/bad")
    each_book.publish(20)
    done = forks.start(each_environ, "cron", "--concurrency", "1", point="without_threads")
    assert (done.wait(), done.printed) == (0, "")
    assert receiver.most_at_once("/good") == receiver.most_at_once("/bad") == 1
    assert each_book.statuses() == {"processed": 20, "new": 20}
    assert each_book.leased() == 0
    assert len(receiver.at("/good")) == 20
    assert len(receiver.at("/bad")) == len(each_book.attempts()) - 20
    each_book.check()
