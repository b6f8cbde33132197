"""`tocsin tracks`: the account's tracking sets, which keep a copy of its events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from engine.cli.options import format_option
from engine.cli.show import as_json, plain, rows
from engine.errors import TocsinError

if TYPE_CHECKING:
    from engine.cloudaudit.answers import Storage, Track
    from engine.cloudaudit.client import CloudAudit

F = TypeVar("F", bound=Callable[..., Any])

# The option that a parameter of the API comes from, for errors.
OPTIONS = {
    "TrackId": "TRACK_ID",
    "Name": "--name",
    "ActionType": "--action-type",
    "ResourceType": "--resource-type",
    "EventNames": "--event-name",
    "Status": "--enabled / --disabled",
    "Storage": "--storage-type",
    "Storage.StorageType": "--storage-type",
    "Storage.StorageRegion": "--storage-region",
    "Storage.StorageName": "--storage-name",
    "Storage.StoragePrefix": "--storage-prefix",
    "Storage.StorageAccountId": "--storage-account-id",
    "Storage.StorageAppId": "--storage-app-id",
    "Storage.Compress": "--compress / --no-compress",
    "TrackForAllMembers": "--all-members / --no-all-members",
    "ExportId": "--export-id",
    "AuditName": "--name",
    "CosBucketName": "--bucket",
    "CosRegion": "--bucket-region",
    "IsCreateNewBucket": "--new-bucket / --existing-bucket",
    "IsEnableCmqNotify": "--cmq / --no-cmq",
    "ReadWriteAttribute": "--events",
    "LogFilePrefix": "--prefix",
    "IsCreateNewQueue": "--new-queue / --existing-queue",
    "CmqQueueName": "--queue",
    "CmqRegion": "--queue-region",
    "IsEnableKmsEncry": "--encrypt / --no-encrypt",
    "KmsRegion": "--kms-region",
    "KeyId": "--kms-key",
}

READ_WRITE: dict[str, Literal[1, 2, 3]] = {"read": 1, "write": 2, "all": 3}


@click.group()
def tracks() -> None:
    """List, show, create, modify and delete tracking sets (the account's delivery of events to COS, CLS, CKafka).

    The key comes from TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY, from ~/.tencentcloud/credentials, or from
    the machine's role.
    """


def connection_options(command: F) -> F:
    """Which API is asked, and as whom."""
    for option in (
        click.option("--role-arn", metavar="ARN", help="Assume this role first (another account's)."),
        click.option("--external-id", metavar="ID", help="External id for --role-arn."),
        click.option("--endpoint", metavar="URL", help="Host or URL in place of the site's."),
        click.option(
            "--site", type=click.Choice(["cn", "intl"]), default="cn", show_default=True, help="China or international."
        ),
        click.option("--region", default="ap-guangzhou", show_default=True, help="Region that is asked."),
    ):
        command = option(command)
    return command


@contextmanager
def client_from_options(options: dict[str, Any]) -> Iterator[CloudAudit]:
    """
    A client from the connection options, taken out of *options*; errors in the block name the option at fault.

    Raises click.UsageError (exit code 2) for what can be known before asking, SourceError (69) for what the API says.
    """
    from engine.cloudaudit.client import CloudAudit, default_credentials
    from engine.cloudaudit.clock import Clock
    from engine.cloudaudit.errors import ApiError
    from engine.cloudaudit.roles import AssumeRole

    region, site, endpoint = options.pop("region"), options.pop("site"), options.pop("endpoint")
    role_arn, external_id = options.pop("role_arn"), options.pop("external_id")
    clock = Clock()
    credentials = default_credentials(clock=clock)
    if role_arn:
        try:
            credentials = AssumeRole(
                credentials, role_arn, external_id=external_id or "", region=region, site=site, clock=clock
            )
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--role-arn") from None
    try:
        client = CloudAudit(credentials, region=region, site=site, endpoint=endpoint, clock=clock)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--endpoint") from None
    try:
        yield client
    except ApiError as error:
        if not error.parameter:
            raise  # the API said so, and does not say which
        raise click.BadParameter(f"{error.message} ({error.code})", param_hint=OPTIONS.get(error.parameter)) from None
    finally:
        client.close()


def storage_options(command: F) -> F:
    """Where a tracking set delivers to."""
    for option in (
        click.option("--compress/--no-compress", default=None, help="Compress the files."),
        click.option("--storage-app-id", metavar="APPID", help="APPID of that other account."),
        click.option("--storage-account-id", metavar="UIN", help="Deliver to another account."),
        click.option("--storage-prefix", metavar="PREFIX", help="Folder: 3 to 40 letters and digits."),
        click.option("--storage-name", metavar="NAME", help="Bucket without -APPID, CLS topic id, or ckafka-x/topic."),
        click.option("--storage-region", metavar="REGION", help="Region of the storage."),
        click.option("--storage-type", type=click.Choice(["cos", "cls", "ckafka"]), help="Kind of storage."),
    ):
        command = option(command)
    return command


def track_options(*, required: bool) -> Callable[[F], F]:
    """What a tracking set takes: required to create one, optional to modify it."""

    def add(command: F) -> F:
        for option in (
            click.option("--export-id", metavar="ID", help="Task id of an export."),
            click.option(
                "--all-members/--no-all-members", default=None, help="Events of the organisation's members too."
            ),
            click.option("--enabled/--disabled", default=True if required else None, help="Deliver, or not."),
            click.option(
                "--event-name",
                "event_names",
                multiple=True,
                default=["*"] if required else [],
                show_default=required,
                help='Up to 10, one option each; "*" for all.',
            ),
            click.option(
                "--resource-type",
                default="*" if required else None,
                show_default=required,
                help='One product, such as cam; "*" for all.',
            ),
            click.option(
                "--action-type",
                type=click.Choice(["Read", "Write", "*"]),
                default="*" if required else None,
                show_default=required,
            ),
            click.option("--name", required=required, help="3 to 48 letters, digits, - and _."),
        ):
            command = option(command)
        return storage_options(command)

    return add


@tracks.command(name="list")
@connection_options
@format_option
def list_(form: str, **options: Any) -> None:
    """Every tracking set, and whether they cover the account's write events."""
    from engine.cloudaudit.coverage import coverage, needs_filters

    with client_from_options(options) as client:
        found = [
            client.describe_audit_track(track.track_id) if track.track_id and needs_filters(track) else track
            for track in client.audit_tracks()
        ]
    if form == "json":
        as_json([_builtins(track) for track in found])
        return
    if found:
        rows(("ID", "NAME", "STATUS", "EVENTS", "DELIVERED TO"), [_line(track) for track in found])
    click.echo(plain(coverage(found).reason), err=True)


@tracks.command()
@click.argument("track_id", type=click.IntRange(min=0))
@connection_options
@format_option
def show(track_id: int, form: str, **options: Any) -> None:
    """One tracking set with everything that it says of itself."""
    with client_from_options(options) as client:
        track = client.describe_audit_track(track_id)
    if form == "json":
        as_json(_builtins(track))
        return
    storage = track.storage
    for head, value in (
        ("id", track.track_id),
        ("name", track.name),
        ("status", _status(track)),
        ("events", _events(track)),
        ("created", f"{track.create_time} (UTC+8)" if track.create_time else None),
        ("storage", _delivered_to(track)),
        ("account", storage.storage_account_id if storage else None),
        ("compressed", {1: "yes", 2: "no"}.get(storage.compress or 0) if storage else None),
        ("members", {1: "all members' events too", 0: "this account's events"}.get(_members(track))),
    ):
        if value not in (None, ""):
            click.echo(f"{head + ':':<12}{plain(str(value))}")


@tracks.command()
@track_options(required=True)
@connection_options
@format_option
def create(form: str, **options: Any) -> None:
    """Create a tracking set. It begins to deliver some ten minutes later."""
    with client_from_options(options) as client:
        storage = _storage(options)
        if storage is None:
            raise click.UsageError("Missing option '--storage-type'.")
        track_id = client.create_audit_track(storage=storage, **_track(options))
    if form == "json":
        as_json({"TrackId": track_id})
    else:
        click.echo(f"created tracking set {track_id}")


@tracks.command()
@click.argument("track_id", type=click.IntRange(min=0))
@track_options(required=False)
@connection_options
@format_option
def modify(track_id: int, form: str, **options: Any) -> None:
    """Change what is given of a tracking set. The storage is given whole or not at all."""
    with client_from_options(options) as client:
        storage = _storage(options)
        changes = {name: value for name, value in _track(options).items() if value is not None}
        if storage is not None:
            changes["storage"] = storage
        if not changes:
            raise click.UsageError("nothing to change: give at least one option, such as --disabled")
        client.modify_audit_track(track_id, **changes)
    if form == "json":
        as_json({"TrackId": track_id})
    else:
        click.echo(f"modified tracking set {track_id}")


@tracks.command()
@click.argument("track_id", type=click.IntRange(min=0))
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@connection_options
@format_option
def delete(track_id: int, yes: bool, form: str, **options: Any) -> None:
    """Delete a tracking set. What it has delivered stays where it is."""
    with client_from_options(options) as client:
        if not yes:
            track = client.describe_audit_track(track_id)
            click.echo(plain(f"{track_id} {track.name or ''}: {_events(track)} to {_delivered_to(track)}"), err=True)
            click.confirm("Delete this tracking set?", abort=True, err=True)
        client.delete_audit_track(track_id)
    if form == "json":
        as_json({"TrackId": track_id})
    else:
        click.echo(f"deleted tracking set {track_id}")


@tracks.command(name="legacy-create")
@click.option("--name", "audit_name", required=True, help="3 to 128 letters, digits and _.")
@click.option("--bucket", "cos_bucket_name", required=True, help="COS bucket without -APPID.")
@click.option("--bucket-region", "cos_region", required=True, metavar="REGION")
@click.option("--new-bucket/--existing-bucket", "is_create_new_bucket", default=False, show_default=True)
@click.option("--events", type=click.Choice(["read", "write", "all"]), default="all", show_default=True)
@click.option("--prefix", "log_file_prefix", help="Of log files: 3 to 40 letters and digits (default: the account id).")
@click.option(
    "--cmq/--no-cmq", "is_enable_cmq_notify", default=False, show_default=True, help="Deliver to a queue too."
)
@click.option("--new-queue/--existing-queue", "is_create_new_queue", default=None)
@click.option("--queue", "cmq_queue_name", help="CMQ queue: a letter, then letters, digits and -, 64 at most.")
@click.option("--queue-region", "cmq_region", metavar="REGION", help="CMQ region, such as gz.")
@click.option("--encrypt/--no-encrypt", "is_enable_kms_encry", default=None, help="Encrypt with KMS.")
@click.option("--kms-region", metavar="REGION", help="The bucket's region.")
@click.option("--kms-key", "key_id", metavar="ID", help="KMS key id.")
@connection_options
@format_option
def legacy_create(form: str, events: str, **options: Any) -> None:
    """Create a tracking set of the older kind (CreateAudit), which delivers to COS and CMQ.

    Tencent Cloud calls this action invalid by now; `tocsin tracks create` takes its place.
    """
    with client_from_options(options) as client:
        created = client.create_audit(read_write_attribute=READ_WRITE[events], **options)
    if not created:
        raise TocsinError(f"the API says that {options['audit_name']} was not created, and not why")
    if form == "json":
        as_json({"IsSuccess": 1})
    else:
        click.echo(f"created tracking set {options['audit_name']}")


def _storage(options: dict[str, Any]) -> Storage | None:
    """The storage in *options*, which it is taken out of; None if none of its options is given."""
    from engine.cloudaudit.answers import Storage

    names = ("type", "region", "name", "prefix", "account_id", "app_id")
    given = {f"storage_{name}": options.pop(f"storage_{name}") for name in names}
    compress: bool | None = options.pop("compress")
    if compress is not None:
        given["compress"] = 1 if compress else 2
    return Storage(**given) if any(value is not None for value in given.values()) else None


def _track(options: dict[str, Any]) -> dict[str, Any]:
    """The rest of a tracking set's options, as arguments of the client."""
    return {
        "name": options["name"],
        "action_type": options["action_type"],
        "resource_type": options["resource_type"],
        "event_names": list(options["event_names"]) or None,
        "status": options["enabled"],
        "track_for_all_members": options["all_members"],
        "export_id": options["export_id"],
    }


def _builtins(track: Track) -> Any:
    import msgspec

    return msgspec.to_builtins(track)


def _line(track: Track) -> tuple[object, ...]:
    return track.track_id, track.name, _status(track), _events(track), _delivered_to(track)


def _status(track: Track) -> str:
    return "on" if track.enabled else "off"


def _events(track: Track) -> str:
    fields = (track.filters.resource_fields or ()) if track.filters else ()
    taken = [(field.resource_type, field.action_type, field.event_names) for field in fields]
    if track.resource_type:
        taken.insert(0, (track.resource_type, track.action_type, track.event_names))
    return "; ".join(_taken(*one) for one in taken) or "-"


def _taken(product: str | None, action: str | None, names: tuple[str, ...] | None) -> str:
    kind = {"*": "all", "Read": "read", "Write": "write"}.get(action or "", action or "?")
    if names and "*" not in names:
        events = f"{'events' if kind == 'all' else f'{kind} events'} {', '.join(names)}"
    else:
        events = f"{kind} events"
    return f"{events} of {'all products' if product == '*' else product}"


def _delivered_to(track: Track) -> str:
    storage = track.storage
    if storage is None:
        return "-"
    where = f"{storage.storage_type} {storage.storage_name}"
    where += f"/{storage.storage_prefix}" if storage.storage_prefix else ""
    return f"{where} ({storage.storage_region})" if storage.storage_region else where


def _members(track: Track) -> int:
    return -1 if track.track_for_all_members is None else track.track_for_all_members
