"""Runs inside a sandbox (x86_64) and prints what the kernel says to one call each; see test_sandbox.py."""

import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
long = ctypes.c_long
zeroes = ctypes.create_string_buffer(256)

CALLS: dict[str, tuple[object, ...]] = {
    "unshare-user": (272, 0x10000000),
    "mount": (165, 0, 0, 0, 0, 0),
    "umount2": (166, 0, 0),
    "setns": (308, 0, 0),
    "keyctl": (250, 0, 0),
    "add_key": (248, 0, 0, 0, 0, 0),
    "bpf": (321, 0, 0, 0),
    "perf_event_open": (298, 0, 0, 0, 0, 0),
    "userfaultfd": (323, 0),
    "io_uring_setup": (425, 1, 0),
    "init_module": (175, 0, 0, 0),
    "open_by_handle_at": (304, 0, 0, 0),
    "fsopen": (430, 0, 0),
    "move_mount": (429, 0, 0, 0, 0, 0),
    "pivot_root": (155, 0, 0),
    "swapon": (167, 0, 0),
    "reboot": (169, 0, 0, 0),
    "syslog": (103, 3, 0, 0),
    "acct": (163, 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "quotactl": (179, 0, 0, 0, 0),
    "settimeofday": (164, 0, 0),
    "mount_setattr": (442, -100, b"/", 0, 0, 0),
    "kcmp": (312, os.getpid(), os.getpid(), 0, 0, 0),
    "pidfd_getfd": (438, -1, 0, 0),
    "process_madvise": (440, -1, 0, 0, 0, 0),
    "fanotify_init": (300, 0, 0),
    "socket-decnet": (41, 12, 1, 0),
    "clone-user": (56, 0x10000000 | 17, 0, 0, 0, 0),
    "personality": (135, 0x40000),
    "socket-vsock": (41, 40, 1, 0),
    "socket-alg": (41, 38, 5, 0),
    "tiocsti": (16, 0, 0x5412, zeroes),
    "tioclinux": (16, 0, 0x541C, zeroes),
    "clone3": (435, 0, 0),
    "x32": (0x40000000 | 39,),
    "unknown": (999,),
    "openat2": (437, -100, b"/", ctypes.c_char_p((os.O_PATH).to_bytes(8, "little") + bytes(16)), 24),
    "memfd_create": (319, b"x", 0),
    "netlink": (41, 16, 3, 0),
    "chroot": (161, b"/"),
}

for name, call in CALLS.items():
    result = libc.syscall(*[long(arg) if isinstance(arg, int) else arg for arg in call])
    os.write(1, f"{name} {errno.errorcode[ctypes.get_errno()] if result == -1 else 0}\n".encode())
