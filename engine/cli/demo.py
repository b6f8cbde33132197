"""`tocsin demo`: watch an intrusion being caught, in about a minute, without any key."""

from __future__ import annotations

import sys
from pathlib import Path

import click

LIVE = """
To watch a real account:

  1. a CAM user whose policy allows cloudaudit:DescribeEvents (deploy/cam-policy.json), and its key:
         export TENCENTCLOUD_SECRET_ID=…  TENCENTCLOUD_SECRET_KEY=…
  2. a Slack app with the scope chat:write, in your channel:
         export SLACK_BOT_TOKEN=…
  3. tocsin.yaml:
         sources:
           - {name: prod, type: tencent_cloudaudit, region: ap-guangzhou, every: 60s}
         notifiers:
           - {name: oncall, type: slack, token: {env: SLACK_BOT_TOKEN}, channel: C0123456789}
         routes:
           - {to: [oncall]}
  4. tocsin check -c tocsin.yaml && tocsin notify oncall -c tocsin.yaml && tocsin run -c tocsin.yaml
"""


@click.command()
@click.option("--pace", type=click.FloatRange(0.01, 10), default=1.0, show_default=True, help="Stretches the pauses.")
@click.option("--keep", type=click.Path(file_okay=False), help="Leave configuration, store and log in this folder.")
def demo(pace: float, keep: str | None) -> None:
    """A local cloud, a scripted intrusion, and the real service that catches it. Needs no key and no server."""
    from engine.demo import play

    def say(text: str) -> None:
        click.echo(text)
        sys.stdout.flush()

    code = play(say, pace=pace, keep=Path(keep) if keep else None)
    if code == 0:
        click.echo(LIVE)
    sys.exit(code)
