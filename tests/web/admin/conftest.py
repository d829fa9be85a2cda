"""The owner, logged in."""

import pytest
from flask import Flask

from tests.web.admin.owner import Owner


@pytest.fixture
def owner(app: Flask) -> Owner:
    owner = Owner(app)
    assert owner.log_in().status_code == 303
    return owner
