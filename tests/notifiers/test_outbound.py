"""Where notifiers may reach, and what they make of what comes back."""

from __future__ import annotations

import base64
import ipaddress
import ssl
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.delivery import Refused, TryLater
from notifiers.outbound import (
    ANSWER_LIMIT,
    Allowed,
    Answer,
    Deadline,
    Outbound,
    OutboundSettings,
    checked_url,
    is_public,
    retry_after,
)
from tests.notifiers.fake_http import FakeHttp, Reply
from tests.notifiers.samples import unhurried

LOCAL = OutboundSettings(allow_http=True, allow_hosts=["127.0.0.0/8"])
CLOSED = OutboundSettings(allow_http=True)


def post(settings: OutboundSettings, url: str, *addresses: str, seconds: float = 5) -> Answer | TryLater | Refused:
    """One POST; with *addresses*, every name resolves to them."""
    resolve = {"resolve": lambda _host, _port: addresses} if addresses else {}
    outbound = Outbound(settings, **resolve)
    try:
        return outbound.post(url, b"{}", {}, Deadline(seconds))
    finally:
        outbound.close()


# --- which addresses are reached


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "127.1",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.0.23",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
def test_an_address_that_is_not_public_is_refused_however_it_is_written(host: str) -> None:
    outcome = post(CLOSED, f"http://{host}:9/")

    assert isinstance(outcome, Refused)
    assert "not public" in outcome.reason


@pytest.mark.parametrize("address", ["1.1.1.1", "119.29.29.29", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_public_addresses_need_no_permission(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_one_inner_address_among_public_ones_refuses_all() -> None:
    outcome = post(CLOSED, "http://hook.example.test:9/", "1.1.1.1", "127.0.0.1")

    assert isinstance(outcome, Refused)


def test_the_name_is_resolved_once_and_the_connection_goes_where_it_was_checked() -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]  # a rebinding name server: good when asked first, bad afterwards
    asked: list[str] = []

    def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return answers.pop(0)

    with FakeHttp(Reply(204)) as server:
        outbound = Outbound(LOCAL, resolve=resolve)
        answer = outbound.post(f"http://hook.example.test:{server.port}/", b"", {}, Deadline(5))
        outbound.close()

    assert isinstance(answer, Answer)
    assert asked == ["hook.example.test"]
    assert server.received[0].headers["host"] == f"hook.example.test:{server.port}"


def test_a_second_address_is_tried_when_the_first_does_not_answer() -> None:
    with FakeHttp(Reply(204)) as server:
        answer = post(LOCAL, f"http://hook.example.test:{server.port}/", "127.0.0.2", "127.0.0.1")

    assert isinstance(answer, Answer)


def test_a_listed_name_may_be_an_inner_host() -> None:
    settings = OutboundSettings(allow_http=True, allow_hosts=["Hook.Example.test"])
    with FakeHttp(Reply(204)) as server:
        answer = post(settings, f"http://hook.example.test:{server.port}/", "127.0.0.1")

    assert isinstance(answer, Answer)


@pytest.mark.parametrize("address", ["169.254.0.23", "100.100.100.200", "fd00:ec2::254", "0.0.0.0"])
def test_a_listed_name_does_not_lead_to_the_metadata_of_the_machine(address: str) -> None:
    assert not Allowed.of(["hook.example.test"]).permits("hook.example.test", ipaddress.ip_address(address))


def test_a_listed_network_permits_exactly_its_addresses() -> None:
    allowed = Allowed.of(["10.1.0.0/16"])

    assert allowed.permits("any", ipaddress.ip_address("10.1.2.3"))
    assert allowed.permits("any", ipaddress.ip_address("::ffff:10.1.2.3"))
    assert not allowed.permits("any", ipaddress.ip_address("10.2.2.3"))


@pytest.mark.parametrize("entry", ["", "*", "*.example.com", "10.0.0.0/33", "http://x", "300.1.1.1", "a b", "x/24"])
def test_an_allow_list_entry_that_means_nothing_is_an_error(entry: str) -> None:
    with pytest.raises(ValidationError, match="not a host name"):
        OutboundSettings(allow_hosts=[entry])


@unhurried
@given(st.integers(0, 2**32 - 1))
def test_wrapping_an_address_in_ipv6_never_makes_it_public(number: int) -> None:
    inner = ipaddress.IPv4Address(number)
    wrapped = ipaddress.IPv6Address(f"::ffff:{inner}")

    assert is_public(wrapped) == is_public(inner)
    assert not is_public(ipaddress.IPv6Address(f"64:ff9b::{inner}"))
    assert not is_public(ipaddress.IPv6Address(f"::{inner}"))


# --- URLs


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hook.example.test/x", "not https"),
        ("ftp://hook.example.test/x", "absolute https"),
        ("file:///etc/passwd", "absolute https"),
        ("//hook.example.test", "absolute https"),
        ("hook.example.test/x", "absolute https"),
        ("https://", "absolute https"),
        ("https://user:CANARY@hook.example.test/x", "user name or password"),
        ("https://hook.example.test/x#part", "fragment"),
        ("https://hook.example.test:99999/x", "port"),
        ("https://hook.example.test:0/x", "absolute https"),
        ("https://[::1/x", "host or port"),
        ("https://hook.example.test/a b", "white space"),
        ("https://hook.example.test/\r\nHost: x", "white space"),
        ("https://hóok.example.test/x", "non-ASCII"),
    ],
)
def test_a_url_that_should_not_be_sent_to_is_refused_without_repeating_it(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refusal:
        checked_url(url, allow_http=False)

    assert "CANARY" not in str(refusal.value)


def test_http_is_taken_where_it_is_permitted() -> None:
    assert checked_url(" http://127.0.0.1:8080/x\n", allow_http=True) == "http://127.0.0.1:8080/x"


# --- what comes back


def test_a_hanging_answer_is_ambiguous_and_ends_in_time() -> None:
    with FakeHttp(Reply(hang=True)) as server:
        outcome = post(LOCAL, server.url, seconds=0.7)

    assert outcome == TryLater("no answer in time", ambiguous=True)


def test_an_answer_that_drips_ends_at_the_deadline_of_the_whole() -> None:
    with FakeHttp(Reply(body=b"x" * 1_000, drip=0.05)) as server:
        outcome = post(LOCAL, server.url, seconds=0.7)

    assert isinstance(outcome, Answer)
    assert not outcome.whole
    assert len(outcome.body) < 50


def test_no_connection_is_not_ambiguous() -> None:
    with FakeHttp() as server:
        url = server.url

    outcome = post(LOCAL, url)

    assert isinstance(outcome, TryLater)
    assert outcome.reason.startswith("no connection")
    assert not outcome.ambiguous


def test_an_unknown_name_is_tried_again() -> None:
    def resolve(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such name")

    outbound = Outbound(CLOSED, resolve=resolve)

    assert outbound.post("http://hook.example.test/", b"", {}, Deadline(1)) == TryLater(
        "the host's name cannot be resolved"
    )


def test_a_name_server_that_hangs_does_not_outlast_the_attempt() -> None:
    with FakeHttp(Reply(hang=True)) as server:

        def resolve(_host: str, _port: int) -> Sequence[str]:
            server._released.wait(20)
            return []

        outbound = Outbound(CLOSED, resolve=resolve)
        outcome = outbound.post("http://hook.example.test/", b"", {}, Deadline(0.1))

    assert outcome == TryLater("the host's name was not resolved in time")


def test_a_connection_closed_without_an_answer_is_ambiguous() -> None:
    with FakeHttp(Reply(hang_up=True)) as server:
        outcome = post(LOCAL, server.url)

    assert isinstance(outcome, TryLater)
    assert outcome.ambiguous


def test_a_long_answer_is_read_no_further_than_the_limit() -> None:
    with FakeHttp(Reply(body=b"x" * (ANSWER_LIMIT * 3))) as server:
        answer = post(LOCAL, server.url)

    assert isinstance(answer, Answer)
    assert len(answer.body) == ANSWER_LIMIT
    assert not answer.whole


def test_a_truncated_answer_says_that_it_is_not_whole() -> None:
    with FakeHttp(Reply(body=b"half", promised=10)) as server:
        answer = post(LOCAL, server.url)

    assert isinstance(answer, Answer)
    assert answer.body == b"half"
    assert not answer.whole


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    with FakeHttp(Reply(204)) as aim, FakeHttp(Reply(302, headers={"Location": aim.url})) as server:
        answer = post(LOCAL, server.url)

    assert isinstance(answer, Answer)
    assert answer.status == 302
    assert aim.received == []


def test_the_environment_s_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeHttp(Reply(204)) as proxy, FakeHttp(Reply(200)) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        answer = post(LOCAL, server.url)

    assert isinstance(answer, Answer)
    assert answer.status == 200
    assert proxy.received == []


# --- Retry-After

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        ("1.5", 1.5),
        ("-3", 0),
        ("86400", 600),
        ("1e999", 600),
        ("Fri, 20 Nov 2026 12:00:30 GMT", 30),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0),
        ("Sat, 21 Nov 2026 12:00:00 GMT", 600),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_ten_minutes(header: str, seconds: float) -> None:
    assert retry_after({"Retry-After": header}, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize("header", ["", "soon", "nan", "Fri, 99 Foo 2026"])
def test_a_retry_after_that_says_nothing_is_none(header: str) -> None:
    assert retry_after({"retry-after": header}, NOW) is None


# --- TLS: a certificate for hook.example.test that signs itself, made for this test, 2020 to 2120

CERTIFICATE = """\
MIIBeTCCAR+gAwIBAgIBATAKBggqhkjOPQQDAjAcMRowGAYDVQQDDBFob29rLmV4YW1wbGUudGVzdDAgFw0yMDAxMDEwMDAwMDBa
GA8yMTIwMDEwMTAwMDAwMFowHDEaMBgGA1UEAwwRaG9vay5leGFtcGxlLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQz
ymlVYxEbZFtLhDhg+rbhcEO0x9qMAXP1k2YTZ4Z41hX2EBQ5zQMcFuF7LPhvgO+QwFk1FYMHB6DbJ8x5KEP8o1AwTjAPBgNVHRMB
Af8EBTADAQH/MBwGA1UdEQQVMBOCEWhvb2suZXhhbXBsZS50ZXN0MB0GA1UdDgQWBBSoyer1vuzdadNTMbZIQPjjlNWGKDAKBggq
hkjOPQQDAgNIADBFAiAl3xjak5QYs50N2FsShDwJmf4odpUu3M7p+zRyS54G9gIhANe2o9oxrqDg3wYzZPzY2y9VRP9/0YlnOEip
05b2i+wg"""
KEY = """\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2Id7b28uF0FNvzpIxFChHhhOvBpSc0gdQBGd09EE936hRANCAAQz
ymlVYxEbZFtLhDhg+rbhcEO0x9qMAXP1k2YTZ4Z41hX2EBQ5zQMcFuF7LPhvgO+QwFk1FYMHB6DbJ8x5KEP8"""


def pem(label: str, der: str) -> str:
    text = base64.b64encode(base64.b64decode(der)).decode()
    return f"-----BEGIN {label}-----\n" + "\n".join(textwrap.wrap(text, 64)) + f"\n-----END {label}-----\n"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "certificate.pem"
    path.write_text(pem("CERTIFICATE", CERTIFICATE))
    return path


@pytest.fixture
def server_tls(certificate: Path, tmp_path: Path) -> ssl.SSLContext:
    key = tmp_path / "key.pem"
    key.write_text(pem("PRIVATE KEY", KEY))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(server_tls: ssl.SSLContext) -> None:
    with FakeHttp(tls=server_tls) as server:
        outcome = post(LOCAL, f"https://hook.example.test:{server.port}/", "127.0.0.1")

    assert isinstance(outcome, TryLater)
    assert "certificate was not accepted" in outcome.reason
    assert server.received == []


def test_tls_verifies_the_name_although_the_connection_goes_to_an_address(
    server_tls: ssl.SSLContext, certificate: Path
) -> None:
    trusting = OutboundSettings(allow_hosts=["127.0.0.0/8"], ca_file=str(certificate))
    with FakeHttp(Reply(204), tls=server_tls) as server:
        good = post(trusting, f"https://hook.example.test:{server.port}/", "127.0.0.1")
        bad = post(trusting, f"https://other.example.test:{server.port}/", "127.0.0.1")

    assert isinstance(good, Answer)
    assert isinstance(bad, TryLater)
    assert "certificate was not accepted" in bad.reason


def test_a_ca_file_that_is_none_is_an_error_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="ca_file cannot be read"):
        OutboundSettings(ca_file=str(tmp_path / "missing.pem"))


# --- settings


@pytest.mark.parametrize(("written", "seconds"), [("3s", 3.0), (3, 3.0), (0.5, 0.5), (7.5, 7.5)])
def test_a_timeout_is_a_duration_or_a_number_of_seconds(written: object, seconds: float) -> None:
    assert OutboundSettings.model_validate({"timeout": written}).timeout == seconds


@pytest.mark.parametrize("written", ["1m", "0s", "3", "3 s", "soon", "", True, None, 26])
def test_a_timeout_that_is_no_duration_of_up_to_25_seconds_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        OutboundSettings.model_validate({"timeout": written})
