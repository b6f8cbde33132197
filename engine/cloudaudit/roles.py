"""
Temporary credentials: of the machine's role (CVM metadata), or of a role in another account (STS AssumeRole).

They are renewed five minutes before they end, or sooner when they were refused. Sources: CVM documentation, "Instance
role"; STS AssumeRole (cloud.tencent.com/document/api/1312/48197); tencentcloud-sdk-python-common 3.1, credential.py.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from threading import Lock
from urllib.parse import quote

import msgspec
import structlog

from engine.cloudaudit import endpoint as endpoints
from engine.cloudaudit.answers import Answer
from engine.cloudaudit.api import Api
from engine.cloudaudit.clock import Clock
from engine.cloudaudit.credentials import Credentials, NotHereError, Provider
from engine.cloudaudit.errors import CloudAuditError, CredentialsError, CredentialsRefusedError, TransportError
from engine.cloudaudit.pace import Pace
from engine.cloudaudit.transport import Transport
from engine.errors import SourceRefusedError

log = structlog.get_logger(__name__)

RENEW_BEFORE = 300.0  # seconds before the end
METADATA = "http://metadata.tencentyun.com"
METADATA_PATH = "/latest/meta-data/cam/security-credentials/"
METADATA_DEADLINE = 3.0  # seconds; the service is on the machine's own host
LONGEST_SESSION = 43_200  # seconds
SESSION_NAME = re.compile(r"[\w+=,.@-]{2,128}", re.ASCII)
ROLE_ARN = re.compile(r"qcs::cam::uin/\d+:role(Name)?/\S+")


class _Renewed(ABC):
    """Keeps credentials until five minutes before their end, then gets new ones. One thread renews, the others wait."""

    def __init__(self, clock: Clock, transport: Transport) -> None:
        self._clock = clock
        self._transport = transport
        self._lock = Lock()
        self._credentials: Credentials | None = None

    def current(self, *, fresh: bool = False) -> Credentials:
        with self._lock:
            known = self._credentials
            if known is not None and not fresh and self._left(known) > RENEW_BEFORE:
                return known
            try:
                self._credentials = self._renewed()
            except CredentialsError as error:
                if known is None or fresh or self._left(known) <= 0:
                    raise
                # They end soon but not yet; the next call tries again.
                log.warning("temporary credentials could not be renewed yet", left=self._left(known), reason=str(error))
                return known
            finally:
                self._transport.close()  # the next time is an hour away
            return self._credentials

    def _left(self, credentials: Credentials) -> float:
        return (credentials.expires or 0.0) - self._clock.now()

    @abstractmethod
    def _renewed(self) -> Credentials:
        """New credentials, with `expires`. Raises CredentialsError."""


class _Metadata(msgspec.Struct, rename="pascal"):
    code: str = ""
    tmp_secret_id: str = ""
    tmp_secret_key: str = ""
    token: str = ""
    expired_time: float = 0.0


class CvmRole(_Renewed):
    """The role of the machine this runs on. *role*: its name, asked for when empty. *base*: the metadata service."""

    def __init__(self, *, role: str = "", base: str = METADATA, clock: Clock | None = None) -> None:
        # The transport has a clock of its own: the metadata service's Date says nothing about the API's.
        super().__init__(clock or Clock(), Transport(base, service="", clock=Clock(), deadline=METADATA_DEADLINE))
        self._role = role

    def _renewed(self) -> Credentials:
        role = self._role or self._get("").strip()
        if not role or "\n" in role or len(role) > 128:
            raise NotHereError("this machine has no CVM role")
        try:
            found = msgspec.json.decode(self._get(quote(role, safe="")), type=_Metadata, strict=False)
        except msgspec.DecodeError:
            raise CredentialsError(f"the metadata service's answer for the CVM role {role} is not JSON") from None
        if found.code != "Success" or not (found.tmp_secret_id and found.tmp_secret_key and found.token):
            raise CredentialsError(f"the metadata service gave no key for the CVM role {role}")
        return Credentials(found.tmp_secret_id, found.tmp_secret_key, found.token, found.expired_time)

    def _get(self, name: str) -> str:
        try:
            exchange = self._transport.get(METADATA_PATH + name)
        except TransportError:
            # On any other machine the name does not resolve. A machine that has had a role before has only a bad day.
            raise self._absent("the CVM metadata service does not answer") from None
        if exchange.status != 200:
            raise self._absent(f"the CVM metadata service answers HTTP {exchange.status}: the machine has no role")
        return exchange.body.decode("utf-8", "replace")

    def _absent(self, message: str) -> CredentialsError:
        return NotHereError(message) if self._credentials is None else CredentialsError(message)


class _TemporaryKey(msgspec.Struct, rename="pascal"):
    token: str
    tmp_secret_id: str
    tmp_secret_key: str


class _AssumeRoleAnswer(Answer, frozen=True, rename="pascal", kw_only=True):
    credentials: _TemporaryKey | None = None
    expired_time: float | None = None


class AssumeRole(_Renewed):
    """
    A role, usually of another account, that *base* may assume: how one installation watches many accounts.

    *role_arn* is "qcs::cam::uin/100000000001:roleName/tocsin"; *duration* is seconds, 600 to 43,200 at most. Raises
    ValueError for arguments that STS would refuse.
    """

    def __init__(
        self,
        base: Provider,
        role_arn: str,
        *,
        session_name: str = "tocsin",
        external_id: str = "",
        duration: int = 7200,
        region: str = "ap-guangzhou",
        site: endpoints.Site = "cn",
        endpoint: str | None = None,
        proxy: str | None = None,
        ca_file: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not ROLE_ARN.fullmatch(role_arn):
            raise ValueError("a role is qcs::cam::uin/<account>:roleName/<name> or qcs::cam::uin/<account>:role/<id>")
        if not SESSION_NAME.fullmatch(session_name):
            raise ValueError("a session's name is 2 to 128 letters, digits and _+=,.@-")
        if not 2 * RENEW_BEFORE <= duration <= LONGEST_SESSION:
            raise ValueError(f"a session lasts {2 * RENEW_BEFORE:.0f} to {LONGEST_SESSION} seconds")
        # STS's clock is the API's clock: what is learnt of it also tells how long a key still lives.
        clock = clock or Clock()
        address = endpoints.url("sts", site=site, endpoint=endpoint)
        super().__init__(clock, Transport(address, service="sts", clock=clock, proxy=proxy, ca_file=ca_file))
        self._role_arn = role_arn
        self._duration = duration
        self._parameters: dict[str, object] = {
            "RoleArn": role_arn,
            "RoleSessionName": session_name,
            "DurationSeconds": duration,
        }
        if external_id:
            self._parameters["ExternalId"] = external_id
        self._api = Api(self._transport, base, version="2018-08-13", region=region, clock=clock, pace=Pace())

    def _renewed(self) -> Credentials:
        asked = self._clock.now()
        try:
            answer = self._api.ask("AssumeRole", self._parameters, _AssumeRoleAnswer, writes=False)
        except CredentialsError:
            raise
        except CloudAuditError as error:
            kind = CredentialsRefusedError if isinstance(error, SourceRefusedError) else CredentialsError
            raise kind(f"the role {self._role_arn} could not be assumed: {error}") from None
        key = answer.credentials
        if key is None:
            raise CredentialsError(f"STS gave no key for the role {self._role_arn}")
        # By whichever clock it ends first.
        ends = min(answer.expired_time or asked + self._duration, asked + self._duration)
        return Credentials(key.tmp_secret_id, key.tmp_secret_key, key.token, ends)
