"""What tests of the sandbox share: a small root made from a static busybox, and a way to run things in it."""

import os
import shutil
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pytest

from pybuild.runtime.rootfs.roots import OverlayRoot, Root
from pybuild.runtime.sandbox import forkserver_client
from pybuild.runtime.sandbox.launcher import run
from pybuild.runtime.sandbox.spec import Bind, ExitStatus, Mount, Process, Spec

APPLETS = "sh ls cat true id echo sleep ps env stat grep chmod chown find mknod rm mkdir ln touch mv ip wc sort ulimit"
PATH = (("PATH", "/bin"),)


def busybox() -> Path:
    found = [path for path in (Path("/bin/busybox"), Path("/usr/bin/busybox")) if path.exists()]
    if not found:
        pytest.skip("needs a static busybox")
    return found[0]


def make_base(directory: Path) -> Path:
    """Make a root of a shell and two users in *directory*: nothing in it that a sandbox mounts on."""
    for name in ("bin", "etc", "tmp", "home"):
        (directory / name).mkdir(parents=True)
    shutil.copy(busybox(), directory / "bin/busybox")
    for applet in APPLETS.split():
        (directory / "bin" / applet).symlink_to("busybox")
    (directory / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
    )
    (directory / "etc/group").write_text("root:x:0:\nwheel:x:10:root,user\nuser:x:1000:\naudio:x:29:user,other\n")
    return directory


@dataclass
class Result:
    """How a sandbox ended and what it said."""

    status: ExitStatus
    streams: dict[int, bytes]

    @property
    def out(self) -> str:
        return self.streams[1].decode()

    @property
    def err(self) -> str:
        return self.streams[2].decode()


@dataclass
class Image:
    """An overlay root over a base; attacks are planted in *layer*, what a run leaves behind lies in *upper*."""

    directory: Path
    base: Path
    env: tuple[tuple[str, str], ...] = PATH
    mounts: tuple[Mount, ...] = ()
    layer: Path = field(init=False)
    upper: Path = field(init=False)

    def __post_init__(self) -> None:
        self.layer, self.upper = self.directory / "layer", self.directory / "upper"
        for name in ("layer", "upper", "work"):
            (self.directory / name).mkdir()

    @property
    def root(self) -> OverlayRoot:
        return OverlayRoot(lowers=(self.base, self.layer), upper=self.upper, work=self.directory / "work")

    def run(
        self, *args: str, root: Root | None = None, cancel: threading.Event | None = None, **options: object
    ) -> Result:
        of_process = {name: options.pop(name) for name in ("user", "cwd", "env") if name in options}
        process = Process(args=args, **{"env": self.env, **of_process})  # type: ignore[arg-type]
        mounts = (*self.mounts, *options.pop("mounts", ()))  # type: ignore[misc]
        spec = Spec(root=root or self.root, process=process, mounts=mounts, **options)  # type: ignore[arg-type]
        streams = {1: b"", 2: b""}

        def collect(stream: int, data: bytes) -> None:
            streams[stream] += data

        # A usual run is that of a child that was ready before; what needs another one shows the other way.
        forkserver_client.start(1)
        return Result(run(spec, output=collect, cancel=cancel), streams)

    def shell(self, script: str, **options: object) -> Result:
        return self.run("sh", "-c", script, **options)  # type: ignore[arg-type]

    def left(self) -> list[str]:
        """What the layer of this run would hold: a directory that was only copied up is no change."""
        return sorted(name for name in self._in_upper() if not self._copied_up(name))

    def _in_upper(self) -> list[str]:
        return [str(path.relative_to(self.upper)) for path in self.upper.rglob("*")]

    def _copied_up(self, name: str) -> bool:
        below = next((directory / name for directory in (self.layer, self.base) if (directory / name).is_dir()), None)
        if below is None or not (self.upper / name).is_dir():
            return False
        old, new = below.stat(), (self.upper / name).stat()
        return (old.st_mode, old.st_uid, old.st_gid, old.st_mtime_ns) == (
            new.st_mode,
            new.st_uid,
            new.st_gid,
            new.st_mtime_ns,
        )


def python_image(directory: Path, base: Path) -> Image:
    """An image in which this Python runs, by mounts of the host's libraries, for calls that no shell can make."""
    directories = [Path(name) for name in ("/usr", "/lib", "/lib64", sys.base_prefix)]
    mounts = tuple(Bind(host_path=path, target=path) for path in directories if path.exists())  # type: ignore[arg-type]
    return Image(directory, base, env=(*PATH, ("LD_LIBRARY_PATH", f"{sys.base_prefix}/lib")), mounts=mounts)


def python(image: Image, script: str, **options: object) -> Result:
    return image.run(os.path.realpath(sys.executable), "-I", "-S", "-c", script, **options)  # type: ignore[arg-type]


def at(path: str) -> PurePosixPath:
    """Return *path* as a place in a sandbox."""
    return PurePosixPath(path)
