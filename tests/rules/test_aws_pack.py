"""The built-in pack for AWS CloudTrail, as a whole: what holds for every rule, and what it makes of published events."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from engine.alert import Match
from engine.evaluate import evaluate
from engine.event import Event, Identity, Record
from engine.examples import run
from engine.kinds import Kind, kind
from engine.lint import lint
from engine.packs.files import builtin_root
from engine.packs.loader import Examined, examine
from engine.rule import Rule, RuleSet, Severity
from tests.rules.shapes import STRANGE, paths, with_value

ROOT = builtin_root()
EXAMINED: Examined = examine(["builtin:aws"])
RULES: RuleSet = EXAMINED.rules
EVERY = RuleSet(tuple(replace(rule, enabled=True) for rule in RULES), RULES.lists)
KIND: Kind = kind("aws.cloudtrail", redaction_key=b"a key for tests only, 32 bytes..")
TODAY = date(2026, 1, 1)

each_rule = pytest.mark.parametrize("rule", list(RULES), ids=lambda rule: rule.id)


def _evaluated(rules: RuleSet, sample: Mapping[str, Any]) -> tuple[list[Match], list[str]]:
    """What *rules* make of a hand-written event, and the messages of their faults."""
    fields = KIND.view(sample)
    event = Event(Identity(KIND.name, "1", "1"), time=0, name="", raw=b"", decode=lambda _: fields)
    matches, faults = evaluate(rules, event, TODAY)
    return matches, [f"{fault.rule_id}: {fault.message}" for fault in faults]


def _raised(sample: Mapping[str, Any], rules: RuleSet = EVERY) -> set[str]:
    """The ids of the rules that *sample* raises, those that are off among them. No rule may break."""
    matches, faults = _evaluated(rules, sample)
    assert faults == []
    return {match.rule.id for match in matches}


def _alone(rule: Rule) -> RuleSet:
    return RuleSet((replace(rule, enabled=True),), RULES.lists)


def _samples(rule: Rule, expect: str) -> list[Mapping[str, Any]]:
    return [event for test in rule.tests if test.expect == expect for event in test.events]


# --- the files ---------------------------------------------------------------------------------------------------------


def test_the_pack_loads_without_a_problem() -> None:
    assert [str(problem) for problem in EXAMINED.problems] == []


def test_the_checks_find_nothing_doubtful() -> None:
    assert [str(problem) for problem in lint(EXAMINED, lambda _: KIND.fields, TODAY)] == []


def test_there_are_at_least_forty_five_rules_and_no_two_share_an_id() -> None:
    ids = [rule.id for rule in RULES]

    assert len(ids) >= 45
    assert [rule_id for rule_id, times in Counter(ids).items() if times > 1] == []


def test_every_file_below_a_folder_is_a_rule() -> None:
    files = sorted((ROOT / "aws").glob("*/*.yaml"))

    assert sorted(Path(rule.place.file).resolve() for rule in RULES) == [file.resolve() for file in files]


@each_rule
def test_a_rule_stands_where_its_id_says(rule: Rule) -> None:
    pack, area, name = rule.id.split(".")

    assert Path(rule.place.file).relative_to(ROOT).parts == (pack, area, f"{name}.yaml")


def test_every_list_of_the_pack_is_used_by_a_rule() -> None:
    files = {path.stem for path in (ROOT / "lists").glob("aws_*.yaml")}
    asked = {name for rule in RULES for name in re.findall(r"in_(?:list|cidr)\([^']*'([^']+)'\)", rule.match.text)}

    assert files <= set(RULES.lists)
    assert sorted(files - asked) == []


@each_rule
def test_a_rule_names_current_techniques_of_attack(rule: Rule) -> None:
    assert rule.attack is not None
    assert rule.attack.version == 18
    assert [t for t in rule.attack.techniques if not re.fullmatch(r"T\d{4}(\.\d{3})?", t)] == []
    pages = {f"https://attack.mitre.org/techniques/{t.replace('.', '/')}/" for t in rule.attack.techniques}
    assert pages <= set(rule.references)


@each_rule
def test_a_rule_says_what_to_do_in_three_to_six_steps(rule: Rule) -> None:
    steps = re.findall(r"^(\d)\. ", rule.runbook, re.MULTILINE)

    assert steps == [str(number + 1) for number in range(len(steps))]
    assert 3 <= len(steps) <= 6
    assert rule.false_positives
    assert [r for r in rule.references if r.startswith("https://docs.aws.amazon.com/")]


# --- the tests that rules carry ----------------------------------------------------------------------------------------


@each_rule
def test_a_rule_shows_at_least_two_events_that_raise_it_and_two_that_must_not(rule: Rule) -> None:
    assert len(_samples(rule, "alert")) >= 2
    assert len(_samples(rule, "nothing")) >= 2
    assert [name for name, times in Counter(test.name for test in rule.tests).items() if times > 1] == []


@each_rule
def test_the_tests_of_a_rule_pass(rule: Rule) -> None:
    results = run([rule], lambda _: KIND)

    assert [f"{r.place}: {r.test}: {r.reason}" for r in results if r.verdict != "passed"] == []


@each_rule
def test_the_first_event_that_raises_a_rule_fills_the_title(rule: Rule) -> None:
    fields = KIND.view(_samples(rule, "alert")[0])
    norm = {expression.text: expression.search(fields) for expression, _ in rule.title.expressions()}

    assert {text: value for text, value in norm.items() if text.startswith("norm.") and not value} == {}
    assert "{" not in rule.title.render(fields).replace('{"', "")


# --- robustness --------------------------------------------------------------------------------------------------------


@each_rule
def test_no_shape_of_an_event_breaks_a_rule(rule: Rule) -> None:
    rules = _alone(rule)
    broken: list[str] = []
    for sample in _samples(rule, "alert")[:2]:
        for path in paths(sample):
            if path:
                for value in STRANGE:
                    broken += _evaluated(rules, with_value(sample, path, value))[1]

    assert sorted(set(broken)) == []


DOCUMENTS = (
    "policyDocument", "assumeRolePolicyDocument", "bucketPolicy", "policy", "policyText", "resourcePolicy",
    "accessPolicies", "policyInJson",
)  # fmt: skip


@each_rule
def test_no_shape_of_a_policy_breaks_a_rule(rule: Rule) -> None:
    rules = _alone(rule)
    broken: list[str] = []
    for sample in _samples(rule, "alert"):
        for name in DOCUMENTS:
            text = (sample.get("requestParameters") or {}).get(name)
            document = json.loads(text) if isinstance(text, str) and text.startswith("{") else text
            if not isinstance(document, dict):
                continue
            for path in paths(document):
                for value in STRANGE if path else ():
                    changed = json.dumps(with_value(document, path, value))
                    broken += _evaluated(rules, with_value(sample, ("requestParameters", name), changed))[1]

    assert sorted(set(broken)) == []


def test_no_rule_breaks_on_the_events_of_another() -> None:
    broken = [
        fault for rule in RULES for test in rule.tests for event in test.events for fault in _evaluated(EVERY, event)[1]
    ]

    assert broken == []


def test_an_empty_event_raises_nothing() -> None:
    assert _evaluated(EVERY, {}) == ([], [])


@each_rule
def test_a_whole_record_says_the_same_as_a_part_of_it(rule: Rule) -> None:
    """Rules read records field by field where they come from a source; the tests above read whole ones."""
    rules = _alone(rule)
    for test in rule.tests:
        for sample in test.events:
            record = {"eventID": "e", "eventTime": "2026-01-01T00:00:00Z", "recipientAccountId": "111122223333"}
            record |= {"userIdentity": {"type": "Unknown"}} | dict(sample)
            decoded = KIND.decode(Record(json.dumps(record).encode()))
            assert decoded.event is not None
            matches, faults = evaluate(rules, decoded.event, TODAY)
            assert faults == []
            assert bool(matches) == bool(_evaluated(rules, record)[0]), test.name


def test_rules_for_counting_are_off_and_experimental_ones_tell_their_matches_as_stories() -> None:
    floods = [
        rule.id
        for rule in RULES
        if rule.enabled and rule.status == "experimental" and not (rule.group_by and rule.quiet)
    ]

    assert floods == []
    assert [rule.id for rule in RULES if rule.severity == Severity.INFO and rule.enabled] == []


def test_no_example_wakes_a_person_twice() -> None:
    loud = {rule.id for rule in RULES if rule.severity >= Severity.HIGH and rule.enabled}
    pairs = {
        tuple(sorted(raised))
        for rule in RULES
        for sample in _samples(rule, "alert")
        if len(raised := _raised(sample) & loud) > 1
    }

    assert pairs == set()


# --- published events --------------------------------------------------------------------------------------------------
# Collected from public sources, not part of this project. The tests below run where they are.

SHARED = Path(os.environ.get("TOCSIN_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
DATA = SHARED / "data"
published = pytest.mark.skipif(not DATA.is_dir(), reason="the collection of published events is not here")


def _published(name: str) -> list[dict[str, Any]]:
    if not DATA.is_dir():
        return []
    path = DATA / name
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


# Stratus Red Team: calls of an attack that no single event tells from daily work, and why.
ATTACKS_NOT_TOLD = {
    (
        "aws.impact.bedrock-invoke-model",
        "InvokeModel",
    ): "every use of a model; the calls that open the account to it tell",
}


@published
def test_every_call_that_gives_an_attack_away_raises_a_rule_that_is_on() -> None:
    told: dict[tuple[str, str], set[str]] = {}
    for row in _published("stratus.jsonl"):
        if row["is_signal"]:
            call = (row["technique"], row["event"]["eventName"])
            told.setdefault(call, set()).update(_raised(row["event"], RULES))

    assert {call for call, rules in told.items() if not rules} == set(ATTACKS_NOT_TOLD)


@published
def test_the_steps_of_an_attack_that_are_daily_work_raise_nothing() -> None:
    told = {
        (row["event"]["eventName"], rule)
        for row in _published("stratus.jsonl")
        if not row["is_signal"]
        for rule in _raised(row["event"], RULES)
    }

    assert told == set()


# The rules of another collection, panther-analysis, and which of ours stand for each. Theirs say for every test event
# whether it raises them; ours must say the same.
OURS: dict[str, tuple[str, ...]] = {
    "AWS.CloudTrail.CodebuildProjectMadePublic": ("aws.codebuild.project_public",),
    "AWS.CloudTrail.DNSLogsDeleted": ("aws.dns.query_log_deleted",),
    "AWS.CloudTrail.EnableRegion": ("aws.account.region_enabled",),
    "AWS.CloudTrail.EventSelectorsDisabled": ("aws.audit.selectors_narrowed",),
    "AWS.CloudTrail.IAMCompromisedKeyQuarantine": ("aws.iam.key_quarantined",),
    "AWS.CloudTrail.NetworkACLPermissiveEntry": ("aws.vpc.acl_open",),
    "AWS.CloudTrail.PasswordSpraying": ("aws.login.failed", "aws.root.console_login_failed"),
    "AWS.CloudTrail.ResourceMadePublic": ("aws.any.resource_policy_public", "aws.s3.policy_public"),
    "AWS.CloudTrail.RootAccessKeyCreated": ("aws.root.access_key_created",),
    "AWS.CloudTrail.SES.CheckSendQuota": ("aws.ses.quota_checked",),
    "AWS.CloudTrail.SecurityConfigurationChange": ("aws.audit.trail_deleted",),
    "AWS.CloudTrail.SnapshotMadePublic": ("aws.ec2.snapshot_shared",),
    "AWS.CloudTrail.Stopped": ("aws.audit.trail_stopped",),
    "AWS.CloudTrail.VPCE.S3ExternalIP": ("aws.s3.endpoint_from_outside",),
    "AWS.ConfigService.DisabledDeleted": ("aws.config.recording_stopped",),
    "AWS.Console.RootLoginFailed": ("aws.root.console_login_failed",),
    "AWS.EC2.DownloadInstanceUserData": ("aws.ec2.userdata_read",),
    "AWS.EC2.EBS.Encryption.Disabled": ("aws.ec2.ebs_encryption_off",),
    "AWS.EC2.GatewayModified": ("aws.vpc.gateway_changed",),
    "AWS.EC2.ManyPasswordReadAttempts": ("aws.ec2.password_read",),
    "AWS.EC2.MultiInstanceConnect": ("aws.ec2.ssh_key_pushed",),
    "AWS.EC2.NetworkACLModified": ("aws.vpc.acl_changed",),
    "AWS.IAM.AttachAdminRolePolicy": ("aws.iam.admin_attached_role",),
    "AWS.IAM.Backdoor.User.Keys": ("aws.iam.key_for_other",),
    "AWS.IAM.CreateUser": ("aws.iam.user_created",),
    "AWS.KMS.CustomerManagedKeyLoss": ("aws.kms.key_deletion",),
    "AWS.Potential.Backdoor.Lambda": ("aws.lambda.permission_added",),
    "AWS.RDS.ClusterFailover": ("aws.rds.interrupted",),
    "AWS.RDS.DeletionProtectionDisabled": ("aws.rds.deletion_protection_off",),
    "AWS.RDS.IAMRoleAdded": ("aws.rds.role_added",),
    "AWS.RDS.InstanceMadePublic": ("aws.rds.public",),
    "AWS.RDS.InstanceRebooted": ("aws.rds.interrupted",),
    "AWS.RDS.MasterPasswordUpdated": ("aws.rds.password_changed",),
    "AWS.RDS.SecurityGroupIngressAuthorized": ("aws.rds.ingress_authorized",),
    "AWS.RDS.SnapshotCopiedCrossRegion": ("aws.rds.snapshot_copied_region",),
    "AWS.Root.Activity": ("aws.root.write_action", "aws.root.console_login", "aws.root.console_login_no_mfa"),
    "AWS.S3.DeletePublicAccessBlock": ("aws.s3.public_access_block_removed",),
    "AWS.S3.DisableMfaDelete": ("aws.s3.mfa_delete_off",),
    "AWS.S3.RansomwareNoteUpload": ("aws.s3.ransom_note",),
    "AWS.S3.SuspendVersioning": ("aws.s3.versioning_off",),
    "AWS.SecretsManager.BatchRetrieveSecrets": ("aws.secrets.batch_read",),
    "AWS.SecretsManager.RetrieveSecrets": ("aws.any.denied_sensitive",),
    "AWS.SecurityHub.Finding.Evasion": ("aws.securityhub.findings_changed",),
    "AWS.Suspicious.SAML.Activity": ("aws.iam.idp_changed",),
    "AWS.Unsuccessful.MFA.attempt": ("aws.login.mfa_failed",),
    "Retrieve.SSO.access.token": ("aws.sso.device_token",),
}
NOT_OURS = {
    "AWS.CloudTrail.Account.Discovery": "single reads of an account: the console makes them all day",
    "AWS.CloudTrail.IAMAnythingChanged": "every write to IAM: rules of their own tell those that matter",
    "AWS.CloudTrail.IAMEntityCreatedWithoutCloudFormation": "depends on how a company makes its roles",
    "AWS.ConfigService.Created": "a guard that is switched on is good news",
    "AWS.EC2.ManualSecurityGroupChange": "depends on how a company changes its groups; aws.sg.changed is there to count",
    "AWS.EC2.Monitoring": "every backup makes images; sharing and exporting them is told",
    "AWS.EC2.Vulnerable.XZ.Image.Launched": "a list of images of one incident of 2024",
    "AWS.ECR.EVENTS": "depends on the accounts and regions of a company",
    "AWS.IAM.CredentialsUpdated": "people change their own passwords",
    "AWS.IAM.Group.Read.Only.Events": "single reads of groups",
    "AWS.LAMBDA.CRUD": "depends on the accounts of a company",
    "AWS.RDS.ManualSnapshotCreated": "a snapshot stays at home; sharing, copying and exporting it is told",
    "AWS.S3.DeleteObject": "single objects go all day",
    "AWS.S3.DeleteObjects": "single calls by programs, all day",
    "AWS.UnusedRegion": "depends on the regions of a company",
    "Role.Assumed.by.AWS.Service": "what services are there for",
    "Role.Assumed.by.User": "what roles are there for",
    "Sign-in.with.AWS.CLI.prompt": "everybody who uses the command line",
}
# (their rule, their test): why we say something else.
DIFFERENT: dict[tuple[str, str], str] = {}


@published
def test_every_rule_of_the_other_collection_is_ours_too_or_left_out_for_a_reason() -> None:
    theirs = {row["rule_id"] for row in _published("panther-tests.jsonl")}

    assert theirs == set(OURS) | set(NOT_OURS)
    assert set(OURS) & set(NOT_OURS) == set()
    assert {rule for rules in OURS.values() for rule in rules} <= {rule.id for rule in RULES}


@published
@pytest.mark.parametrize("theirs", sorted(OURS))
def test_our_rule_says_of_every_event_what_theirs_says(theirs: str) -> None:
    other = {
        (row["rule_id"], row["test_name"])
        for row in _published("panther-tests.jsonl")
        if row["rule_id"] == theirs and bool(_raised(row["event"]) & set(OURS[theirs])) != row["expected"]
    }

    assert other == {difference for difference in DIFFERENT if difference[0] == theirs}


@published
def test_what_services_do_for_each_other_raises_nothing() -> None:
    raised = Counter(
        rule for event in _published("benign-aws-service-events.jsonl.gz") for rule in _raised(event, EVERY)
    )

    assert raised == {}


# Real events of many sources; these reads and first steps among them wake somebody, and why.
LOUD = {
    ("CreateAccessKey", "aws.iam.key_for_other"): "an attack in a laboratory (Atomic Red Team)",
    ("CreateLoginProfile", "aws.iam.console_password_set"): "an attack in a laboratory (Atomic Red Team)",
    ("CreatePolicyVersion", "aws.iam.policy_star"): "an attack in a laboratory",
    ("CreateSnapshot", "aws.any.attack_tool_agent"): "an attack in a laboratory (Stratus Red Team)",
    ("GetPasswordData", "aws.any.attack_tool_agent"): "an attack in a laboratory (Stratus Red Team)",
    ("GetResource", "aws.root.api_key_used"): "an example of the documentation, signed by root with a long-lived key",
}


@published
def test_real_reads_and_first_steps_wake_nobody_without_a_reason() -> None:
    loud = {rule.id for rule in RULES if rule.severity >= Severity.HIGH and rule.enabled}
    told = {
        (event["eventName"], rule)
        for event in _published("misc-real-events.jsonl")
        if event["eventName"].startswith(("Get", "Describe", "List", "Assume", "Tag", "Add", "Run", "Create"))
        for rule in _raised(event) & loud
    }

    assert told == set(LOUD)


# TrailDiscover: calls that are listed as signs of an attack and raise nothing here but counters, and why.
READS = "a read of names or settings, denied"
WRONG = "the call failed for its parameters, not for a right"
SIGNS_NOT_TOLD = {
    "CreateKey": "nothing is lost by a key that could not be made",
    "CreateRule": "a rule of a load balancer",
    "DeleteBucketPolicy": WRONG,
    "DeleteNetworkAcl": WRONG,
    "DescribeAccessEntry": READS,
    "DescribeKey": READS,
    "DescribeListeners": READS,
    "DescribeLoadBalancers": READS,
    "GetCertificate": READS,
    "GetInstances": READS,
    "GetIntrospectionSchema": READS,
    "GetRegions": READS,
    "ListAssociatedAccessPolicies": READS,
    "ListDomains": READS,
    "ListIPSets": READS,
    "ListOriginationNumbers": READS,
    "ListRules": READS,
    "ListSubscriptions": READS,
    "ListTargetsByRule": READS,
    "ListTopics": READS,
    "ModifyImageAttribute": WRONG,
    "PutBucketAcl": WRONG,
    "PutBucketPolicy": WRONG,
}


@published
def test_denied_calls_that_are_signs_of_an_attack_are_told_but_for_reads() -> None:
    counters = {"aws.any.denied_call", "aws.any.denied_write"}
    silent = {
        row["event"]["eventName"]
        for row in _published("traildiscover.jsonl")
        if row["is_signal"] and not _raised(row["event"]) - counters
    }

    assert silent == set(SIGNS_NOT_TOLD)
