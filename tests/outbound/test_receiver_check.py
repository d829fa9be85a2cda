"""The check finds the fault of each planted bad receiver, that one alone, and none in good ones."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from guestbook import settings
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.outbound import receiver_check
from guestbook.outbound.payload_versions import newest
from guestbook.outbound.receiver_check import (
    EXAMINATIONS,
    GONE,
    NO_CLEAR_REFUSAL,
    REDIRECT,
    TEST_HEADER,
    TOO_MANY,
    CheckResult,
)
from guestbook.storage.models import Webhook
from guestbook.storage.models.source import BIN_PATH
from guestbook.transport.failure import FAILURE_SENTENCES
from guestbook.transport.urls import EVERY_NETWORK
from tests.support import documents, planted_receivers as planted, sent_payloads
from tests.support.planted_receivers import BAD, KEY, SECRET, Program, serving

OTHER_SECRET = "The signature was made with another secret."
NO_SESSION: Any = None  # A webhook without a template needs no session.
GOOD: dict[str, tuple[type[Program], dict[str, Any]]] = {
    "secret": (Program, {}),
    "both": (Program, {"signing_key": KEY}),
    "key": (planted.VerifiesKey, {"signing_key": KEY, "key_only_since": clock.now()}),
    "github": (planted.VerifiesForGitHub, {"github_headers_since": clock.now()}),
    "no comments": (Program, {"events": "webhook.failing webhook.recovered"}),
    "no events": (Program, {"events": ""}),
}
OTHERS = (*BAD, planted.SaysGone, planted.Crashes, planted.Dies, planted.LimitsRequests, planted.Redirects)
Found = dict[str, tuple[Program, list[CheckResult]]]


def webhook(url: str, **columns: Any) -> Webhook:
    plain = {"id": "1" * 32, "name": "one", "format": "json", "version": newest()}
    plain |= {"events": "comment.created", "secret": SECRET}
    return Webhook(**{**plain, "url": url, "headers": {"X-Own": "mine"}, **columns})


def examined(program: Program, **columns: Any) -> list[CheckResult]:
    read = settings.load({"GUESTBOOK_ALLOW_NETWORKS": "127.0.0.0/8"}, alone=True)
    with serving(program) as url:
        one = receiver_check.of_webhook(NO_SESSION, webhook(url, **columns), read)
        one = replace(one, settings=replace(read, timeout=program.timeout))
        return list(receiver_check.examine(one))


def faults(results: list[CheckResult]) -> dict[str, str]:
    return {one.examination.name: one.fault for one in results if one.fault}


@pytest.fixture(scope="module")
def found() -> Found:
    """What was found in all receivers. They are examined at once, because some of them are slow."""
    bad: dict[str, tuple[type[Program], dict[str, Any]]] = {one.__name__: (one, {}) for one in OTHERS}
    programs = {name: (kind(), columns) for name, (kind, columns) in (GOOD | bad).items()}
    with ThreadPoolExecutor(len(programs)) as pool:
        runs = {name: pool.submit(examined, one, **columns) for name, (one, columns) in programs.items()}
        return {name: (programs[name][0], run.result(60)) for name, run in runs.items()}


@pytest.mark.parametrize("bad", BAD, ids=lambda one: one.__name__)
def test_it_finds_the_fault_of_a_bad_receiver_and_no_other(found: Found, bad: type[Program]) -> None:
    assert set(faults(found[bad.__name__][1])) == {BAD[bad]}


def test_there_is_a_bad_receiver_for_each_examination() -> None:
    assert set(BAD.values()) == {one.name for one in EXAMINATIONS}


@pytest.mark.parametrize("name", GOOD)
def test_it_finds_no_fault_in_a_good_receiver(found: Found, name: str) -> None:
    program, results = found[name]
    assert faults(results) == {}
    left_out = {"github": {"stale", "future", "rotated"}}
    left_out |= {key: {"sequence", "size", "unicode"} for key in ("no comments", "no events")}
    names = [one.name for one in EXAMINATIONS if one.name not in left_out.get(name, set())]
    assert [one.examination.name for one in results] == names
    assert len(program.requests) > len(names)


def test_each_request_is_a_delivery_that_is_marked_as_a_test(found: Found) -> None:
    whole = complete(found["secret"][0])
    assert {headers[TEST_HEADER.lower()] for headers, _ in whole} == {"1"}
    assert {headers["x-own"] for headers, _ in whole} == {"mine"}
    assert {headers["x-guestbook-version"] for headers, _ in whole} == {newest()}
    attempts = [int(headers["x-guestbook-attempt"]) for headers, _ in whole]
    assert (attempts.count(2), set(attempts)) == (1, {1, 2})
    assert max(len(body) for _, body in whole) > 20_000
    odd = [body for _, body in whole if sent_payloads.faults(body)]
    assert len(odd) == 2  # unknown fields, an unknown event


def test_one_id_comes_twice_and_all_others_are_new(found: Found) -> None:
    ids = [headers["webhook-id"] for headers, _ in found["secret"][0].requests]
    assert len(ids) - len(set(ids)) == 1


def test_forged_requests_have_a_wrong_signature_a_changed_letter_or_none(found: Found) -> None:
    program, _ = found["secret"]
    wrong, changed, unsigned = (one for one in complete(program) if not program.is_genuine(*one))
    assert wrong[0]["webhook-signature"].startswith("v1,")
    assert not sent_payloads.faults(changed[1].replace(b"httP:", b"http:"))
    assert program.is_genuine(changed[0], changed[1].replace(b"httP:", b"http:"))
    assert "webhook-signature" not in unsigned[0]
    assert "x-hub-signature-256" not in unsigned[0]


def complete(program: Program) -> list[tuple[dict[str, str], bytes]]:
    """Return its requests but the one whose body ends early."""
    return [one for one in program.requests if len(one[1]) == int(one[0]["content-length"])]


def test_a_receiver_that_takes_no_good_delivery_gets_no_other_request(found: Found) -> None:
    program, results = found["RefusesAll"]
    assert (len(results), len(program.requests)) == (1, 1)


def test_the_check_ends_where_the_receiver_does(found: Found) -> None:
    _, results = found["Dies"]
    assert list(faults(results)) == ["event"]
    assert results[-1].examination.name == "event"


def test_a_receiver_that_limits_its_requests_is_left_alone(found: Found) -> None:
    program, results = found["LimitsRequests"]
    assert faults(results) == {"sequence": TOO_MANY}
    assert (len(results), len(program.requests)) == (4, 7)


def test_it_says_how_a_receiver_refuses_wrongly(found: Found) -> None:
    assert faults(found["SaysGone"][1]) == {"stale": GONE, "future": GONE}
    assert faults(found["Redirects"][1]) == {"good": REDIRECT}
    assert faults(found["Crashes"][1]) == {"forged": f"{NO_CLEAR_REFUSAL} {OTHER_SECRET}"}
    assert faults(found["TakesUnsigned"][1])["forged"].endswith("forged webhooks. There was no signature.")
    assert faults(found["FailsOnForged"][1])["forged"].startswith("The receiver closed the connection")


def test_a_part_of_the_guide_explains_each_examination() -> None:
    anchors = documents.anchors(documents.ROOT / receiver_check.GUIDE)
    assert {one.part for one in EXAMINATIONS} <= anchors


# --- what is not checked


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"url": "pull:"}, receiver_check.PULLED),
        ({"url": "mailto:a@b.example", "format": "email"}, receiver_check.UNVERIFIED),
        ({"url": "webmention:", "format": "webmention"}, receiver_check.UNVERIFIED),
        ({"url": "https://hooks.slack.com/services/T/B/x", "format": "slack"}, receiver_check.UNVERIFIED),
        ({"url": "https://hooks.slack.com/services/T/B/x"}, receiver_check.UNVERIFIED),
        ({"url": "https://a.example/", "secret": "whsec_"}, "Nothing was sent: the webhook's stored secret"),
    ],
)
def test_a_webhook_that_cannot_be_checked_is_refused(columns: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        receiver_check.of_webhook(NO_SESSION, webhook(**columns), settings.load({}, alone=True))


def test_the_check_connects_to_no_address_that_the_book_may_not_reach() -> None:
    one = receiver_check.of_webhook(
        NO_SESSION, webhook("http://127.0.0.1:65000/"), settings.load({}, alone=True)
    )
    (result,) = receiver_check.examine(one)
    sentence = f"{FAILURE_SENTENCES['private_address']} (127.0.0.1) {EXAMINATIONS[0].why}"
    assert (result.did, result.fault) == ("private address", sentence)


def test_a_bin_of_the_book_may_have_any_address() -> None:
    read = settings.load({"GUESTBOOK_REQUIRE_HTTPS_WEBHOOKS": "true"}, alone=True)
    own, other = (webhook(f"{read.base_url}{path}") for path in (f"{BIN_PATH}abc", "/other"))
    found = [receiver_check.of_webhook(NO_SESSION, one, read).settings for one in (own, other)]
    assert [one.allow_networks == EVERY_NETWORK for one in found] == [True, False]
    assert [one.require_https_webhooks for one in found] == [False, True]


def test_a_rate_limit_holds() -> None:
    began = time.monotonic()
    assert len(examined(planted.RefusesAll(), rate="4/s")) == 1
    assert time.monotonic() - began >= 0.25
    read = settings.load({}, alone=True)
    for rate, pause in ((None, 0), ("30/m", 2), ("5/s", 0.2)):
        assert (
            receiver_check.of_webhook(NO_SESSION, webhook("https://a.example/", rate=rate), read).pause
            == pause
        )
