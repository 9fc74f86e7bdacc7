"""Landlock: a process restricts itself, and all that it starts, to the files below one directory (landlock(7))."""

import ctypes
import os
from errno import ENOSYS, EOPNOTSUPP, EPERM

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
# LANDLOCK_CREATE_RULESET_VERSION, with which the call returns a version, and LANDLOCK_RULE_PATH_BENEATH.
_VERSION, _PATH_BENEATH = 1, 1
_EVERY_RIGHT = {2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All rights over files, by the version that added the last of them. Version 1, which forbids renames, is not used."""
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2
_SCOPES_SINCE = 6

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # what a packed structure has by default; Python 3.14 wants it said
    _fields_ = (("allowed", ctypes.c_uint64), ("directory", ctypes.c_int32))


def _call(number: int, *arguments: object) -> int:
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *wide)
    if result < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))
    return result


def version() -> int:
    """Return the version of Landlock in this kernel, 0 for none."""
    try:
        return _call(_CREATE_RULESET, None, 0, _VERSION)
    except OSError as error:
        if error.errno not in {ENOSYS, EOPNOTSUPP, EPERM}:
            raise
        return 0


def stay_below(directory: int) -> None:
    """Restrict this process to files below *directory*, even if it has a descriptor of a directory elsewhere.

    Since Linux 6.12 it can also send signals to, and connect to abstract sockets of, its own descendants only. Does
    nothing if the kernel has no Landlock. no_new_privs must be set.
    """
    known = version()
    rights = max((every for since, every in _EVERY_RIGHT.items() if since <= known), default=0)
    if not rights:
        return
    scopes = _ABSTRACT_SOCKETS | _SIGNALS if known >= _SCOPES_SINCE else 0
    ruleset = _Ruleset(rights, 0, scopes)
    # A kernel that does not know the last members accepts the longer struct if they are zero.
    fd = _call(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.sizeof(ruleset), 0)
    try:
        rule = _Beneath(rights, directory)
        _call(_ADD_RULE, fd, _PATH_BENEATH, ctypes.byref(rule), 0)
        _call(_RESTRICT_SELF, fd, 0)
    finally:
        os.close(fd)
