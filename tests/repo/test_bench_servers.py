"""`scripts/bench … --database` takes a server that it can use, and else says in a sentence why not."""

import pytest

from scripts.benchmarks.latency import latency
from tests.conftest import need
from tests.support import benches


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("", "it is no database URL"),
        ("oracle://host/name", "the database must be one of"),
        ("sqlite:////tmp/book.db", "only the URL of a PostgreSQL or MariaDB server"),
    ],
)
def test_a_wrong_server_is_one_sentence(given: str, sentence: str) -> None:
    done = benches.run(latency, "--database", given)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: --database: {sentence}")
    assert done.stderr.count("\n") == 1


def test_a_server_that_is_away_is_no_traceback() -> None:
    need("postgresql")
    done = benches.run(latency, "--database", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: --database: the server cannot be used: ")
