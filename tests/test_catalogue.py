"""The catalogue of event names."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.catalogue import Catalogue, catalogue, stem

FOUND = catalogue("tencent.cloudaudit")
assert FOUND is not None
KNOWN: Catalogue = FOUND
AWS_FOUND = catalogue("aws.cloudtrail")
assert AWS_FOUND is not None
AWS: Catalogue = AWS_FOUND


def test_names_are_known_in_any_case() -> None:
    assert KNOWN.knows("ConsoleLogin")
    assert KNOWN.knows("consolelogin")
    assert not KNOWN.knows("ConsoleLogn")


def test_an_event_can_belong_to_several_services() -> None:
    assert KNOWN.homes["associateaddress"] == {"cvm", "vpc"}


@pytest.mark.parametrize(
    ("name", "doubles"),
    [
        ("CreateTopic", ("createTopic",)),
        ("DescribeSlowLogs", ("DescribeSlowlogs",)),
        ("AttachRolePolicy", ("AttachRolePolicies", "AttachRolesPolicy")),
        ("ConsoleLogin", ()),
    ],
)
def test_other_spellings_of_one_call_are_doubles(name: str, doubles: tuple[str, ...]) -> None:
    assert KNOWN.doubles(name) == doubles


def test_the_nearest_name_is_looked_for_in_the_service_first() -> None:
    assert KNOWN.nearest("DescribeInstnces", ["cvm"]) == "DescribeInstances"
    assert KNOWN.nearest("Qwertzuiop") is None


def test_a_name_with_its_words_in_another_number_has_the_same_stem() -> None:
    assert stem("AttachRolesPolicies") == stem("AttachRolePolicy")
    assert stem("ModifyRecordBatchV3") == stem("ModifyRecordBatch")


def test_every_service_and_name_is_one_word() -> None:
    words = [*KNOWN.services, *(name for names in KNOWN.services.values() for name in names)]

    assert [word for word in words if not word.replace("_", "a").isalnum() or not word.isascii()] == []
    named = [name for names in AWS.services.values() for name in names]
    assert [word for word in named if not word.isalnum() or not word.isascii()] == []


def test_a_kind_without_a_catalogue_has_none() -> None:
    assert catalogue("another.kind") is None


def test_the_services_of_aws_are_called_as_in_their_events() -> None:
    assert {
        "iam",
        "s3",
        "ec2",
        "signin",
        "monitoring",
        "elasticloadbalancing",
        "access-analyzer",
    } <= AWS.services.keys()
    assert AWS.homes["consolelogin"] == {"signin"}
    assert "PutBucketPublicAccessBlock" in AWS.services["s3"]


def test_a_date_behind_a_name_is_a_spelling_and_a_plural_of_aws_is_another_call() -> None:
    assert "UpdateFunctionCode20150331v2" in AWS.doubles("UpdateFunctionCode")
    assert AWS.doubles("GetParameters") == ()


@pytest.mark.parametrize("kind", ["tencent.cloudaudit", "aws.cloudtrail"])
def test_every_service_stands_once_and_its_names_in_order(kind: str) -> None:
    file = Path(__file__).parents[1] / "engine" / "catalogue" / f"{kind.replace('.', '_')}.txt"
    rows = [line.partition(": ") for line in file.read_text().splitlines() if not line.startswith("#")]

    assert [service for service, _, _ in rows] == sorted({service for service, _, _ in rows})
    for _, _, names in rows:
        plain = [name.rstrip("!").lower() for name in names.split()]
        assert plain == sorted(plain)
