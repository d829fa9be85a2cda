"""The garbage collector rests while the program starts, and works again afterwards."""

import gc
import sys

from guestbook.lib.current_process import paused_gc
from tests.conftest import run

FROZEN = """
import gc, guestbook
guestbook.create_app()
print(gc.isenabled(), gc.get_freeze_count() > 100_000)
"""


def test_it_rests_meanwhile_and_works_afterwards() -> None:
    with paused_gc():
        assert not gc.isenabled()
        with paused_gc():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_what_a_start_made_is_looked_at_no_more(environ: dict[str, str]) -> None:
    assert run(sys.executable, "-c", FROZEN, env=environ).stdout.split() == ["True", "True"]
