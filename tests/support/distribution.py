"""Which test runs when and where: the long ones first, and those that share a costly server in one process.

Used with `--dist loadgroup --no-loadscope-reorder`: then no process is left with a long file at the end.
"""

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
    """Put the long tests first, and let each file, and some folders as a whole, run in one process."""
    items.sort(key=lambda item: rank(item.nodeid))
    for item in items:
        folder = next((folder for folder in TOGETHER if item.nodeid.startswith(folder)), None)
        item.add_marker(pytest.mark.xdist_group(folder or item.nodeid.partition("::")[0]))


def rank(nodeid: str) -> int:
    """Return the place of a test among the long ones, or one behind them all."""
    return next((place for place, start in enumerate(LONG) if nodeid.startswith(start)), len(LONG))
