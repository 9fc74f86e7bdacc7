"""How far steps are set apart from the host: the rungs of a ladder, of which the first that works is taken.

root
    All namespaces and mounts, by root of the host or of a container that lets it.
userns
    The same inside a user namespace: of an ordinary user with subordinate ids, or of a root that may not mount.
single
    The same in a user namespace that has the id of the user alone; a supervisor answers calls that tell of owners, or
    change them (`runtime.supervisor`).
chroot
    A chroot alone, of root in a container that lets it neither make namespaces nor mount (`runtime.chrooted`).
    Experimental.
none
    No commands. Images are unpacked by root alone, and made of files by everybody.

$PYBUILD_ISOLATION, which the flag ``--isolation`` sets, says what is wanted. What works is found out by trying.
"""

import os
from collections.abc import Mapping

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.kernel.syscalls import capget
from pybuild.runtime.ownership.record import is_begun

VARIABLE = "PYBUILD_ISOLATION"
AUTO, ROOT, USERNS, SINGLE, NONE, STRICT = "auto", "root", "userns", "single", "none", "strict"
CHROOT = "chroot"
CHOICES = (AUTO, ROOT, USERNS, SINGLE, CHROOT, NONE, STRICT)
"""``strict`` is ``auto`` without anything that is less than what a host without restrictions has."""
_ALIASES = {"": AUTO, "default": AUTO, "oci": AUTO, "rootless": USERNS}
_CAP_SYS_ADMIN = 1 << 21
_LEAVE_OUT = f"leave out --isolation, and unset ${VARIABLE}"
UNCONFINED = "docker run --security-opt seccomp=unconfined ..."
IN_CONTAINER = (
    "a container needs docker run --security-opt seccomp=unconfined, or --cap-add SYS_ADMIN,"
    " and where AppArmor is used --security-opt apparmor=unconfined"
)


class UnknownIsolation(ValueError):
    """The text is no isolation."""


def parse(text: str) -> str:
    """Return the one of CHOICES that *text* means, also in Buildah's words. Raises UnknownIsolation."""
    found = _ALIASES.get(text, text)
    if found not in CHOICES:
        raise UnknownIsolation(f"unknown isolation {text!r}: use one of {', '.join(CHOICES)}")
    return found


def wanted(environment: Mapping[str, str] = os.environ) -> str:
    """Return what the user wants. Raises SandboxUnavailable when $PYBUILD_ISOLATION is nothing that can be wanted."""
    try:
        return parse(environment.get(VARIABLE, ""))
    except UnknownIsolation as error:
        raise SandboxUnavailable(str(error), f"unset ${VARIABLE}") from None


class _State:
    """The level of this process, set once it is known."""

    inside = False
    """In a user namespace that was made for this purpose."""
    refusal: SandboxUnavailable | None = None
    """Why no such namespace could be made."""
    single_id_reason = ""
    """Why it has one id only, when nobody asked for that."""


def note_entered() -> None:
    """Note that this process, and those forked from it, are root of a user namespace of pybuild's."""
    _State.inside = True


def note_single_id(error: SandboxUnavailable) -> None:
    """Note why this process has one id only."""
    _State.single_id_reason = str(error)


def single_id_reason() -> str:
    """Return why this process has one id only; "" when it has others, or that was asked for."""
    return _State.single_id_reason


def is_single() -> bool:
    """Tell whether this process has one id only, so that owners of files are recorded (`runtime.ownership`)."""
    return is_begun()


def is_chroot() -> bool:
    """Tell whether commands of this process run after a chroot alone: it is asked for, or all that is left to root."""
    choice = wanted()
    return choice == CHROOT or (choice == AUTO and _State.refusal is not None and not may_mount())


def note_refused(error: SandboxUnavailable) -> None:
    """Note that no user namespace can be had here."""
    _State.refusal = error


def is_direct() -> bool:
    """Return whether this process works on trees and runs commands itself; else one in a user namespace does."""
    if os.geteuid() != 0:
        return False
    if _State.inside:
        return True
    choice = wanted()
    return choice not in {USERNS, SINGLE} and (
        choice in {ROOT, CHROOT, NONE} or _State.refusal is not None or may_mount()
    )


def check_namespace() -> None:
    """Raise SandboxUnavailable when the user does not want a user namespace to be made."""
    choice = wanted()
    if choice in {ROOT, CHROOT}:
        raise SandboxUnavailable(f"isolation {choice} is for root, and this is user {os.geteuid()}", _LEAVE_OUT)
    if choice == NONE:
        raise SandboxUnavailable("isolation none unpacks no images for an ordinary user", _LEAVE_OUT)


def check_commands() -> None:
    """Raise SandboxUnavailable when the user wants no commands to run, or none can."""
    if wanted() == NONE:
        raise SandboxUnavailable("isolation none runs no commands", _LEAVE_OUT)
    if _State.refusal is not None and not may_mount() and not is_chroot():
        raise not_permitted()


def not_permitted(more: str = "") -> SandboxUnavailable:
    """Return the error for a root that can neither mount nor make user namespaces; *more* is what it cannot do, too."""
    reasons = [f"{_State.refusal}", *([more] if more else [])]
    return SandboxUnavailable(
        f"no command can run here: root has no CAP_SYS_ADMIN, and {', '.join(reasons)}", IN_CONTAINER
    )


def may_mount() -> bool:
    """Return whether this process has the capability that mounts and namespaces need."""
    return bool(capget()[0] & _CAP_SYS_ADMIN)
