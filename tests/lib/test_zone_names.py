"""A time zone has an IANA name; anything else that a machine keeps beside the zones has none."""

from datetime import UTC, date, datetime

import pytest

from guestbook.lib import clock


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (" America/Argentina/Buenos_Aires\n", "America/Argentina/Buenos_Aires"),
        ("America/Port-au-Prince", "America/Port-au-Prince"),
        ("Etc/GMT+5", "Etc/GMT+5"),
        ("UTC", "UTC"),
        ("", "UTC"),
    ],
)
def test_a_zone_has_its_name(typed: str, name: str) -> None:
    assert clock.checked_zone(typed) == name


@pytest.mark.parametrize(
    "typed",
    [
        *("Europe/Atlantis", "Berlin", "Europe", "Europe/", "/Europe/Berlin", "Europe//Berlin", "CEST?"),
        *("localtime", "posixrules", "posix/Europe/Berlin", "right/Europe/Berlin", "Factory", "tzdata.zi"),
        *("../../etc/passwd", "Europe/../../../etc/passwd", "/etc/localtime", "A/B/C/D", "C:\\Windows"),
        *(
            "Europe/Berlin\0",
            "\0",
            "Europe/B\u00e9rlin",
            "\ud800",
            "Europe/Berlin\nUTC",
            "+02:00",
            "x" * 60_000,
        ),
        *("A" * 32, "A/" * 30_000, "utc", "EUROPE/BERLIN", "🕰"),
    ],
    ids=lambda typed: ascii(typed[:20]),
)
def test_anything_else_is_refused_in_a_short_sentence(typed: str) -> None:
    with pytest.raises(ValueError, match=r"There is no time zone .* such as Europe/Berlin") as refused:
        clock.checked_zone(typed)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("utc", "day", "hour"),
    [
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), date(2026, 3, 29), 1),  # the minute before summer time
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), date(2026, 3, 29), 3),
        (datetime(2026, 10, 25, 0, 59, tzinfo=UTC), date(2026, 10, 25), 2),  # the minute before winter time
        (datetime(2026, 10, 25, 1, 0, tzinfo=UTC), date(2026, 10, 25), 2),
        (datetime(2026, 7, 14, 21, 59, tzinfo=UTC), date(2026, 7, 14), 23),
        (datetime(2026, 7, 14, 22, 0, tzinfo=UTC), date(2026, 7, 15), 0),
        (datetime(2026, 1, 14, 22, 59, tzinfo=UTC), date(2026, 1, 14), 23),
        (datetime(2026, 12, 31, 23, 0, tzinfo=UTC), date(2027, 1, 1), 0),
    ],
)
def test_a_moment_has_the_day_and_the_hour_of_the_zone(utc: datetime, day: date, hour: int) -> None:
    there = clock.in_zone(utc, "Europe/Berlin")
    assert (there.date(), there.hour, there.astimezone(UTC)) == (day, hour, utc)
    assert clock.in_zone(utc, "UTC") is utc


@pytest.mark.parametrize("moment", [datetime.min, datetime.max])
@pytest.mark.parametrize("name", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_first_and_the_last_moment_of_all_have_a_day_too(moment: datetime, name: str) -> None:
    assert clock.in_zone(moment.replace(tzinfo=UTC), name).year == moment.year


def test_what_is_suggested_is_accepted_and_stays_a_short_list() -> None:
    suggested = clock.suggested_zones()
    assert {"UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland"} <= set(suggested)
    assert 300 < len(suggested) < 700
    for name in suggested:
        assert clock.checked_zone(name) == name
