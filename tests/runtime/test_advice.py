"""The command for each obstacle, as the files of a host suggest it."""

import os
import shutil
from pathlib import Path

import pytest

from pybuild.runtime import advice


@pytest.fixture(autouse=True)
def _ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)


def test_what_only_root_may_do_is_done_by_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    assert advice.as_root("chmod u+s /x") == "sudo chmod u+s /x"
    assert advice.as_root("a && b") == "sudo a && sudo b"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert advice.as_root("a && b") == "a && b"


@pytest.mark.parametrize(
    ("manager", "package", "command"),
    [
        ("apt-get", "uidmap", "sudo apt-get install uidmap"),
        ("dnf", "uidmap", "sudo dnf install shadow-utils"),
        ("apk", "uidmap", "sudo apk add shadow-subids"),
        ("pacman", "passt", "sudo pacman -S passt"),
        ("", "passt", "sudo apt-get install passt"),
    ],
)
def test_a_package_is_installed_by_what_the_host_has(
    monkeypatch: pytest.MonkeyPatch, manager: str, package: str, command: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/it" if name == manager else None)
    assert advice.installing(package) == command


@pytest.mark.parametrize(
    ("name", "value", "command"),
    [
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ("kernel/apparmor_restrict_unprivileged_userns", "0", ""),
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("kernel/other", "0", ""),
    ],
)
def test_a_setting_that_refuses_namespaces_is_found(tmp_path: Path, name: str, value: str, command: str) -> None:
    (tmp_path / "kernel").mkdir()
    (tmp_path / name).write_text(f"{value}\n")
    assert advice.permitting_namespaces(tmp_path) == (f"sudo sysctl {command}" if command else "")


@pytest.mark.parametrize(("limit", "raised"), [("0", 10000), ("40000", 80000), (None, 10000)])
def test_the_limit_of_namespaces_is_raised(tmp_path: Path, limit: str | None, raised: int) -> None:
    (tmp_path / "user").mkdir()
    if limit is not None:
        (tmp_path / "user/max_user_namespaces").write_text(limit)
    assert advice.more_namespaces(tmp_path) == f"sudo sysctl user.max_user_namespaces={raised}"
