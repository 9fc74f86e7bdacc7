"""How well steps are isolated from the host: the rungs of a ladder, of which the first one that works is used.

root
    All namespaces and mounts, for root of the host, or of a container that permits them.
userns
    The same inside a user namespace, for an ordinary user with subordinate ids, or for root without CAP_SYS_ADMIN.
single
    The same in a user namespace with the user's own id only. A supervisor answers the system calls by which programs
    ask for owners of files, or change them (`runtime.supervisor`).
chroot
    Only a chroot, for root in a container that permits neither namespaces nor mounts (`runtime.chrooted`).
    Experimental.
none
    No commands. Root can unpack images; every user can make images of copied files.

$PYBUILD_ISOLATION, which the flag ``--isolation`` sets, says what the user wants. Whether a rung works is tried.
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
"""``strict`` is ``auto``, but refuses every restriction that a container may impose: see runtime/README.md."""
# Those of Buildah: "default", "oci" and "rootless" are values of its --isolation.
_ALIASES = {"": AUTO, "default": AUTO, "oci": AUTO, "rootless": USERNS}
_CAP_SYS_ADMIN = 1 << 21
_LEAVE_OUT = f"leave out --isolation, and unset ${VARIABLE}"
UNCONFINED = "docker run --security-opt seccomp=unconfined ..."
WITH_SETFCAP = "docker run --cap-add SETFCAP --security-opt seccomp=unconfined ..."
IN_CONTAINER = (
    "a container needs docker run --security-opt seccomp=unconfined, or --cap-add SYS_ADMIN,"
    " and where AppArmor is used --security-opt apparmor=unconfined"
)


class UnknownIsolation(ValueError):
    """The text is no isolation."""


def parse(text: str) -> str:
    """Return the member of CHOICES that *text* means. Buildah's names are accepted. Raises UnknownIsolation."""
    found = _ALIASES.get(text, text)
    if found not in CHOICES:
        raise UnknownIsolation(f"unknown isolation {text!r}: use one of {', '.join(CHOICES)}")
    return found


def wanted(environment: Mapping[str, str] = os.environ) -> str:
    """Return the member of CHOICES that the user wants. Raises SandboxUnavailable for another $PYBUILD_ISOLATION."""
    try:
        return parse(environment.get(VARIABLE, ""))
    except UnknownIsolation as error:
        raise SandboxUnavailable(str(error), f"unset ${VARIABLE}") from None


class _State:
    """What is known about the isolation of this process. Set once; forks inherit it."""

    inside = False
    """Whether it is root of a user namespace that pybuild has made."""
    refusal: SandboxUnavailable | None = None
    """Why such a namespace cannot be made."""
    single_id_reason = ""
    """Why that namespace has one id only, "" if it has more, or if the user wanted one."""


def note_entered() -> None:
    """Note that this process is root of a user namespace that pybuild has made."""
    _State.inside = True


def note_single_id(error: SandboxUnavailable) -> None:
    """Note that this process has one id only, because of *error*."""
    _State.single_id_reason = str(error)


def single_id_reason() -> str:
    """Return why this process has one id only; "" if it has more, or if the user wanted one."""
    return _State.single_id_reason


def is_single() -> bool:
    """Return whether this process has one id only, so that owners of files are recorded (`runtime.ownership`)."""
    return is_begun()


def is_chroot() -> bool:
    """Return whether commands run in a chroot only: the user wants that, or nothing better works for root."""
    choice = wanted()
    return choice == CHROOT or (choice == AUTO and _State.refusal is not None and not may_mount())


def note_refused(error: SandboxUnavailable) -> None:
    """Note that no user namespace can be made here, because of *error*."""
    _State.refusal = error


def is_direct() -> bool:
    """Return whether this process works on rootfs trees and runs commands itself, and not in a user namespace."""
    if os.geteuid() != 0:
        return False
    if _State.inside:
        return True
    choice = wanted()
    return choice not in {USERNS, SINGLE} and (
        choice in {ROOT, CHROOT, NONE} or _State.refusal is not None or may_mount()
    )


def check_namespace() -> None:
    """Raise SandboxUnavailable if the wanted isolation has no user namespace."""
    choice = wanted()
    if choice in {ROOT, CHROOT}:
        raise SandboxUnavailable(f"isolation {choice} is for root, and this is user {os.geteuid()}", _LEAVE_OUT)
    if choice == NONE:
        raise SandboxUnavailable("isolation none unpacks no images for an ordinary user", _LEAVE_OUT)


def check_commands() -> None:
    """Raise SandboxUnavailable if the user wants no commands to run, or if none can."""
    if wanted() == NONE:
        raise SandboxUnavailable("isolation none runs no commands", _LEAVE_OUT)
    if _State.refusal is not None and not may_mount() and not is_chroot():
        raise not_permitted()


def not_permitted(more: str = "") -> SandboxUnavailable:
    """Return the error for root that can neither mount nor make user namespaces. *more* is another reason."""
    reasons = [f"{_State.refusal}", *([more] if more else [])]
    return SandboxUnavailable(
        f"no command can run here: root has no CAP_SYS_ADMIN, and {', '.join(reasons)}", IN_CONTAINER
    )


def may_mount() -> bool:
    """Return whether this process has the capability that mounts and namespaces need."""
    return bool(capget()[0] & _CAP_SYS_ADMIN)
