"""The start-up guard: is the package `notifiers` that Python would import ours?"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from engine.ownership import check_notifiers

ROOT = Path(__file__).resolve().parents[1]
ASK = "from engine.ownership import check_notifiers; print(check_notifiers())"


def foreign(folder: Path) -> Path:
    """A package `notifiers` of somebody else, which tells on whoever imports it."""
    package = folder / "notifiers"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("raise SystemExit('the foreign package was imported')\n")
    return package


def installed(folder: Path) -> Path:
    """As much of Tocsin as the guard needs, laid out as pip installs it: no pyproject.toml beside it."""
    for package in ("engine", "notifiers"):
        (folder / package).mkdir(parents=True)
        shutil.copy(ROOT / package / "__init__.py", folder / package)
    shutil.copy(ROOT / "engine" / "ownership.py", folder / "engine")
    return folder


def ask(*path: Path, python: Path | str = sys.executable) -> str:
    """What the guard says in a process of its own that looks for packages in *path* and nowhere else."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [str(python), "-S", "-c", ASK]
    answer = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def test_our_own_package_is_recognised() -> None:
    assert check_notifiers() is None


def test_an_installed_copy_is_recognised_too(tmp_path: Path) -> None:
    assert ask(installed(tmp_path)) == "None"


def test_a_package_that_hides_ours_is_named_without_being_imported(tmp_path: Path) -> None:
    theirs = foreign(tmp_path)

    said = ask(tmp_path, ROOT)

    assert f"{theirs / '__init__.py'} is not Tocsin's" in said
    assert "pip uninstall --yes notifiers" in said
    assert "--force-reinstall" not in said  # a checkout has lost nothing


def test_a_package_written_over_ours_is_named_with_the_way_to_bring_ours_back(tmp_path: Path) -> None:
    foreign(installed(tmp_path))

    said = ask(tmp_path)

    assert f"{tmp_path / 'notifiers' / '__init__.py'} is not Tocsin's" in said
    assert f"{sys.executable} -m pip uninstall --yes notifiers" in said
    assert f"{sys.executable} -m pip install --force-reinstall --no-deps tocsin" in said
    assert "a virtual environment of its own" in said


def test_every_command_says_so_first_and_ends_with_78(tmp_path: Path) -> None:
    foreign(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "engine.cli", "--version"]

    answer = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)

    assert answer.returncode == 78
    assert "pip uninstall --yes notifiers" in answer.stderr
    assert answer.stdout == ""


def test_what_an_uninstall_of_the_other_leaves_behind_is_noticed(tmp_path: Path) -> None:
    (installed(tmp_path) / "notifiers" / "__init__.py").unlink()

    assert "is missing" in ask(tmp_path)


def test_a_file_that_is_no_python_is_not_ours(tmp_path: Path) -> None:
    (installed(tmp_path) / "notifiers" / "__init__.py").write_bytes(b"OWNER = 'tocsin\x00")

    assert "is not Tocsin's" in ask(tmp_path)


def test_the_remedy_that_is_named_works_on_a_real_installation(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (ours,) = wheels.glob("tocsin-*.whl")
    theirs = a_wheel_named_notifiers(wheels)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")

    def pip(*arguments: str) -> None:
        command = [sys.executable, "-m", "pip", "--python", str(python), *arguments]
        subprocess.run(command, check=True, capture_output=True)

    pip("install", "--no-deps", "--no-index", str(ours))
    before = ask(packages, python=python)
    pip("install", "--no-deps", "--no-index", str(theirs))
    overwritten = ask(packages, python=python)
    pip("uninstall", "--yes", "notifiers")
    pip("install", "--force-reinstall", "--no-deps", "--no-index", str(ours))
    after = ask(packages, python=python)

    assert before == "None"
    assert "is not Tocsin's" in overwritten
    assert after == "None"


def a_wheel_named_notifiers(folder: Path) -> Path:
    """The smallest wheel of another distribution that brings a package `notifiers`."""
    wheel = folder / "notifiers-2.0.0-py3-none-any.whl"
    info = "notifiers-2.0.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("notifiers/__init__.py", "raise SystemExit('the foreign package was imported')\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: notifiers\nVersion: 2.0.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(
            f"{info}/RECORD", f"notifiers/__init__.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return wheel
