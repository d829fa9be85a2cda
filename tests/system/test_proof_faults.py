"""`scripts/proof faults` at its smallest: a server is killed while a book is at work."""

import pytest
from click.testing import CliRunner

from proof import faults
from tests.support import databases, server_faults, servers

KIND = "postgresql"


POINT = "without_fault_away"
SIZES = {"DELAY": 0.1, "PASS_SECONDS": 2, "WINDOW": 0.5, "WINDOWS": 2, "BACKLOG": 40, "BACK": 0}


def test_nothing_is_lost_when_a_server_is_killed_and_a_twin_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    databases.no_process()
    if not servers.can_be_started(KIND):
        pytest.skip(f"needs root and the programs of {KIND}")
    for name, value in SIZES.items():
        monkeypatch.setattr(faults, name, value)
    monkeypatch.setitem(server_faults.FAULTS, "killed", (1, server_faults.FAULTS["killed"][1]))
    monkeypatch.setitem(server_faults.TWINS, POINT, (KIND, "killed", 1, "a pass ended with 1 "))
    words = ["--server", KIND, "--fault", "killed", "--twin", POINT]
    done = CliRunner().invoke(faults.faults, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    first, second = done.stdout.splitlines()
    assert first.endswith("; 0 faults")
    assert second.startswith(f"twin {POINT}: caught")
