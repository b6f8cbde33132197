"""The bill of materials is made from what is locked."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tool_that_makes_it_is_locked_by_hashes_and_names_no_address() -> None:
    lock = (ROOT / "requirements-sbom.lock").read_text(encoding="utf-8")
    packages = re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE)

    assert "cyclonedx-bom" in packages
    assert lock.count("--hash=sha256:") >= len(packages)
    assert "://" not in lock


def test_the_script_is_plain_sh() -> None:
    checked = subprocess.run(["sh", "-n", str(ROOT / "scripts" / "sbom")], capture_output=True, text=True, check=False)

    assert (checked.returncode, checked.stderr) == (0, "")
