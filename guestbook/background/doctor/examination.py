"""All checks, one after the other: each fails on its own."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

from sqlalchemy.exc import SQLAlchemyError

from guestbook.background.doctor import (
    DoctorFinding,
    ExaminedBook,
    State,
    database_checks,
    host_checks,
    network_checks,
    opened_book,
    warning,
)
from guestbook.settings import Settings, installation
from guestbook.storage import database_errors
from guestbook.storage.database_errors import Fault


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """A check, what it looks at, and whether it can do so without the database."""

    subject: str
    run: Callable[[ExaminedBook], Iterator[DoctorFinding]]
    needs_database: bool = True
    needs_tables: bool = False  # of the program's version


CONNECTION = DoctorCheck("database", database_checks.check_connection, needs_database=False)
TABLES = DoctorCheck("tables", database_checks.check_version)
DATA_FOLDER = DoctorCheck("data folder", host_checks.check_folder, needs_database=False)
PROGRAMS = DoctorCheck("versions", host_checks.check_programs, needs_database=False)
CHECKS = (
    DoctorCheck("secret key", host_checks.check_secrets, needs_database=False),
    DoctorCheck("disk space", host_checks.check_disk, needs_database=False),
    DoctorCheck("public folder", host_checks.check_public_folder, needs_tables=True),
    DoctorCheck("damage", database_checks.check_damage),
    DoctorCheck("writing", database_checks.check_writing, needs_tables=True),
    DoctorCheck("journal mode", database_checks.check_journal),
    DoctorCheck("hosts", host_checks.check_hosts_of_file, needs_database=False),
    DoctorCheck("hosts", host_checks.check_hosts_of_server),
    DoctorCheck("clock", host_checks.check_clock, needs_tables=True),
    DoctorCheck("cron", network_checks.check_cron, needs_tables=True),
    DoctorCheck("backlog", network_checks.check_backlog, needs_tables=True),
    DoctorCheck("webhooks", network_checks.check_webhooks, needs_tables=True),
    DoctorCheck("secrets", database_checks.check_stored_secrets, needs_tables=True),
    DoctorCheck("keys", network_checks.check_keys, needs_tables=True),
    DoctorCheck("outbound proxy", network_checks.check_outbound_proxy, needs_database=False),
    DoctorCheck("base URL", network_checks.check_base_url, needs_database=False),
    DoctorCheck("HTTPS", network_checks.check_https, needs_database=False),
    DoctorCheck("proxies", network_checks.check_proxies, needs_database=False),
    DoctorCheck("password", network_checks.check_password, needs_tables=True),
    DoctorCheck("limits", host_checks.check_limits, needs_database=False),
    PROGRAMS,
)


def examine(settings: Settings) -> list[DoctorFinding]:
    """Run all checks; the gravest findings come first, and else they keep the order of the checks.

    Without the database those that need it are left out: each could only say so once more. Where the settings
    in the data folder cannot be read, what the others look at would not be the owner's book.
    """
    with opened_book(settings) as book:
        folder = _findings(DATA_FOLDER, book)
        if installation.hides_settings(settings.data_dir):
            return folder + _findings(PROGRAMS, book)
        findings = _findings(CONNECTION, book)
        is_there = worst(findings) is State.OK
        findings += folder
        tables = _findings(TABLES, book) if is_there else []
        findings += tables
        are_ready = is_there and worst(tables) is State.OK
        for check in CHECKS:
            if are_ready or (not check.needs_tables and (is_there or not check.needs_database)):
                findings += _findings(check, book)
    grave = list(State)
    return sorted(findings, key=lambda finding: grave.index(finding.state))


def worst(findings: list[DoctorFinding]) -> State:
    """Return the gravest state among the findings."""
    return next((state for state in State if any(one.state is state for one in findings)), State.OK)


def shape(findings: list[DoctorFinding]) -> dict[str, object]:
    """Return the findings as JSON, for the API and the command."""
    listed = [asdict(one) | {"state": one.state.value} for one in findings]
    return {"state": worst(findings).value, "findings": listed}


def _findings(check: DoctorCheck, book: ExaminedBook) -> list[DoctorFinding]:
    try:
        found = list(check.run(book))
    except Exception as error:  # The other checks must still run.
        if isinstance(error, SQLAlchemyError) and database_errors.fault_of(error) is not Fault.BROKEN:
            found = [database_checks.advice_of(error, book)]
        else:
            words = next(iter(str(error).splitlines()), "")
            sentence = f"This could not be looked at ({type(error).__name__}: {words})."
            found = [warning(sentence, "First solve the problems above, then run doctor again.")]
    return [replace(one, subject=one.subject or check.subject) for one in found]
