"""Images that others write: one difficult tree, changed once, by docker, buildah, podman, umoci and skopeo.

The first layer has hard links, set-id bits, nodes and extended attributes; the second removes, replaces directories by
others (opaque) and by files, links across layers, and changes owners and modes.
"""

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers import bases, trees
from tests.helpers.peers import Docker

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
_STATES = ("--storage-driver", "overlay")
_ENTRIES: tuple[tuple[str, bytes, Mapping[str, object]], ...] = (
    ("a", tarfile.DIRTYPE, {"mode": 0o755}),
    ("a/one", tarfile.REGTYPE, {"uid": 1000, "gid": 50}),
    ("a/two", tarfile.LNKTYPE, {"linkname": "a/one"}),
    ("a/tool", tarfile.REGTYPE, {"mode": 0o4755}),
    ("a/able", tarfile.REGTYPE, {"mode": 0o755}),
    ("a/sub", tarfile.DIRTYPE, {"mode": 0o2775}),
    ("a/sub/gone", tarfile.REGTYPE, {}),
    ("replaced", tarfile.DIRTYPE, {"mode": 0o755}),
    ("replaced/old", tarfile.REGTYPE, {}),
    ("replaced/deep", tarfile.DIRTYPE, {"mode": 0o755}),
    ("replaced/deep/old", tarfile.REGTYPE, {}),
    ("file-to-folder", tarfile.REGTYPE, {}),
    ("folder-to-file", tarfile.DIRTYPE, {"mode": 0o755}),
    ("folder-to-file/x", tarfile.REGTYPE, {}),
    ("dangling", tarfile.SYMTYPE, {"linkname": "/nowhere", "mode": 0o777}),
    ("pipe", tarfile.FIFOTYPE, {}),
    ("null", tarfile.CHRTYPE, {"mode": 0o666, "devmajor": 1, "devminor": 3}),
)
_XATTRS = {
    "a/able": {"security.capability": CAPABILITY},
    "a/tool": {"user.note": b"kept"},
}
_CHANGES = """set -e
rm /a/sub/gone
rm -r /replaced && mkdir -p /replaced/deep && echo new > /replaced/deep/new
ln /a/one /a/three && chmod 600 /a/one
rm /file-to-folder && mkdir /file-to-folder && echo x > /file-to-folder/in
rm -r /folder-to-file && echo x > /folder-to-file
chown 1000:50 /a/tool /dangling -h
rm /change
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """An image of another program: an archive or the directory of a layout, and the tree that its writer sees in it."""

    place: Path
    tree: trees.Tree
    lossy: bool = False
    """Its writer's way to show the tree leaves ``user.*`` attributes out and adds a few files of a container."""


@dataclass(slots=True, kw_only=True)
class Workshop:
    """Makes each of them once, in *directory*."""

    directory: Path
    run_root: Path
    """A short path: podman refuses one of over 50 characters."""
    docker: Docker
    _made: dict[str, Foreign] = field(default_factory=dict)

    def image(self, name: str) -> Foreign:
        """The image called WRITER-FORM, such as ``podman-oci-archive``, or ``skopeo-COMPRESSION``."""
        if name not in self._made:
            self._made[name] = self._make(*name.split("-", 1))
        return self._made[name]

    def _make(self, writer: str, form: str) -> Foreign:
        match writer:
            case "docker":
                return self._with_docker()
            case "buildah" | "podman":
                return self._with_engine(writer, form)
            case "skopeo":
                return self._with_skopeo(form)
            case _:
                return self._with_umoci()

    def rich(self) -> Path:
        """The tar of the first layer."""
        path = self.directory / "rich.tar"
        if not path.exists():
            shutil.copy(bases.small(), path)
            with tarfile.open(path, "a", format=tarfile.PAX_FORMAT) as tar:
                for name, kind, fields in _ENTRIES:
                    _add(tar, name, kind, fields)
        return path

    def _context(self, below: Path) -> Path:
        context = below / "changes"
        if not context.exists():
            context.mkdir()
            (context / "change").write_text(_CHANGES)
            (context / "Dockerfile").write_text("FROM rich\nCOPY change /change\nRUN sh /change\nENV BY=another\n")
        return context

    def _with_docker(self) -> Foreign:
        self.docker.import_tar(self.rich(), "rich")
        context = self._context(self.docker.directory)
        self.docker.build(context, context / "Dockerfile", "changed")
        container = self.docker.command("create", "--network=none", "changed", "sh").stdout.strip()
        exported = self.directory / "docker-export.tar"
        with exported.open("wb") as stream:
            self.docker.command("export", container, stdout=stream)
        # Other tests list the containers of this Docker.
        self.docker.command("rm", container)
        archive = self.docker.save("changed", self.directory / "docker.tar")
        return Foreign(place=archive, tree=trees.read_tar(exported), lossy=True)

    def _with_engine(self, program: str, form: str) -> Foreign:
        state = self.directory / program
        engine = [program, "--root", f"{state}/root", "--runroot", f"{self.run_root}/{program}", *_STATES]
        if not state.exists():
            state.mkdir()
            self._fill(engine)
        place = self.directory / f"{program}-{form}.tar"
        _run(*engine, "push", "-q", "changed", f"{form}:{place}:example/changed:1")
        return Foreign(place=place, tree=self._mounted(engine))

    def _fill(self, engine: list[str]) -> None:
        if engine[0] == "podman":
            _run(*engine, "import", "-q", os.fspath(self.rich()), "rich")
        else:
            empty = _run(*engine, "from", "scratch")
            _run(*engine, "add", "-q", empty, os.fspath(self.rich()), "/")
            _run(*engine, "commit", "-q", empty, "rich")
        _run(*engine, "build", "--isolation=chroot", "-q", "-t", "changed", os.fspath(self._context(self.directory)))

    def _mounted(self, engine: list[str]) -> trees.Tree:
        if engine[0] == "podman":
            mount, name, unmount = ("image", "mount"), "changed", ("image", "unmount")
        else:
            mount, name, unmount = ("mount",), _run(*engine, "from", "changed"), ("umount",)
        try:
            return trees.read_directory(Path(_run(*engine, *mount, name)))
        finally:
            _run(*engine, *unmount, name)

    def _with_skopeo(self, compression: str) -> Foreign:
        source = self.image("buildah-oci-archive")
        layout = self.directory / f"skopeo-{compression.replace(':', '-')}"
        words = ("--insecure-policy", "-q", f"--dest-compress-format={compression}", f"oci-archive:{source.place}")
        _run("skopeo", "copy", *words, f"oci:{layout}:it")
        return Foreign(place=layout, tree=source.tree)

    def _with_umoci(self) -> Foreign:
        layout, bundle = self.directory / "umoci", self.directory / "bundle"
        root = bundle / "rootfs"
        _run("umoci", "init", "--layout", os.fspath(layout))
        _run("umoci", "new", "--image", f"{layout}:empty")
        _run("umoci", "unpack", "--image", f"{layout}:empty", os.fspath(bundle))
        _run("tar", "--xattrs", "--xattrs-include=*", "-xpf", os.fspath(self.rich()), "-C", os.fspath(root))
        _run("umoci", "repack", "--refresh-bundle", "--image", f"{layout}:rich", os.fspath(bundle))
        (root / "change").write_text(_CHANGES)
        _run("chroot", os.fspath(root), "/bin/sh", "/change")
        _run("umoci", "repack", "--image", f"{layout}:it", os.fspath(bundle))
        again = self.directory / "again"
        _run("umoci", "unpack", "--image", f"{layout}:it", os.fspath(again))
        return Foreign(place=layout, tree=trees.read_directory(again / "rootfs"))


def _add(tar: tarfile.TarFile, name: str, kind: bytes, fields: Mapping[str, object]) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mtime = kind, bases.EPOCH
    data = name.encode() if kind == tarfile.REGTYPE else b""
    entry.size = len(data)
    for key, value in fields.items():
        setattr(entry, key, value)
    for key, value in _XATTRS.get(name, {}).items():
        entry.pax_headers[f"SCHILY.xattr.{key}"] = value.decode(errors="surrogateescape")
    tar.addfile(entry, io.BytesIO(data))


def _run(*command: str) -> str:
    result = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stderr}"
    return result.stdout.strip()
