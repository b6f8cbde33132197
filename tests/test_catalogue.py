"""The catalogue of event names."""

from __future__ import annotations

import pytest

from engine.catalogue import Catalogue, catalogue, stem

FOUND = catalogue("tencent.cloudaudit")
assert FOUND is not None
KNOWN: Catalogue = FOUND


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


def test_a_kind_without_a_catalogue_has_none() -> None:
    assert catalogue("aws.cloudtrail") is None
