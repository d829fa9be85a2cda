"""One clock: aware, in UTC, cut to milliseconds. Its text sorts like the time. Zones have IANA names."""

import time
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from guestbook.lib import clock

MOMENTS = st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


def test_now_is_aware_and_holds_whole_milliseconds() -> None:
    moments = [clock.now() for _ in range(50)]
    assert all(moment.tzinfo is UTC and moment.microsecond % 1000 == 0 for moment in moments)
    assert abs(moments[-1] - datetime.now(UTC)) < timedelta(seconds=5)


def test_what_somebody_typed_without_a_zone_is_taken_for_utc() -> None:
    assert clock.from_text("2026-01-31 23:59:59") == datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:00", "soon", ""])
def test_what_is_no_moment_in_utc_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        clock.from_text(text)


@given(MOMENTS, MOMENTS)
def test_a_moment_survives_its_text_and_texts_sort_like_moments(one: datetime, other: datetime) -> None:
    text = clock.to_text(one)
    assert len(text) == 24
    assert clock.from_text(text) == one
    assert clock.to_text(one.astimezone(timezone(timedelta(hours=2)))) == text
    assert (text < clock.to_text(other)) == (one < other)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati"])
def test_the_time_zone_has_no_effect(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2026, 7, 31, 23, 59, 59, 123_000, UTC)
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        assert time.localtime(0).tm_gmtoff != 0
        assert clock.to_text(moment) == "2026-07-31T23:59:59.123Z"
        assert clock.from_text("2026-07-31T23:59:59.123Z") == moment
        assert abs(clock.now().timestamp() - time.time()) < 5
    time.tzset()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T23:59", datetime(2026, 1, 31, 23, 59, tzinfo=UTC)),
        ("2026-01-31T23:59:59Z", datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-01-31T23:59:59+02:00", datetime(2026, 1, 31, 21, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_that_somebody_typed_is_in_utc_unless_it_names_a_zone(text: str, meant: datetime) -> None:
    assert clock.typed(text) == meant
    assert clock.typed(text).tzinfo is UTC


@pytest.mark.parametrize(("text", "ago"), [("90m", 90 * 60), ("6h", 6 * 3600), ("2d", 2 * 86400)])
def test_so_long_ago_can_be_typed(text: str, ago: int) -> None:
    assert abs(clock.now() - timedelta(seconds=ago) - clock.typed(text)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    "text",
    ["", "d", "-1h", "1w", "٣d", "99999999999d", "0001-01-01T00:00+14:00", "2026-02-30", "\ud800", "0\0"],
)
def test_what_is_no_time_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="is no time such as 2026-01-31, 90m, 6h or 2d"):
        clock.typed(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "just now"), (-0.4, "just now"), (1.5, "1 second ago"), (59.5, "59 seconds ago"),
        (60.5, "1 minute ago"), (-300.5, "in 5 minutes"), (7200.5, "2 hours ago"), (-86400.5, "in 1 day"),
        (40 * 86400, "1 month ago"), (-800 * 86400, "in 2 years"),
        (1 - 90 * 86400, "in 3 months"), (90 * 86400 - 1, "2 months ago"), (5 - 30 * 86400, "in 30 days"),
    ],
)  # fmt: skip
def test_how_long_ago_is_said_in_one_unit(seconds: float, words: str) -> None:
    assert clock.ago(clock.now() - timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    "name", ["Europe/Berlin", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "Etc/GMT+5", "UTC"]
)
def test_a_zone_has_its_name(name: str) -> None:
    assert clock.checked_zone(f" {name}\n") == name
    assert clock.checked_zone("") == "UTC"


@pytest.mark.parametrize(
    "typed",
    [
        *("Europe/Atlantis", "Berlin", "Europe", "Europe/", "/Europe/Berlin", "Europe//Berlin", "CEST?"),
        *("localtime", "posixrules", "posix/Europe/Berlin", "right/Europe/Berlin", "Factory", "tzdata.zi"),
        *("../../etc/passwd", "Europe/../../../etc/passwd", "/etc/localtime", "A/B/C/D", "C:\\Windows"),
        *("Europe/Berlin\0", "\0", "Europe/B\u00e9rlin", "\ud800", "Europe/Berlin\nUTC", "+02:00"),
        "x" * 60_000,
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
