"""What doctor finds in the book around a test."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from guestbook.background.doctor import DoctorFinding, State, examination
from tests.support import factories

Look = Callable[..., dict[str, DoctorFinding]]


def found(settings: Any) -> dict[str, DoctorFinding]:
    """All findings by their subject; of several for one the gravest, which comes first."""
    findings = examination.examine(settings)
    assert all((one.advice is None) is (one.state is State.OK) for one in findings)
    return {one.subject: one for one in reversed(findings)}


@pytest.fixture
def look(app: Flask) -> Look:  # noqa: ARG001  the settings are those of its context
    return lambda **changes: found(replace(factories.settings(), **changes))


def is_fine(findings: dict[str, DoctorFinding], *subjects: str) -> bool:
    return all(findings[subject].state is State.OK for subject in subjects)
