"""Where keys come from, when they are renewed, and that they are never shown."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import structlog

from engine.cloudaudit.clock import Clock
from engine.cloudaudit.credentials import Chain, Credentials, CredentialsFile, Environment
from engine.cloudaudit.errors import CredentialsError, CredentialsRefusedError
from engine.cloudaudit.roles import AssumeRole, CvmRole
from engine.errors import SourceRefusedError
from tests.cloudaudit.clients import NOW, SECRET_ID, SECRET_KEY, TOKEN, a_key
from tests.cloudaudit.scripted import Asked, Reply, ScriptedApi, refuses, says

ROLE = "qcs::cam::uin/100000000001:roleName/tocsin"
SECURITY_CREDENTIALS = "/latest/meta-data/cam/security-credentials/"


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = float(NOW)

    def __call__(self) -> float:
        return self.time


# A key


def test_a_key_does_not_show_itself() -> None:
    shown = f"{Credentials(SECRET_ID, SECRET_KEY, TOKEN)!r} {Credentials(SECRET_ID, SECRET_KEY, TOKEN)}"

    assert SECRET_KEY not in shown
    assert TOKEN not in shown
    assert SECRET_ID not in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["", "k", ""], "the SecretId is empty"),
        (["i", "", ""], "the SecretKey is empty"),
        (["i", "canary ", ""], "the SecretKey has blanks before or after it"),
        (["\ncanary", "k", ""], "the SecretId has blanks before or after it"),
        (["can\nary", "k", ""], "the SecretId holds characters that no SecretId has"),
        (["i", "k", "cañary"], "the token holds characters that no token has"),
    ],
)
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(arguments: list[str], message: str) -> None:
    secret_id, secret_key, token = arguments
    with pytest.raises(CredentialsRefusedError) as caught:
        Credentials(secret_id, secret_key, token)

    assert str(caught.value) == message


# The environment


def test_the_environment_gives_a_key_with_its_token() -> None:
    environ = {
        "TENCENTCLOUD_SECRET_ID": "id",
        "TENCENTCLOUD_SECRET_KEY": "key",
        "TENCENTCLOUD_TOKEN": "token",
    }

    assert Environment(environ).current() == Credentials("id", "key", "token")


def test_half_a_key_in_the_environment_is_a_mistake_and_not_an_absence(tmp_path: Path) -> None:
    chain = Chain([Environment({"TENCENTCLOUD_SECRET_ID": "id"}), CredentialsFile([tmp_path / "credentials"])])

    with pytest.raises(CredentialsRefusedError, match="no TENCENTCLOUD_SECRET_KEY, though"):
        chain.current()


# The file


def a_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "credentials"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_file_gives_the_default_profile(tmp_path: Path) -> None:
    path = a_file(tmp_path, "[default]\nsecret_id = id\nsecret_key = k%y\n[other]\nsecret_id = o\nsecret_key = p\n")

    assert CredentialsFile([tmp_path / "absent", path]).current() == Credentials("id", "k%y")
    assert CredentialsFile([path], profile="other").current() == Credentials("o", "p")


def test_a_key_that_is_changed_in_the_file_is_noticed(tmp_path: Path) -> None:
    file = CredentialsFile([a_file(tmp_path, "[default]\nsecret_id=a\nsecret_key=b\n")])
    file.current()
    a_file(tmp_path, "[default]\nsecret_id=c\nsecret_key=d\ntoken=e\n")

    assert file.current() == Credentials("c", "d", "e")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"secret_key={SECRET_KEY}\n", "is not an INI file"),
        (f"[default]\n{SECRET_KEY}\n", "is not an INI file"),
        (f"[prod]\nsecret_key={SECRET_KEY}\n", r"no section \[default\]"),
        (f"[default]\nsecret_key={SECRET_KEY}\n", r"\[default\] has no secret_id"),
        ("[default]\nsecret_id=a\nsecret_key=\n", r"\[default\] has no secret_key"),
    ],
)
def test_a_file_that_is_wrong_is_named_and_not_quoted(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CredentialsRefusedError, match=message) as caught:
        CredentialsFile([a_file(tmp_path, text)]).current()

    assert str(tmp_path) in str(caught.value)
    assert SECRET_KEY not in str(caught.value)


def test_a_file_that_others_can_read_is_warned_of_once(tmp_path: Path) -> None:
    file = CredentialsFile([a_file(tmp_path, "[default]\nsecret_id=a\nsecret_key=b\n", mode=0o644)])
    with structlog.testing.capture_logs() as logs:
        file.current()
        file.current()

    assert ["chmod 600" in entry["event"] for entry in logs] == [True]


# The chain


def test_the_first_that_has_a_key_is_asked_ever_after(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    chain = Chain([Environment(environ), CredentialsFile([a_file(tmp_path, "[default]\nsecret_id=f\nsecret_key=f\n")])])
    chain.current()
    environ |= {"TENCENTCLOUD_SECRET_ID": "e", "TENCENTCLOUD_SECRET_KEY": "e"}

    assert chain.current() == Credentials("f", "f")


def test_a_machine_without_any_key_is_told_what_was_tried(tmp_path: Path) -> None:
    with ScriptedApi(Reply(status=404)) as metadata:
        chain = Chain([Environment({}), CredentialsFile([tmp_path / "credentials"]), CvmRole(base=metadata.endpoint)])
        with pytest.raises(SourceRefusedError) as caught:
            chain.current()

    assert str(caught.value) == (
        "no Tencent Cloud credentials: the environment has no TENCENTCLOUD_SECRET_ID; "
        f"there is no file {tmp_path}/credentials; the CVM metadata service answers HTTP 404: the machine has no role"
    )


# The machine's role


def metadata(watch: Watch, lives: float = 7200.0, **changes: Any) -> Any:
    """A metadata service; each key carries the number of its turn."""
    turns: list[int] = []

    def script(asked: Asked) -> Reply:
        if asked.path == SECURITY_CREDENTIALS:
            return Reply(b"a role\n")
        assert asked.path == f"{SECURITY_CREDENTIALS}a%20role"
        turns.append(1)
        fields = {
            "Code": "Success",
            "TmpSecretId": f"id{len(turns)}",
            "TmpSecretKey": SECRET_KEY,
            "Token": TOKEN,
            "ExpiredTime": watch.time + lives,
            "Expiration": "2023-11-14T22:13:20Z",
        }
        return Reply(json.dumps(fields | changes).encode())

    return script


def test_the_machines_role_gives_a_key_until_five_minutes_before_its_end() -> None:
    watch = Watch()
    with ScriptedApi(script=metadata(watch)) as api:
        role = CvmRole(base=api.endpoint, clock=Clock(watch))
        first = role.current()
        watch.time += 6899
        again = role.current()
        watch.time += 2
        renewed = role.current()

    assert (first.secret_id, first.token, first.expires) == ("id1", TOKEN, NOW + 7200)
    assert again is first
    assert renewed.secret_id == "id2"


def test_a_key_that_was_refused_is_renewed_before_its_time() -> None:
    watch = Watch()
    with ScriptedApi(script=metadata(watch)) as api:
        role = CvmRole(base=api.endpoint, clock=Clock(watch))

        assert [role.current().secret_id, role.current(fresh=True).secret_id] == ["id1", "id2"]


def test_many_threads_renew_once() -> None:
    watch = Watch()
    with ScriptedApi(script=metadata(watch)) as api:
        role = CvmRole(base=api.endpoint, clock=Clock(watch))
        got: list[str] = []
        threads = [threading.Thread(target=lambda: got.append(role.current().secret_id)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert got == ["id1"] * 8
    assert len(api.asked) == 2


def test_a_key_that_still_lives_outlasts_a_bad_moment_of_the_metadata_service() -> None:
    watch = Watch()
    good = metadata(watch)
    down = False

    def script(asked: Asked) -> Reply:
        return Reply(status=500) if down else good(asked)

    with ScriptedApi(script=script) as api:
        role = CvmRole(base=api.endpoint, clock=Clock(watch))
        role.current()
        down = True
        watch.time += 7000
        still = role.current()
        watch.time += 200
        with pytest.raises(CredentialsError, match="HTTP 500"):
            role.current()

    assert still.secret_id == "id1"


@pytest.mark.parametrize("changes", [{"Code": "Failed"}, {"Token": ""}, {"ExpiredTime": "soon"}])
def test_a_metadata_answer_that_is_no_key_is_an_error_that_shows_nothing(changes: dict[str, Any]) -> None:
    with ScriptedApi(script=metadata(Watch(), **changes)) as api, pytest.raises(CredentialsError) as caught:
        CvmRole(base=api.endpoint).current()

    assert SECRET_KEY not in str(caught.value)
    assert TOKEN not in str(caught.value)


# A role of another account


def sts(watch: Watch) -> Any:
    turns: list[int] = []

    def script(asked: Asked) -> Reply:
        turns.append(1)
        key = {"Token": TOKEN, "TmpSecretId": f"id{len(turns)}", "TmpSecretKey": SECRET_KEY}
        return says(Credentials=key, ExpiredTime=int(watch.time) + 7200, Expiration="2023-11-14T22:13:20Z")

    return script


def test_a_role_is_assumed_with_what_sts_wants() -> None:
    watch = Watch()
    with ScriptedApi(script=sts(watch)) as api:
        role = AssumeRole(
            a_key("base-token"), ROLE, external_id="x-1", session_name="tocsin@prod", endpoint=api.endpoint
        )
        role.current()

    (asked,) = api.asked
    assert (asked.action, asked.headers["x-tc-version"]) == ("AssumeRole", "2018-08-13")
    assert asked.headers["x-tc-token"] == "base-token"
    assert "/sts/tc3_request" in asked.headers["authorization"]
    assert asked.parameters == {
        "RoleArn": ROLE,
        "RoleSessionName": "tocsin@prod",
        "DurationSeconds": 7200,
        "ExternalId": "x-1",
    }


def test_an_assumed_role_is_renewed_five_minutes_before_its_end() -> None:
    watch = Watch()
    with ScriptedApi(script=sts(watch)) as api:
        role = AssumeRole(a_key(), ROLE, endpoint=api.endpoint, clock=Clock(watch))
        first = role.current()
        watch.time += 6899
        again = role.current()
        watch.time += 2
        renewed = role.current()

    assert (first.secret_id, again is first, renewed.secret_id) == ("id1", True, "id2")


def test_a_role_that_may_not_be_assumed_needs_a_person() -> None:
    with ScriptedApi(refuses("UnauthorizedOperation", "not you")) as api:
        role = AssumeRole(a_key(TOKEN), ROLE, endpoint=api.endpoint)
        with pytest.raises(CredentialsRefusedError, match=r"roleName/tocsin could not be assumed: .*not you"):
            role.current()


def test_sts_on_a_bad_day_does_not_need_a_person() -> None:
    with ScriptedApi(Reply(status=503)) as api, pytest.raises(CredentialsError) as caught:
        AssumeRole(a_key(), ROLE, endpoint=api.endpoint).current()

    assert not isinstance(caught.value, SourceRefusedError)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"role_arn": "arn:aws:iam::1:role/x"}, "a role is qcs::cam::uin"),
        ({"role_arn": ROLE, "session_name": "a b"}, "a session's name"),
        ({"role_arn": ROLE, "duration": 60}, "a session lasts 600 to 43200 seconds"),
        ({"role_arn": ROLE, "duration": 43_201}, "a session lasts"),
    ],
)
def test_a_role_that_sts_would_refuse_is_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AssumeRole(a_key(), arguments.pop("role_arn"), **arguments)
