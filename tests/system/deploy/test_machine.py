"""A machine of a test's own is the same wherever the checkout, its packages and their Python lie here."""

import sys

import pytest

from tests.system.deploy.machine import PACKAGES, machine

pytestmark = pytest.mark.needs("machine")


def test_a_machine_has_the_packages_and_none_of_the_folders_in_which_a_checkout_may_lie() -> None:
    program = f"{sys.base_prefix}/bin/python3 -c 'import flask; print(flask.__file__)'"
    with machine() as one:
        listed = one.type("ls -A /home /opt /srv /tmp").split()
        found = one.type(f"runuser -u nobody -- env PYTHONPATH={PACKAGES} {program}")
    assert listed == ["/home:", "/opt:", "packages", "/srv:", "/tmp:"]
    assert found == f"{PACKAGES}/flask/__init__.py\n"
