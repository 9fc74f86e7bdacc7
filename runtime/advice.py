"""What a user can do about what a host refuses: one command for each obstacle, as ``pybuild doctor`` shows it."""

import os
from contextlib import suppress
from pathlib import Path

_INSTALL = {
    "apt-get": "apt-get install",
    "dnf": "dnf install",
    "zypper": "zypper install",
    "apk": "apk add",
    "pacman": "pacman -S",
}
_OTHER_NAMES = {
    "uidmap": {"dnf": "shadow-utils", "zypper": "shadow", "apk": "shadow-subids", "pacman": "shadow"},
}
"""Packages that are called otherwise than in Debian."""
_SWITCHES = (("kernel/apparmor_restrict_unprivileged_userns", "1", "0"), ("kernel/unprivileged_userns_clone", "0", "1"))
"""Settings that refuse user namespaces: the name, the value that does, the other one. Ubuntu has the first: there a
namespace can be made, but its root has no rights. Debian has the second."""
_ENOUGH = 10_000


def as_root(command: str) -> str:
    """Return *command* as this user would run it."""
    return command if os.geteuid() == 0 else " && ".join(f"sudo {each}" for each in command.split(" && "))


def installing(package: str) -> str:
    """Return the command that installs a package, which is named as in Debian; Debian's where none is known."""
    import shutil

    manager = next(filter(shutil.which, _INSTALL), "apt-get")
    return as_root(f"{_INSTALL[manager]} {_OTHER_NAMES.get(package, {}).get(manager, package)}")


def permitting_namespaces(settings: Path = Path("/proc/sys")) -> str:
    """Return the command that lets ordinary users make user namespaces; "" when no known setting refuses that."""
    found = ((name, good) for name, bad, good in _SWITCHES if _read(settings / name) == bad)
    return next((as_root(f"sysctl {name.replace('/', '.')}={good}") for name, good in found), "")


def more_namespaces(settings: Path = Path("/proc/sys")) -> str:
    """Return the command that raises the limit of user namespaces."""
    limit = _read(settings / "user/max_user_namespaces")
    most = max(_ENOUGH, 2 * int(limit) if limit.isdecimal() else 0)
    return as_root(f"sysctl user.max_user_namespaces={most}")


def _read(path: Path) -> str:
    with suppress(OSError):  # this kernel has no such setting
        return path.read_text(encoding="ascii").strip()
    return ""
