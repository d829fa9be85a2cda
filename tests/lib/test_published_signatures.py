"""Signatures that senders publish with the key: in their documentation, or in the tests of their packages."""

from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlencode

import pytest

from guestbook.inbound import sender_presets
from guestbook.lib import verification
from guestbook.lib.verification import Verdict
from guestbook.lib.verification.kinds import URL
from guestbook.storage.models import Source

FORM = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}
MY_APP = "https://mycompany.com/myapp.php?foo=1&bar=2"
PHONE = {
    **{"CallSid": "CA1234567890ABCDE", "Digits": "1234", "From": "+14158675309"},
    **{"To": "+18005551212", "Caller": "+14158675309"},
}
TWICE = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234")]
HASHED = f"{MY_APP}&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
DROPPED = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
    b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
    b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
    b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
)
DROPPED_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw"
    "+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
)
DROPPED_SIGNATURE = (
    "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
)
SENDGRID = "x-twilio-email-event-webhook"


class Published(NamedTuple):
    """A request and the key that proves it."""

    preset: str
    secret: str
    headers: dict[str, str]
    body: bytes
    seconds: int = 0


def twilio(signature: str, body: object, url: str = MY_APP) -> Published:
    is_form = not isinstance(body, bytes)
    content = urlencode(body).encode() if is_form else body  # type: ignore[arg-type]  # pairs or a dictionary
    more = FORM if is_form else {"content-type": "application/json"}
    return Published("twilio", "12345", {"x-twilio-signature": signature, URL: url, **more}, content)


PUBLISHED = {
    # https://github.com/twilio/twilio-python/blob/main/tests/unit/test_request_validator.py
    "Twilio, form": twilio("RSOYDt4T1cUTdK1PDd93/VVr8B8=", PHONE),
    "Twilio, a field twice": twilio("IK+Dwps556ElfBT0I3Rgjkr1wJU=", TWICE),
    "Twilio, JSON": twilio("a9nBmqA0ju/hNViExpshrM61xv4=", b'{"property": "value", "boolean": true}', HASHED),
    # https://developer.squareup.com/docs/webhooks/step3validate
    "Square": Published(
        "square",
        "asdf1234",
        {
            "x-square-hmacsha256-signature": "2kRE5qRU2tR+tBGlDwMEw2avJ7QM4ikPYD/PJ3bd9Og=",
            URL: "https://example.com/webhook",
        },
        b'{"hello":"world"}',
    ),
    # https://github.com/sendgrid/sendgrid-python/blob/main/test/unit/test_eventwebhook.py
    "SendGrid": Published(
        "sendgrid",
        DROPPED_KEY,
        {f"{SENDGRID}-signature": DROPPED_SIGNATURE, f"{SENDGRID}-timestamp": "1600112502"},
        DROPPED,
        1600112502,
    ),
    # https://github.com/PaddleHQ/paddle-python-sdk/blob/main/tests/Unit/Notification/test_Verifier.py
    "Paddle": Published(
        "paddle",
        "pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_WvRO0eL4Bj9rgYYIBZY6wZhG4EHy9jzh",
        {
            "paddle-signature": "ts=1696195954;h1=dummy;"
            "h1=d96299976a6eb066f484d7fde011ac56fc32b38fc9940bc419d6e537fdc6ef02"
        },
        b"hello-world",
        1696195954,
    ),
}


def verified(one: Published) -> Verdict:
    settings = sender_presets.settings_of(one.preset)
    row = Source(verify=settings["verify"], header=settings["header"], scheme=settings)
    at = datetime.fromtimestamp(one.seconds, UTC)
    return verification.verify(
        row.verify, (one.secret,), one.headers, one.body, at, scheme=row.signature_scheme
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_signature_is_proven_and_nothing_else(name: str) -> None:
    one = PUBLISHED[name]
    assert verified(one).ok, verified(one).sentence
    wrong = [one._replace(body=one.body + b"&x"), one._replace(body=b""), one._replace(secret="x")]
    if one.seconds:
        wrong.append(one._replace(seconds=one.seconds + 301))
    if URL in one.headers:
        wrong.append(one._replace(headers=one.headers | {URL: one.headers[URL] + "&x=1"}))
        wrong.append(one._replace(headers={key: one.headers[key] for key in one.headers if key != URL}))
    for other in wrong:
        assert not verified(other).ok, other


def test_a_body_that_is_no_form_needs_its_hash_in_the_url() -> None:
    """With the signature of the URL alone, any body would do."""
    bare = PUBLISHED["Twilio, form"]
    headers = {**bare.headers, "content-type": "application/json"}
    assert "no bodySHA256 that fits" in verified(bare._replace(headers=headers)).sentence
    json = PUBLISHED["Twilio, JSON"]
    as_form = json._replace(headers=json.headers | FORM, body=b"a=1")
    assert "no bodySHA256 that fits" in verified(as_form).sentence


def test_a_form_with_more_parts_than_count_is_none() -> None:
    bare = PUBLISHED["Twilio, form"]
    headers = {**bare.headers, "content-type": "multipart/form-data; boundary=b"}
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    few, many = (bare._replace(headers=headers, body=part * number + b"--b--\r\n") for number in (2, 1001))
    assert "no bodySHA256 that fits" not in verified(few).sentence
    assert "no bodySHA256 that fits" in verified(many).sentence


def test_a_p256_key_that_is_none_proves_nothing() -> None:
    one = PUBLISHED["SendGrid"]
    for key in (DROPPED_KEY[:-8], DROPPED_KEY[:40], DROPPED_KEY[:36] + "A" * 88, DROPPED_KEY.swapcase()):
        assert not verified(one._replace(secret=key)).ok
    for signature in (DROPPED_SIGNATURE[:-4], DROPPED_SIGNATURE.swapcase(), "AAAA" * 20, "="):
        headers = {**one.headers, f"{SENDGRID}-signature": signature}
        assert not verified(one._replace(headers=headers)).ok


@pytest.mark.parametrize("name", ["Paddle", "SendGrid"])
@pytest.mark.parametrize(
    "time", ["", "\\1", "\\g<0>", "1e9", "٣", "2020-09-14T19:41:42", "2020-13-14T19:41:42Z"]
)
def test_a_senseless_time_has_a_sentence(name: str, time: str) -> None:
    one = PUBLISHED[name]
    headers = {key: text.replace(str(one.seconds), time) for key, text in one.headers.items()}
    verdict = verified(one._replace(headers=headers))
    assert not verdict.ok
    assert verdict.sentence.endswith((" is not a number of seconds.", " is empty."))
