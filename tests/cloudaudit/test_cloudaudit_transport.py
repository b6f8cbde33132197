"""What a bad network and a bad server can do, against a real socket."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import httpcore
import httpx
import pytest

from engine.cloudaudit.clock import Clock
from engine.cloudaudit.errors import (
    AnswerTooLargeError,
    BrokenAnswerError,
    CloudAuditError,
    DeadlineError,
    HttpRefusedError,
    HttpStatusError,
    UnreachableError,
)
from engine.cloudaudit.transport import Request, Transport
from engine.errors import SourceRefusedError
from tests.cloudaudit.certificate import certificate, server_side
from tests.cloudaudit.clients import NOW, TOKEN, WINDOW, a_client, a_key
from tests.cloudaudit.scripted import Asked, Reply, ScriptedApi, a_page, gzipped, refuses, says


def test_a_page_that_comes_compressed_is_read() -> None:
    with a_client(gzipped(a_page({"EventId": "1"}).body)) as (client, api):
        page = client.describe_events(**WINDOW)

    assert [record.raw for record in page.records] == [b'{"EventId": "1"}']
    assert api.asked[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "text/html; charset=x", ""])
def test_the_content_type_does_not_matter(content_type: str) -> None:
    with a_client(Reply(a_page().body, headers={"Content-Type": content_type})) as (client, _):
        assert client.describe_events(**WINDOW).list_over


@pytest.mark.parametrize("slow_headers", [False, True], ids=["body", "headers"])
def test_an_answer_that_drips_in_ends_with_the_deadline(slow_headers: bool) -> None:
    reply = Reply(a_page().body, drip=0.05, slow_headers=slow_headers)
    with ScriptedApi(reply) as api:
        transport = Transport(api.endpoint, service="cloudaudit", clock=Clock(), deadline=0.3)
        began = time.monotonic()
        with pytest.raises(DeadlineError, match=r"within 0\.3 s"):
            transport.exchange(Request("DescribeEvents", "v", "r", {}), a_key().credentials)
        took = time.monotonic() - began
        transport.close()

    assert took < 2


def test_a_gzip_bomb_is_not_inflated() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    with (
        a_client(Reply(bomb, headers={"Content-Encoding": "gzip"}), largest_answer=100_000) as (client, _),
        pytest.raises(AnswerTooLargeError),
    ):
        client.describe_events(**WINDOW, max_results=1)


def test_an_answer_beyond_the_cap_is_not_read() -> None:
    with (
        a_client(a_page({"EventId": "x" * 200_000}), largest_answer=100_000) as (client, _),
        pytest.raises(AnswerTooLargeError, match="bytes"),
    ):
        client.describe_events(**WINDOW, max_results=1)


def test_a_page_beyond_the_cap_is_asked_for_in_halves() -> None:
    def script(asked: Asked) -> Reply:
        return a_page(*[{"EventId": "x" * 1000}] * asked.parameters["MaxResults"])

    with a_client(script=script, largest_answer=20_000) as (client, api):
        page = client.describe_events(**WINDOW)

    assert [asked.parameters["MaxResults"] for asked in api.asked] == [50, 25, 12]
    assert page.max_results == 12


def test_a_truncated_body_is_an_error_and_is_asked_for_again() -> None:
    whole = a_page({"EventId": "1"})
    with a_client(Reply(whole.body[:-9], promised=9), whole) as (client, api):
        page = client.describe_events(**WINDOW)

    assert len(page.records) == 1
    assert len(api.asked) == 2


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(a_page({"EventId": "1"}).body[:-3], id="cut short"),
        pytest.param(b"", id="empty"),
        pytest.param(b"<!DOCTYPE html><title>Sign in</title>", id="a web page"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"Response": null}', id="no response"),
        pytest.param(b'{"Response": {"Events": []}}', id="does not say whether it is over"),
        pytest.param(b'{"Response": {"Events": "many", "ListOver": true}}', id="events are text"),
        pytest.param(b'{"Response": {"Events": [], "ListOver": true, "NextToken": -1}}', id="token below zero"),
        pytest.param(b'{"Response": {"Events": [], "ListOver": true, "NextToken": 1.5}}', id="token is a fraction"),
        pytest.param(b'{"Events": [], "ListOver": true}', id="without the envelope"),
        pytest.param(b"[" * 200_000, id="bottomless"),
        pytest.param(b"\xff\xfe{}", id="not UTF-8"),
    ],
)
def test_an_answer_that_is_none_is_an_error(body: bytes) -> None:
    with a_client(Reply(body)) as (client, _), pytest.raises(BrokenAnswerError):
        client.describe_events(**WINDOW)


def test_gzip_that_ends_early_is_an_error() -> None:
    with (
        a_client(Reply(gzip.compress(a_page().body)[:-12], headers={"Content-Encoding": "gzip"})) as (client, _),
        pytest.raises(BrokenAnswerError, match="middle of its gzip"),
    ):
        client.describe_events(**WINDOW)


def test_an_encoding_that_was_not_asked_for_is_an_error() -> None:
    with (
        a_client(Reply(a_page().body, headers={"Content-Encoding": "br"})) as (client, _),
        pytest.raises(BrokenAnswerError, match="'br'"),
    ):
        client.describe_events(**WINDOW)


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_a_status_that_says_later_is_asked_again(status: int) -> None:
    with a_client(Reply(b"<html>later</html>", status), a_page()) as (client, api):
        assert client.describe_events(**WINDOW).list_over

    assert len(api.asked) == 2


@pytest.mark.parametrize("status", [301, 307, 400, 403, 404])
def test_a_status_that_says_no_is_a_refusal(status: int) -> None:
    with (
        a_client(Reply(b"no", status, {"Location": "http://127.0.0.1:1/"})) as (client, api),
        pytest.raises(HttpRefusedError, match=str(status)) as caught,
    ):
        client.describe_events(**WINDOW)

    assert isinstance(caught.value, SourceRefusedError)
    assert len(api.asked) == 1


def test_asking_again_ends() -> None:
    with a_client(Reply(b"", 503)) as (client, api), pytest.raises(HttpStatusError, match="HTTP 503"):
        client.describe_events(**WINDOW)

    assert len(api.asked) == 3


def test_a_server_that_wants_a_long_rest_is_left_alone() -> None:
    with (
        a_client(Reply(b"", 429, {"Retry-After": "3600"})) as (client, api),
        pytest.raises(HttpStatusError) as caught,
    ):
        client.describe_events(**WINDOW)

    assert caught.value.after == 3600
    assert len(api.asked) == 1


def test_retry_after_may_be_a_date() -> None:
    later = httpx.Response(429, headers={"Retry-After": "Tue, 14 Nov 2023 22:14:20 GMT"})
    transport = Transport("http://127.0.0.1:1", service="cloudaudit", clock=Clock(lambda: NOW))

    assert transport._retry_after(later) == 60


def test_an_error_code_under_another_status_counts() -> None:
    reply = refuses("InvalidParameterValue.MaxResult")
    with a_client(Reply(reply.body, 400)) as (client, _), pytest.raises(CloudAuditError, match="MaxResult"):
        client.describe_events(**WINDOW)


def test_a_reset_connection_is_asked_again() -> None:
    with a_client(Reply(reset=True), a_page()) as (client, api):
        assert client.describe_events(**WINDOW).list_over

    assert len(api.asked) == 2


def test_a_port_where_nobody_listens_is_unreachable() -> None:
    with ScriptedApi(says()) as api:
        gone = api.endpoint
    transport = Transport(gone, service="cloudaudit", clock=Clock())

    with pytest.raises(UnreachableError, match=r"no connection to 127\.0\.0\.1"):
        transport.exchange(Request("DescribeEvents", "v", "r", {}), a_key().credentials)
    transport.close()


class _Lost(httpx.BaseTransport):
    """A pool that has no place any more."""

    def __init__(self) -> None:
        self.closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise httpcore.PoolTimeout

    def close(self) -> None:
        self.closed = True


def test_a_pool_that_is_lost_is_replaced() -> None:
    opened: list[_Lost] = []

    def opener() -> _Lost:
        opened.append(_Lost())
        return opened[-1]

    transport = Transport("http://127.0.0.1:1", service="cloudaudit", clock=Clock(), opener=opener)
    for _ in range(2):
        with pytest.raises(UnreachableError):
            transport.exchange(Request("DescribeEvents", "v", "r", {}), a_key().credentials)

    assert [one.closed for one in opened] == [True, True]


def test_the_connection_is_kept() -> None:
    with a_client(a_page()) as (client, api):
        for _ in range(3):
            client.describe_events(**WINDOW)
        ports = {asked.headers["x-port"] for asked in api.asked}

    assert len(ports) == 1


def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with a_client(a_page()) as (client, _):
        assert client.describe_events(**WINDOW).list_over


def test_a_proxy_that_is_set_is_used() -> None:
    with ScriptedApi(a_page()) as proxy, a_client(a_page(), proxy=proxy.endpoint) as (client, api):
        client.describe_events(**WINDOW)

        assert [asked.path for asked in proxy.asked] == [f"{api.endpoint}/"]
        assert api.asked == []


def test_a_server_that_speaks_no_tls_gets_nothing() -> None:
    with ScriptedApi(a_page()) as api:
        transport = Transport(api.endpoint.replace("http:", "https:"), service="cloudaudit", clock=Clock())
        with pytest.raises(CloudAuditError):
            transport.exchange(Request("DescribeEvents", "v", "r", {}), a_key(TOKEN).credentials)
        transport.close()

    assert api.asked == []


def exchange(transport: Transport) -> int:
    try:
        return transport.exchange(Request("DescribeEvents", "v", "r", {}), a_key(TOKEN).credentials).status
    finally:
        transport.close()


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with (
        ScriptedApi(a_page(), tls=server_side(tmp_path)) as api,
        pytest.raises(UnreachableError, match="certificate verify failed"),
    ):
        exchange(Transport(api.endpoint, service="cloudaudit", clock=Clock()))

    assert api.asked == []


def test_a_certificate_that_the_ca_file_vouches_for_is_taken(tmp_path: Path) -> None:
    with ScriptedApi(a_page(), tls=server_side(tmp_path)) as api:
        ca_file = str(certificate(tmp_path))
        assert exchange(Transport(api.endpoint, service="cloudaudit", clock=Clock(), ca_file=ca_file)) == 200


def test_a_drip_is_ended_through_tls_too(tmp_path: Path) -> None:
    with ScriptedApi(Reply(a_page().body, drip=0.05), tls=server_side(tmp_path)) as api:
        ca_file = str(certificate(tmp_path))
        with pytest.raises(DeadlineError):
            exchange(Transport(api.endpoint, service="cloudaudit", clock=Clock(), ca_file=ca_file, deadline=0.5))


def test_a_ca_file_that_is_none_is_an_error_that_names_it(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(UnreachableError, match=r"CA file .*missing\.pem cannot be read"):
        exchange(Transport("https://127.0.0.1:1", service="cloudaudit", clock=Clock(), ca_file=missing))
