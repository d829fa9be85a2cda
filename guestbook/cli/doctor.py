"""The command that finds out why something does not work."""

import sys
from collections import Counter

import click

from guestbook.background.doctor import examination
from guestbook.background.doctor.examined_book import DoctorFinding, State
from guestbook.cli import app_command, output
from guestbook.lib.text import counted, printable

INDENT = " " * 9


@click.command(cls=app_command.AnyVersionCommand)
@output.as_json
def doctor(as_json: bool) -> None:
    """Find out why something does not work, and say what to do. Exit with 1 if there is a problem.

    It looks at the data folder, the database, cron, the webhooks, the address of the book and the limits of
    this host. It also works when the database does not, and it changes nothing in the book.
    """
    findings = examination.examine(app_command.settings())
    if as_json:
        output.print_json(examination.shape(findings))
    else:
        _print(findings)
    if examination.worst(findings) is State.PROBLEM:
        sys.exit(1)


def _print(findings: list[DoctorFinding]) -> None:
    for finding in findings:
        label = finding.state.value.ljust(len(INDENT))
        click.echo(f"{label}{printable(finding.subject)}: {printable(finding.sentence)}")
        if finding.advice:
            click.echo(f"{INDENT}What to do: {printable(finding.advice)}")
        if finding.command:
            click.echo(f"\n{INDENT}    {printable(finding.command)}\n")
    counts = Counter(finding.state for finding in findings)
    problems, warnings = counted(counts[State.PROBLEM], "problem"), counted(counts[State.WARNING], "warning")
    click.echo(f"\n{problems} and {warnings}.")
