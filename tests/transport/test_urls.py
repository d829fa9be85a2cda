"""What people may type as a webhook's URL and headers, and where the URL may lead."""

import socket
from ipaddress import ip_network

import pytest
from hypothesis import given, strategies as st

from guestbook.transport import connections, urls
from guestbook.transport.attempt_budget import AttemptBudget
from guestbook.transport.failure import TransportError
from guestbook.transport.http_request_and_redirects import Transport
from guestbook.transport.urls import check_destination, check_headers, check_url, private_address_warning
from tests.transport.conftest import answers, failure
from tests.transport.test_address_policy import LITERALS, PUBLIC, REFUSED

SAME = [
    *("https://example.com/", "https://example.com:80/", "https://example.com:65535/"),
    *("https://example.com./", "https://under_score.example.com/", "https://localhost:5000/x"),
    *("http://127.1/", "https://example.com/a%20b?c=%C3%BC&d=/?;@:[]"),
    *("https://example.com//a/../b", "https://xn--bcher-kva.example/", "https://[::1]:8443/"),
    "http://[fe80::1%25eth0]/",
]
GOOD_URLS = [
    *((url, url) for url in SAME),
    ("https://example.com", "https://example.com/"),
    ("HTTPS://Example.COM/Hook", "https://example.com/Hook"),
    ("http://example.com:80/", "http://example.com/"),
    ("https://example.com:443/", "https://example.com/"),
    ("https://example.com:/", "https://example.com/"),
    ("https://example.com:08443/", "https://example.com:8443/"),
    ("https://example.com?a=b", "https://example.com/?a=b"),
    ("https://example.com/ü?ö=ß", "https://example.com/%C3%BC?%C3%B6=%C3%9F"),
    ('https://example.com/"<>^`{|}', "https://example.com/%22%3C%3E%5E%60%7B%7C%7D"),
    ("https://Bücher.example/", "https://xn--bcher-kva.example/"),
    ("https://例え.テスト/", "https://xn--r8jz45g.xn--zckzah/"),
    ("https://example。com/", "https://example.com/"),
    ("https://exa\u200bmple.com/", "https://example.com/"),
    ("https://[2001:DB8::0:1]/", "https://[2001:db8::1]/"),
    ("http://[fe80::1%eth0]/", "http://[fe80::1%25eth0]/"),
    ("https://example.com/" + "a" * 1980, "https://example.com/" + "a" * 1980),
]

# What is refused, by a word of the sentence.
BAD_URLS = {
    "missing": [""],
    "start with": [
        *("example.com", "//example.com/", "/hook", "ftp://example.com/", "file:///etc/passwd"),
        *("javascript:alert(1)", "gopher://example.com/"),
    ],
    "no host": ["https:example.com", "https://", "https:///hook", "https://:443/", "https://?a=b"],
    "user name": [
        *("https://user@example.com/", "https://user:secret@example.com/", "https://@example.com/"),
        *("https://example.com@127.0.0.1/",),
    ],
    "fragment": ["https://example.com/#top", "https://example.com/#"],
    "spaces": [
        *(" https://example.com/", "https://example.com/ ", "https://example.com/a b"),
        *("https://example.com/\r\nX-A: b", "https://exa\tmple.com/", "https://example.com/\0"),
        *("https://example.com/\x7f", "https://example.com/\x85", "https://example.com/\u2028"),
        *("https://example.com/\u00a0", "https://[fe80::1%25a b]/"),
    ],
    "backslashes": ["https://example.com\\@127.0.0.1/"],
    "port": [
        *("https://example.com:0/", "https://example.com:65536/", "https://example.com:-1/"),
        *("https://example.com:http/", "https://example.com:٤٤٣/", "https://example.com:" + "9" * 1000 + "/"),
    ],
    "host": [
        *("https://exa%6dple.com/", "https://exam$ple.com/", "https://a..b/", "https://.example.com/"),
        *("https://example.com../", "https://-/", "https://" + "a" * 64 + ".com/"),
        *("https://" + "a." * 126 + "example/", "https://[::1/", "https://::1/", "https://[::1]x/"),
        *("https://x[::1]/", "https://[v1.x]/", "https://[1.2.3.4]/", "https://[::12345]/"),
        *("https://[fe80::1%25]]/", "https://[fe80::1%25$]/", "https://ex℀mple.com/"),
    ],
    "domain name": [
        *("https://\u2603\ufe0f\u0301.example/", "https://" + "ü" * 64 + ".com/", "https://\ud800.com/")
    ],
    "encoded": [
        *("https://example.com/\ud800", "https://example.com/?\udfff", "https://example.com/" + "ü" * 400)
    ],
    "longer": ["https://example.com/" + "a" * 1981],
}


@pytest.mark.parametrize(("typed", "normal"), GOOD_URLS)
def test_a_good_url_is_brought_into_its_normal_form(typed: str, normal: str) -> None:
    assert check_url(typed) == normal
    assert check_url(normal) == normal


@pytest.mark.parametrize(("word", "typed"), [(word, url) for word, urls in BAD_URLS.items() for url in urls])
def test_a_bad_url_is_refused_with_a_sentence_and_is_an_outcome_of_its_post(
    word: str, typed: str, transport: Transport
) -> None:
    with pytest.raises(ValueError, match=word) as raised:
        check_url(typed)
    _is_a_sentence(raised.value)
    assert "secret" not in str(raised.value)
    error = failure(transport, typed)
    assert (error.reason, error.sent, error.unreachable) == ("bad_url", False, False)


def test_https_can_be_required() -> None:
    assert check_url("https://example.com/", require_https=True) == "https://example.com/"
    with pytest.raises(ValueError, match="https://"):
        check_url("http://example.com/", require_https=True)
    assert "https://" in str(failure(Transport(require_https=True), "http://example.com/"))


@given(st.text() | st.text(alphabet="[]:@/?#.%\\-_1ax٣ü\ud800\u200d。㎏ "))
def test_no_text_raises_anything_but_a_sentence(text: str) -> None:
    for form in ("{}", "https://{}", "http://a{}", "http://{}/x", "https://[{}]/", "https://example.com/{}"):
        _url_or_sentence(form.format(text))
    for form in ("https://[::1]{}", "https://[::1%25{}]/"):
        _url_or_sentence(form.format(text))


@given(st.text(), st.text(alphabet="[]:@/?%.-_1ax٣ü"))
def test_whatever_the_url_its_post_has_an_outcome(text: str, host: str) -> None:
    transport = Transport(timeout=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", answers("127.0.0.1"))
        for url in (text, f"http://{host}", f"https://[::1%25{host}]/", f"http://a.example/{text}"):
            with pytest.raises(TransportError) as raised:
                transport.post(url, {}, b"{}")
            assert raised.value.reason in ("bad_url", "private_address")
    transport.close()


def _url_or_sentence(url: str) -> None:
    try:
        normal = check_url(url)
    except ValueError as error:
        _is_a_sentence(error)
    else:
        assert normal.isascii()
        assert check_url(normal) == normal


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("example.com/hook", "https://example.com/hook"),
        ("localhost:8000", "https://localhost:8000"),
        ("http//example.com", "https://example.com"),
        ("htps://example.com", "https://example.com"),
        ("ftp://example.com", None),
        ("example", None),
        ("me@example.com", None),
    ],
)
def test_a_url_without_its_scheme_is_completed(typed: str, meant: str | None) -> None:
    with pytest.raises(ValueError, match="must start with") as raised:
        check_url(typed)
    assert str(raised.value).partition("Did you mean ")[2] == (f"{meant}?" if meant else "")


def _is_a_sentence(error: ValueError) -> None:
    assert type(error) is ValueError
    assert str(error)[0].isupper() or str(error)[0] in "'\""
    assert str(error).endswith((".", "?"))


GOOD_HEADERS = [
    {},
    {"Authorization": "Bearer abc.def"},
    {"X-Api-Key": "k", "x-other": "v"},
    {"X-Empty": ""},
    {"Cookie": "a=b; c=d"},
    {"Accept": "application/json"},
    {"X-Webhook-Token": "t"},
    {"Webhook": "w"},
    {"!#$%&'*+-.^_`|~09azAZ": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ x"},
    {"X" * 64: "y" * 1024},
    {f"X-{n}": "v" for n in range(10)},
]

# What is refused, by a word of the sentence.
BAD_HEADERS: dict[str, list[dict[str, str]]] = {
    "at most 10": [{f"X-{n}": "v" for n in range(11)}],
    "name": [{name: "v"} for name in ("", " ", "X A", "X:", "X-Ü", "X-A\r\nX-B", "X-A\n", "(X)")],
    "64": [{"X" * 65: "v"}],
    "1024": [{"X-A": "y" * 1025}],
    "printable": [
        {"X-A": value}
        for value in ("a\r\nX-B: c", "a\nb", "a\n", "a\0b", "a\x1bb", "a\x7fb", "a\tb", "ü", "€", "\ud800")
    ],
    "twice": [{"X-A": "1", "x-a": "2"}, {"X-A": "1", " X-A": "2"}],
    "itself": [
        {name: "v"}
        for name in (
            *("Host", "HOST", "Content-Length", "Transfer-Encoding", "Connection", "Content-Type"),
            *("User-Agent", "Expect", "TE", "Trailer", "Upgrade", "Keep-Alive", "Proxy-Authorization"),
            *("proxy-connection", "webhook-id", "Webhook-Timestamp", "WEBHOOK-SIGNATURE", "webhook-"),
            *("X-Guestbook-Event", "x-guestbook-anything", "X-Hub-Signature", "X-Hub-Signature-256"),
            *("Accept-Encoding", "Content-Encoding", "HTTP2-Settings", "Date", "Via", " Host "),
        )
    ],
}


@pytest.mark.parametrize("headers", GOOD_HEADERS)
def test_good_headers_are_given_back(headers: dict[str, str]) -> None:
    assert check_headers(list(headers.items())) == headers


def test_blanks_around_a_header_are_left_out() -> None:
    assert check_headers([(" X-A ", " \tv w ")]) == {"X-A": "v w"}


@pytest.mark.parametrize(
    ("word", "headers"), [(word, one) for word, all_ in BAD_HEADERS.items() for one in all_]
)
def test_a_bad_header_is_refused_with_a_sentence(word: str, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=word) as raised:
        check_headers(list(headers.items()))
    _is_a_sentence(raised.value)


@given(st.dictionaries(st.text(), st.text(), max_size=12))
def test_no_headers_raise_anything_but_a_sentence(headers: dict[str, str]) -> None:
    try:
        checked = check_headers(list(headers.items()))
    except ValueError as error:
        _is_a_sentence(error)
    else:
        assert check_headers(list(checked.items())) == checked


# --- where a URL leads

NAMES = [host for host in LITERALS if host.strip(".").lower().endswith("ocalhost")]


def host_of(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("host", [*map(host_of, REFUSED), *(host for host in LITERALS if host not in NAMES)])
def test_a_private_literal_address_is_refused_in_every_spelling(host: str) -> None:
    with pytest.raises(ValueError, match=r"private or reserved address.*GUESTBOOK_ALLOW_NETWORKS"):
        check_destination(f"http://{host}:8080/hook")


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_literal_address_is_taken(address: str) -> None:
    assert check_destination(f"https://{host_of(address)}/hook").endswith("/hook")


def test_the_sentence_names_the_network_that_allows_it() -> None:
    for host, network in (("[::ffff:10.0.0.1]", "10.0.0.1/32"), ("[fd00::1]", "fd00::1/128")):
        with pytest.raises(ValueError, match=f"add {network} to"):
            check_destination(f"http://{host}/")
        assert check_destination(f"http://{host}/", allow_networks=[ip_network(network)])


def test_names_are_not_looked_up_to_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers("10.0.0.1"))
    assert check_destination("http://inner.example/") == "http://inner.example/"


def test_a_name_that_leads_to_a_private_address_gets_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers("1.1.1.1", "10.0.0.1"))
    warning = private_address_warning("http://inner.example/hook")
    assert warning
    assert warning.startswith("inner.example leads to 10.0.0.1, a private or reserved address")
    assert "add 10.0.0.1/32 to GUESTBOOK_ALLOW_NETWORKS" in warning
    assert private_address_warning("http://inner.example/", [ip_network("10.0.0.0/8")]) is None


def test_a_public_name_and_a_name_of_nobody_get_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers("1.1.1.1"))
    assert private_address_warning("http://outer.example/") is None
    monkeypatch.undo()
    assert private_address_warning("http://nobody.invalid/") is None
    assert private_address_warning(f"http://{'a' * 63}.{'b' * 63}/") is None


# --- ports

ALLOWED = (ip_network("10.1.0.0/16"), ip_network("::1/128"))


@pytest.mark.parametrize("port", [22, 25, 6000, 6379, 10080, 11211])
def test_a_url_with_the_port_of_another_service_is_refused_with_a_sentence(port: int) -> None:
    for host in ("example.org", "8.8.8.8", "[2003::1]", "127.0.0.1"):
        with pytest.raises(ValueError, match=f"Port {port} belongs to another service") as raised:
            check_url(f"http://{host}:{port}/")
        assert "GUESTBOOK_ALLOW_NETWORKS" in str(raised.value)


def test_the_ports_that_browsers_refuse_are_all_there() -> None:
    assert len(urls.BAD_PORTS) == 83
    assert {80, 443, 8080, 8443}.isdisjoint(urls.REFUSED_PORT)


def test_in_an_allowed_network_every_port_may_be_named() -> None:
    for host in ("10.1.2.3", "[::1]", "[::ffff:10.1.2.3]", "intranet.example"):
        assert check_url(f"http://{host}:6379/", allow_networks=ALLOWED)
    for host in ("10.2.0.1", "8.8.8.8", "[2003::1]"):
        with pytest.raises(ValueError, match="Port 6379"):
            check_url(f"http://{host}:6379/", allow_networks=ALLOWED)


def test_a_name_is_checked_again_by_its_address_when_it_is_sent_to(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = Transport(timeout=2, allow_networks=ALLOWED)
    monkeypatch.setattr(socket, "getaddrinfo", answers("8.8.8.8"))
    error = failure(transport, "http://hook.example:6379/")
    assert (error.reason, error.sent, error.unreachable) == ("bad_port", False, False)
    reached: list[object] = []

    def connect(attempt: AttemptBudget, addresses: object) -> None:
        reached.append(addresses)
        raise attempt.error("connect_failed")

    monkeypatch.setattr(connections, "_connect_first", connect)
    monkeypatch.setattr(socket, "getaddrinfo", answers("10.1.2.3"))
    assert failure(transport, "http://hook.example:6379/").reason == "connect_failed"
    assert reached, "the operator's own network"
