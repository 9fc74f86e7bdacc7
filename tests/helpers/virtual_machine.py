"""A virtual machine with Debian 12: its own kernel, systemd, control groups of version 2, and a power switch.

QEMU emulates the processor, so it works where the host has no KVM, and takes a minute or two to start. A shell script that
the host sends through a port of virtio is run by a service of the machine as root. The checkout is a second disk, mounted
at ``/project``, and the command ``pybuild`` in the machine starts it.
"""

import base64
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import click

from tests.helpers import bases

EMULATOR = "qemu-system-x86_64"
"""Of Debian's package qemu-system-x86."""
_CHECKOUT = Path(__file__).parents[2]
_PARTS = ("builder", "grammar", "runtime", ".src")
_SITE = Path(click.__file__).parents[1]
_STARTED, _ANSWERED = 600, 900  # seconds; nothing here is asserted about time
_KERNEL_LINE = "root=/dev/vda rw console=ttyS0 quiet mitigations=off systemd.show_status=0"
_PACKAGES = (
    *("linux-image-amd64", "systemd-sysv", "dbus-user-session", "libpam-systemd", "python3", "uidmap"),
    *("busybox-static", "iproute2", "e2fsprogs", "passt"),
)
_SERVICE = """[Service]
ExecStart=/usr/local/sbin/shell-service
[Install]
WantedBy=multi-user.target
"""
_SERVER = """#!/usr/bin/python3
import base64, subprocess

with open("/dev/virtio-ports/shell", "r+b", buffering=0) as port:
    port.write(b"ready\\n")
    while line := port.readline():
        words = ["sh", "-c", base64.b64decode(line)]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        port.write(b"%d %s\\n" % (done.returncode, base64.b64encode(done.stdout)))
"""
_PYBUILD = """#!/bin/sh
PYTHONPATH=/project/.src:/project/packages PYTHONDONTWRITEBYTECODE=1 exec python3 -m pybuild "$@"
"""


class Answer(NamedTuple):
    """How a script ended, and what it printed, both streams together."""

    code: int
    text: str


class VirtualMachine:
    """A machine whose disks are files in *directory*; it is off until `on`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kernel = _files()
        self._root, self._project = directory / "root.ext4", directory / "project.ext4"
        subprocess.run(["cp", "--sparse=always", self._kernel / "root.ext4", self._root], check=True)
        _write_project(directory / "project", self._project)

    @contextmanager
    def on(self) -> Iterator["Shell"]:
        """Start the machine; when the block ends its power is cut, with all that its kernel has not written yet."""
        port = self._directory / "port"
        with suppress(FileNotFoundError):
            port.unlink()
        console = (self._directory / "console").open("wb")
        with console, subprocess.Popen(self._command(port), stdin=subprocess.DEVNULL, stdout=console) as emulator:
            try:
                with _connected(port) as connection, connection.makefile("rwb", buffering=0) as lines:
                    yield Shell(connection, lines)
            finally:
                emulator.kill()

    def _command(self, port: Path) -> list[str | Path]:
        disks = [
            word
            for disk in (self._root, self._project)
            for word in ("-drive", f"file={disk},if=virtio,format=raw,cache=writeback")
        ]
        return [
            *(EMULATOR, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048", "-nic", "none"),
            *("-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"),
            *("-kernel", self._kernel / "vmlinuz", "-initrd", self._kernel / "initrd.img", "-append", _KERNEL_LINE),
            *disks,
            *("-device", "virtio-serial", "-chardev", f"socket,id=port,path={port},server=on,wait=off"),
            *("-device", "virtserialport,chardev=port,name=shell"),
        ]


class Shell:
    """The service of a running machine that runs scripts."""

    def __init__(self, connection: socket.socket, lines: socket.SocketIO) -> None:
        """Wait until the service is there; *lines* are those of *connection*."""
        self._lines = lines
        connection.settimeout(_STARTED)
        assert lines.readline() == b"ready\n"
        connection.settimeout(_ANSWERED)

    def begin(self, script: str) -> None:
        """Send a *script* for ``sh`` without waiting for its end."""
        self._lines.write(base64.b64encode(script.encode()) + b"\n")

    def run(self, script: str, *, check: bool = True) -> Answer:
        """Run a *script* in ``sh``; with *check* it has to succeed."""
        self.begin(script)
        code, text = self._lines.readline().split(b" ")
        answer = Answer(int(code), base64.b64decode(text).decode(errors="replace"))
        assert not (check and answer.code), f"{script}\n{answer.text}"
        return answer


def is_installed() -> bool:
    """Return whether this host has what such a machine needs."""
    return shutil.which(EMULATOR) is not None and os.geteuid() == 0


def _files() -> Path:
    """Return the directory with ``root.ext4``, ``vmlinuz`` and ``initrd.img``, made once."""
    recipe = " ".join((*_PACKAGES, _SERVICE, _SERVER, _PYBUILD))
    return bases.kept("machine", recipe, "", _write_files)


def _write_files(directory: Path) -> None:
    directory.mkdir()
    tree = directory / "tree"
    bases.debian(tree, "bookworm", _PACKAGES)
    _write_program(tree / "usr/local/sbin/shell-service", _SERVER)
    _write_program(tree / "usr/local/bin/pybuild", _PYBUILD)
    (tree / "etc/systemd/system/shell.service").write_text(_SERVICE)
    (tree / "etc/fstab").write_text("/dev/vdb /project ext4 ro 0 0\n")
    (tree / "project").mkdir()
    for words in (["systemctl", "enable", "shell.service"], ["useradd", "-m", "-s", "/bin/sh", "alice"]):
        subprocess.run(["chroot", tree, *words], check=True, capture_output=True)
    for name in ("vmlinuz", "initrd.img"):
        shutil.copy(tree / name, directory / name)
    _write_disk(tree, directory / "root.ext4", "3G")


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _write_disk(tree: Path, disk: Path, size: str) -> None:
    """Make a file system of the files below *tree*, which are removed."""
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, disk, size], check=True, capture_output=True)
    shutil.rmtree(tree)


def _write_project(tree: Path, disk: Path) -> None:
    """Write the checkout, and the packages that it imports, into a file system."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for part in _PARTS:
        shutil.copytree(_CHECKOUT / part, tree / part, symlinks=True, ignore=ignored)
    # Debian 12 has the Python of the tests in CI, so compiled packages fit, too.
    shutil.copytree(_SITE, tree / "packages", ignore=ignored)
    _write_disk(tree, disk, "1G")


def _connected(port: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    deadline = time.monotonic() + _STARTED
    while True:
        try:
            connection.connect(os.fspath(port))
        except (FileNotFoundError, ConnectionRefusedError):
            assert time.monotonic() < deadline, "the emulator does not start"
            time.sleep(0.05)
        else:
            return connection
