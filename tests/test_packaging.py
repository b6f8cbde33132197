"""What is shipped: wheel, sdist and checkout carry the same program, rules included; the locks are whole."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest

from engine import __version__

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("engine", "notifiers", "rules")


def build(project: Path, into: Path, target: str) -> Path:
    """Builds with the backend that the lock brings; nothing is fetched."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(into)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (built,) = into.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return built


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def in_the_tree(suffixes: set[str]) -> set[str]:
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.suffix in suffixes)
    return {path.relative_to(ROOT).as_posix() for path in found}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("sdist"), "sdist")


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content as pip lays it out, `bin/tocsin` included."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(folder), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    return folder


def run_installed(installation: Path, *command: str) -> str:
    """Runs where the checkout is out of sight: the installed packages come first, the dependencies after them."""
    environment = {**os.environ, "PYTHONPATH": str(installation)}
    answer = subprocess.run(command, env=environment, cwd=installation, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


# --- the wheel


def test_the_wheel_carries_every_module_rule_list_schema_and_migration(wheel: Path) -> None:
    wanted = in_the_tree({".py", ".yaml", ".json", ".sql", ".typed"})

    assert wanted - names_in(wheel) == set()


def test_the_wheel_carries_nothing_but_the_three_packages_and_its_own_record(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in names_in(wheel)}

    assert tops == {*PACKAGES, f"tocsin-{__version__}.dist-info"}


def test_the_wheel_carries_rules_to_detect_with(wheel: Path) -> None:
    rules = [name for name in names_in(wheel) if re.fullmatch(r"rules/tencent/.+\.yaml", name)]

    assert len(rules) > 1


def test_the_wheel_carries_the_migrations(wheel: Path) -> None:
    assert any(re.fullmatch(r"engine/store/migrations/.*\d+.*\.sql", name) for name in names_in(wheel))


def test_the_wheel_brings_the_command_and_the_licence(wheel: Path) -> None:
    info = f"tocsin-{__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        entry_points = archive.read(f"{info}/entry_points.txt").decode()

    assert "tocsin = engine.cli:main" in entry_points
    assert f"{info}/licenses/LICENSE" in names_in(wheel)


# --- installed


def test_the_installed_command_answers(installation: Path) -> None:
    said = run_installed(installation, str(installation / "bin" / "tocsin"), "--help")

    assert "demo" in said
    assert "scan" in said


def test_an_installed_program_finds_its_rules_beside_itself(installation: Path) -> None:
    program = (
        "from importlib.resources import files; print(files('rules'), files('rules').joinpath('tencent').is_dir())"
    )

    assert run_installed(installation, sys.executable, "-c", program).split() == [str(installation / "rules"), "True"]


def test_a_checkout_finds_its_rules_too() -> None:
    assert files("rules").joinpath("tencent").is_dir()
    assert str(files("rules")) == str(ROOT / "rules")


# --- the sdist


def test_the_sdist_carries_what_a_packager_needs(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    wanted = {"LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml", "requirements.lock"}
    wanted |= {
        "requirements-dev.lock",
        "scripts/test",
        "scripts/setup",
        "tests/test_packaging.py",
        "deploy/tocsin.service",
    }
    assert wanted - names == set()
    assert in_the_tree({".py", ".yaml", ".json", ".sql", ".typed"}) - names == set()


def test_a_wheel_built_from_the_sdist_is_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "-xzf", str(sdist)], cwd=tmp_path, check=True)

    rebuilt = build(tmp_path / f"tocsin-{__version__}", tmp_path / "dist", "wheel")

    assert names_in(rebuilt) == names_in(wheel)


# --- the locks


def locked(name: str) -> dict[str, str]:
    """Each package of a lock with its version."""
    lines = (ROOT / name).read_text().splitlines()
    found = (re.match(r"([a-z0-9-]+)==(\S+)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_its_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"(?m)^(?=[a-z0-9])", text)[1:]

    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text
    assert " @ " not in text
    assert re.findall(r"(?m)^\s*--(?!hash)\S+", text) == []  # no --index-url, no --find-links


def test_everything_that_pyproject_asks_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = {re.split(r"[^A-Za-z0-9-]", wanted)[0] for wanted in project["project"]["dependencies"]}
    build_backend = {re.split(r"[^A-Za-z0-9-]", wanted)[0] for wanted in project["dependency-groups"]["build"]}

    assert asked | build_backend <= locked("requirements.lock").keys()


def test_the_tests_run_with_the_versions_that_the_program_runs_with() -> None:
    tested = locked("requirements-dev.lock")

    assert {name: tested.get(name) for name in locked("requirements.lock")} == locked("requirements.lock")
