"""What a check of `doctor` has found."""

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """How grave a finding is, the gravest first."""

    PROBLEM = "problem"  # something does not work, or data is in danger
    WARNING = "warning"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """What was looked at, how it is, and in all states but ok what to do; `command` is a line to copy."""

    subject: str
    state: State
    sentence: str
    advice: str | None = None
    command: str | None = None


def ok(subject: str, sentence: str) -> DoctorFinding:
    """Return a finding that needs nothing."""
    return DoctorFinding(subject, State.OK, sentence)


def warning(subject: str, sentence: str, advice: str, command: str | None = None) -> DoctorFinding:
    """Return something that the owner should look at."""
    return DoctorFinding(subject, State.WARNING, sentence, advice, command)


def problem(subject: str, sentence: str, advice: str, command: str | None = None) -> DoctorFinding:
    """Return something that does not work."""
    return DoctorFinding(subject, State.PROBLEM, sentence, advice, command)
