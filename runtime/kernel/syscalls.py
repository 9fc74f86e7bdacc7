"""System calls that `os` does not offer: one function per call, OSError on failure, no policy.

The sandbox child imports this module, so it imports none that takes long. Descriptors that it returns are
close-on-exec. Paths may be str or bytes; an empty path stands for the descriptor itself.
"""

import ctypes
import os

MAX_LINKS = 40
"""The most symlinks in the resolution of one path: the kernel's limit (path_resolution(7))."""
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
OPEN_TREE_CLONE = 1

MOUNT_ATTR_RDONLY = 0x01
MOUNT_ATTR_NOSUID = 0x02
MOUNT_ATTR_NODEV = 0x04
MOUNT_ATTR_NOEXEC = 0x08
MOUNT_ATTR_STRICTATIME = 0x20

MS_NOSUID = 0x02
MS_NODEV = 0x04
MS_REC = 0x4000
MS_BIND = 0x1000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

SIGKILL, SIGCHLD = 9, 17

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
RLIMIT_LOCKS = 10  # has had no effect since Linux 2.4.25, and fork and exec keep it

CLOSE_RANGE_CLOEXEC = 4
LAST_DESCRIPTOR = 0xFFFFFFFF

# Calls that were added since Linux 5.1 have the same number on every machine (except alpha).
_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 428, 429, 430, 431, 432
_CLOSE_RANGE, _OPENAT2, _MOUNT_SETATTR = 436, 437, 442
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446
_RT_SIGACTION = {"x86_64": 13, "aarch64": 134, "riscv64": 134}
_SIGNALS_OF_LIBC = (32, 33)  # the C library uses them for threads, and its sigaction(2) refuses them
_SIGSET_SIZE = 8  # bytes of the kernel's sigset_t; that of the C library has 128
_KEYCTL = {"x86_64": 250, "i686": 288, "aarch64": 219, "riscv64": 219, "ppc64le": 271, "s390x": 280}

_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 0, 1, 6
_MOVE_MOUNT_F_EMPTY_PATH, _MOVE_MOUNT_T_EMPTY_PATH = 0x04, 0x40
_KEYCTL_JOIN_SESSION_KEYRING = 1
_CAPABILITY_VERSION_3 = 0x20080522
_SECCOMP_MODE_FILTER = 2
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SECCOMP_SET_MODE_FILTER, _NEW_LISTENER, _WAIT_KILLABLE_RECV = 1, 1 << 3, 1 << 5
_STATX = {"x86_64": 332, "aarch64": 291}
_STATX_SIZE = 256
_LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET = 1
_TIOCSPTLCK, _TIOCGPTPEER, _TIOCSCTTY, _SIOCSIFFLAGS = 0x40045431, 0x5441, 0x540E, 0x8914
_AF_INET, _SOCK_DGRAM = 2, 2  # not from the module `socket`, which takes milliseconds to import

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
_ALL_SIGNALS = ctypes.create_string_buffer(b"\xff" * 128, 128)
_SIG_SETMASK = 2


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


class _SockFprog(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


class _LandlockRuleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Rlimit(ctypes.Structure):
    _fields_ = (("soft", ctypes.c_uint64), ("hard", ctypes.c_uint64))


def _check(result: int, path: str | bytes | None = None) -> int:
    if result >= 0:
        return result
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), path)


def call(number: int, *args: object, path: str | bytes | None = None) -> int:
    """Make the system call *number*. Ints become C longs, because ctypes would pass 32 bits to a variadic function."""
    wide = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return _check(_libc.syscall(ctypes.c_long(number), *wide), path)


def openat2(dirfd: int, path: str | bytes, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """Open *path* below *dirfd* under the *resolve* rules. Raises EAGAIN when a rename raced with the walk."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    return call(_OPENAT2, dirfd, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how), path=path)


def fsopen(filesystem: str) -> int:
    """Start the configuration of a new file system instance."""
    return call(_FSOPEN, filesystem.encode(), _FSOPEN_CLOEXEC, path=filesystem)


def fsconfig_flag(fd: int, key: str) -> None:
    """Set an option that has no value."""
    call(_FSCONFIG, fd, _FSCONFIG_SET_FLAG, key.encode(), None, 0, path=key)


def fsconfig_string(fd: int, key: str, value: str | bytes) -> None:
    """Set an option to a text of at most 255 bytes."""
    call(_FSCONFIG, fd, _FSCONFIG_SET_STRING, key.encode(), os.fsencode(value), 0, path=key)


def fsconfig_cmd_create(fd: int) -> None:
    """Make the file system from the options given so far."""
    call(_FSCONFIG, fd, _FSCONFIG_CMD_CREATE, None, None, 0)


def fsmount(fd: int, attributes: int = 0) -> int:
    """Return a detached mount of a created file system, which ends with the descriptor unless it is attached."""
    return call(_FSMOUNT, fd, _FSMOUNT_CLOEXEC, attributes)


def move_mount(source: int, target: int, path: str | bytes = "") -> None:
    """Attach the mount *source* at *path* relative to *target*, at *target* itself if *path* is empty."""
    flags = _MOVE_MOUNT_F_EMPTY_PATH | (0 if path else _MOVE_MOUNT_T_EMPTY_PATH)
    call(_MOVE_MOUNT, source, b"", target, os.fsencode(path), flags, path=path)


def open_tree(dirfd: int, path: str | bytes = "", flags: int = 0) -> int:
    """Return an O_PATH descriptor, or with OPEN_TREE_CLONE a detached bind mount.

    The last symbolic link is followed unless AT_SYMLINK_NOFOLLOW is given.
    """
    flags |= os.O_CLOEXEC | (0 if path else AT_EMPTY_PATH)
    return call(_OPEN_TREE, dirfd, os.fsencode(path), flags, path=path)


def mount_setattr(fd: int, attributes: int, *, clear: int = 0, propagation: int = 0, recursive: bool = False) -> None:
    """Set *attributes* of the mount whose root *fd* is, clear those of *clear*; *propagation* is a flag of mount(2)."""
    attr = _MountAttr(attributes, clear, propagation, 0)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    call(_MOUNT_SETATTR, fd, b"", flags, ctypes.byref(attr), ctypes.sizeof(attr))


def mount(source: str, target: str | bytes, filesystem: str | None, flags: int, data: str | None = None) -> None:
    """Mount by path (mount(2))."""
    kind = None if filesystem is None else filesystem.encode()
    options = None if data is None else data.encode()
    result = _libc.mount(source.encode(), os.fsencode(target), kind, ctypes.c_ulong(flags), options)
    _check(result, target)


def umount2(target: str | bytes, flags: int = 0) -> None:
    """Unmount the topmost mount at *target*."""
    _check(_libc.umount2(os.fsencode(target), flags), target)


def pivot_root(new: str, old: str) -> None:
    """Make *new* the root of the mount namespace and move the former root to *old*."""
    _check(_libc.pivot_root(new.encode(), old.encode()), new)


def unshare(flags: int) -> None:
    """Move the calling process to new namespaces."""
    _check(_libc.unshare(flags))


def setns(fd: int, kind: int = 0) -> None:
    """Enter the namespace that *fd* names."""
    _check(_libc.setns(fd, kind))


def prctl(option: int, *args: int) -> int:
    """Change or read an attribute of the calling process."""
    return _check(_libc.prctl(option, *args, *(0, 0, 0, 0)[len(args) :]))


def set_seccomp_filter(program: bytes) -> None:
    """Install a BPF *program* (8 bytes per instruction) for the rest of the life of this process."""
    fprog = _SockFprog(len(program) // 8, program)
    prctl(PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(fprog))


def seccomp_listener(program: bytes) -> int:
    """Install a BPF *program*; return the listener, which receives calls. Raises EBUSY if the process has one already.

    A call that was received is only interrupted by signals that kill its process.
    """
    fprog = _SockFprog(len(program) // 8, program)
    flags = _NEW_LISTENER | _WAIT_KILLABLE_RECV
    return call(_SECCOMP.get(os.uname().machine, -1), _SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(fprog))


def statx(fd: int, flags: int, mask: int) -> bytes:
    """Return the kernel's ``struct statx`` of an open file."""
    found = ctypes.create_string_buffer(_STATX_SIZE)
    call(_STATX.get(os.uname().machine, -1), fd, b"", flags | AT_EMPTY_PATH, mask, ctypes.byref(found))
    return found.raw


def capget() -> tuple[int, int, int]:
    """Return the effective, permitted and inheritable capability sets as bit masks."""
    header, data = _CapHeader(_CAPABILITY_VERSION_3, 0), (_CapData * 2)()
    _check(_libc.capget(ctypes.byref(header), data))
    low, high = data
    return (
        low.effective | high.effective << 32,
        low.permitted | high.permitted << 32,
        low.inheritable | high.inheritable << 32,
    )


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Set the three capability sets of the calling thread."""
    header = _CapHeader(_CAPABILITY_VERSION_3, 0)
    sets = (effective, permitted, inheritable)
    data = (_CapData * 2)(_CapData(*(s & 0xFFFFFFFF for s in sets)), _CapData(*(s >> 32 for s in sets)))
    _check(_libc.capset(ctypes.byref(header), data))


def close_range(first: int, last: int = LAST_DESCRIPTOR, flags: int = 0) -> None:
    """Close the descriptors from *first* to *last*, or with CLOSE_RANGE_CLOEXEC make them close-on-exec."""
    call(_CLOSE_RANGE, first, last, flags)


def set_file_ids(uid: int, gid: int) -> None:
    """Access files and processes with the rights of this user and group (setfsuid(2)). Root alone can; 0 undoes it."""
    _libc.setfsgid(gid)
    _libc.setfsuid(uid)


def sethostname(name: bytes, *, domain: bool = False) -> None:
    """Set the host name of the UTS namespace, or with *domain* its NIS domain name."""
    _check((_libc.setdomainname if domain else _libc.sethostname)(name, ctypes.c_size_t(len(name))))


def setrlimit(resource: int, soft: int, hard: int) -> None:
    """Set one resource limit; -1 means no limit."""
    limit = _Rlimit(soft & 0xFFFFFFFFFFFFFFFF, hard & 0xFFFFFFFFFFFFFFFF)
    _check(_libc.setrlimit(resource, ctypes.byref(limit)))


def keyctl_join_session_keyring() -> None:
    """Give the process a new, empty session keyring. Raises ENOSYS on machines whose call number is not listed here."""
    call(_KEYCTL.get(os.uname().machine, -1), _KEYCTL_JOIN_SESSION_KEYRING, None)


def scope_abstract_sockets() -> None:
    """Restrict this process and its children to abstract sockets of their own, by Landlock.

    Raises E2BIG or EINVAL on kernels before 6.12, ENOSYS and EOPNOTSUPP on those without Landlock.
    """
    ruleset = _LandlockRuleset(0, 0, _LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET)
    fd = call(_LANDLOCK_CREATE_RULESET, ctypes.byref(ruleset), ctypes.sizeof(ruleset), 0)
    try:
        call(_LANDLOCK_RESTRICT_SELF, fd, 0)
    finally:
        os.close(fd)


def bring_up_loopback() -> None:
    """Switch on the interface ``lo`` of the network namespace (SIOCSIFFLAGS on any socket of it)."""
    fd = _check(_libc.socket(_AF_INET, _SOCK_DGRAM | os.O_CLOEXEC, 0))
    try:
        ifreq = ctypes.create_string_buffer(b"lo".ljust(16, b"\0") + (1).to_bytes(2, "little"), 40)
        _check(_libc.ioctl(fd, ctypes.c_ulong(_SIOCSIFFLAGS), ifreq))
    finally:
        os.close(fd)


def open_peer(master: int) -> int:
    """Unlock the pseudo terminal of *master* and open its other end, without looking up any name."""
    _check(_libc.ioctl(master, ctypes.c_ulong(_TIOCSPTLCK), ctypes.byref(ctypes.c_int(0))))
    flags = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC
    return _check(_libc.ioctl(master, ctypes.c_ulong(_TIOCGPTPEER), ctypes.c_ulong(flags)))


def take_terminal(fd: int) -> None:
    """Make the terminal *fd* the controlling one of the session that the calling process leads."""
    _check(_libc.ioctl(fd, ctypes.c_ulong(_TIOCSCTTY), ctypes.c_ulong(0)))


def block_signals() -> None:
    """Block every signal that can be blocked, for `wait_signal`."""
    _check(_libc.sigprocmask(_SIG_SETMASK, _ALL_SIGNALS, None))


def wait_signal() -> int:
    """Wait for a blocked signal, consume it, and return its number."""
    number = ctypes.c_int()
    _libc.sigwait(_ALL_SIGNALS, ctypes.byref(number))
    return number.value


def reset_signals() -> None:
    """Reset every signal to its default action and unblock it, as a new program expects."""
    for number in range(1, 65):
        _libc.signal(number, None)
    # The C library refuses to change two signals that it uses. A program inherits if they are ignored all the same.
    action = ctypes.create_string_buffer(64)
    for number in _SIGNALS_OF_LIBC:
        call = ctypes.c_long(_RT_SIGACTION.get(os.uname().machine, -1))
        _libc.syscall(call, ctypes.c_long(number), action, None, ctypes.c_long(_SIGSET_SIZE))
    _check(_libc.sigprocmask(_SIG_SETMASK, ctypes.create_string_buffer(128), None))
