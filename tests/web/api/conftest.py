"""Programs: the owner's, which has a token, and anybody's."""

import pytest
from flask import Flask

from tests.web.api.program import Program, new_token


@pytest.fixture
def program(app: Flask) -> Program:
    return Program(app, new_token(app))


@pytest.fixture
def anybody(app: Flask) -> Program:
    return Program(app)
