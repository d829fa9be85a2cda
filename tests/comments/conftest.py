"""Tests of comments that come over HTTP."""

from tests.web.conftest import later, visitor  # noqa: F401  fixtures
