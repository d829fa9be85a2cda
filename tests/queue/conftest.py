"""Tests of the queue ask each kind of database once, but for those that ask for a rollback journal."""

from tests.queries.conftest import each_environ  # noqa: F401  a fixture
from tests.web.conftest import later  # noqa: F401  a fixture
