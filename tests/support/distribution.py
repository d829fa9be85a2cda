"""Which test runs when and where: the long ones first, and those that share a costly server in one process.

Used with `--dist loadfile --no-loadscope-reorder`: then no process is left with a long file at the end.
"""

from typing import Any

import pytest

LONG = (  # folders and files that wait much, the longest first
    "tests/background/celery/",
    "tests/system/hosts/",
    "tests/system/chaos/",
    "tests/system/browser/",
    "tests/system/deploy/",
    "tests/system/interop/",
    "tests/system/",
    "tests/storage/",
    "tests/background/",
    "tests/repo/",
    "tests/outbound/test_",
    "tests/inbound/test_killed_passes",
    "tests/cli/",
)
TOGETHER = ("tests/background/celery/", "tests/system/hosts/", "tests/system/browser/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests first."""
    items.sort(key=lambda item: rank(item.nodeid))


def rank(nodeid: str) -> int:
    """Return the place of a test among the long ones, or one behind them all."""
    return next((place for place, start in enumerate(LONG) if nodeid.startswith(start)), len(LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out files, and some folders as a whole."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            together = (folder for folder in TOGETHER if nodeid.startswith(folder))
            return next(together, nodeid.partition("::")[0])

    return Scheduling(config, log)
