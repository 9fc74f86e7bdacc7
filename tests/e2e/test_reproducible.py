"""The same input gives the same bytes: in another store, from another directory, at another time, for another user's habits.

Two builds differ in all that must not count. What shows that the comparison can fail is the last test, and that a
file with other content gives another digest.
"""

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.helpers.hosts import need_programs, need_small_base
from tests.helpers.locales import JAPANESE, LATIN, variables_for
from tests.helpers.program import Program

EPOCH = "1600000000"
TEXT = """
FROM small AS tools
RUN mkdir -p /out/deep && echo made > /out/deep/made && ln /out/deep/made /out/same && ln -s made /out/deep/link
FROM small
WORKDIR /work/below
COPY tree /tree/
COPY --chmod=750 tree/b /chosen/b
ADD packed.tar /packed/
COPY --from=tools /out /out
RUN env | sort > /seen; umask >> /seen; date +%Z >> /seen; hostname >> /seen; mkdir /late; touch /late/z /late/a
RUN rm /tree/c && echo more >> /tree/b && mkfifo /late/pipe
LABEL made=reproducibly wörd=é€
ENV WÖRD=é€
WORKDIR /wörk
COPY été /
RUN echo é€ > "$PWD/é€" && printf %s "$WÖRD" > /word
COPY <<END /é
ü€
END
"""
FILES = {
    "été": "é\n",
    "tree/a/one": "1\n",
    "tree/a/two": "2\n",
    "tree/b": "b\n",
    "tree/c": "c\n",
    "tree/d/e/f": "f\n",
}
OUTPUTS = ("oci", "docker", "tar", "local")


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What differs between two who build the same thing."""

    directory: str
    umask: int
    variables: tuple[tuple[str, str], ...]
    backwards: bool
    time: int
    """When the files of the context were changed; after EPOCH."""


ONE = Habits(directory="one", umask=0o022, variables=(("TZ", "UTC"), ("LC_ALL", "C")), backwards=False, time=1700000000)
TWO = Habits(
    directory="another/and/deeper",
    umask=0o077,
    variables=(("TZ", "Asia/Kathmandu"), ("LC_ALL", "C.UTF-8"), ("LANG", "tr_TR.UTF-8"), ("PYTHONHASHSEED", "7")),
    backwards=True,
    time=1650000007,
)


def write_context(directory: Path, habits: Habits, files: Mapping[str, str]) -> Path:
    names = sorted(files, reverse=habits.backwards)
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[name], encoding="utf-8")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("inner/file")
        entry.size, entry.mtime = 3, 1690000000
        tar.addfile(entry, io.BytesIO(b"abc"))
    (directory / "packed.tar").write_bytes(buffer.getvalue())
    (directory / "Dockerfile").write_text(TEXT, encoding="utf-8")
    for path in directory.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (habits.time, habits.time))
    return directory


class Site:
    """Somebody's machine: a store with the base, a context, and habits."""

    def __init__(self, directory: Path, habits: Habits, base: Path, files: Mapping[str, str] | None = None) -> None:
        self.directory = directory / habits.directory
        self.habits = habits
        self.program = Program(store=self.directory / "store", variables=habits.variables)
        self.program.run("load", "-i", str(base))
        self.context = write_context(self.directory / "context", habits, files or FILES)

    def build(self, kind: str, *options: str) -> str:
        """Build and return the digest of what comes out."""
        dest = self.directory / f"out-{kind}"
        words = ("build", "-q", "-t", "made", *options, "-o", f"type={kind},dest={dest}", str(self.context))
        done = subprocess.run(
            self.program.command(*words),
            env=self.program.environment,
            umask=self.habits.umask,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + (digest_of_directory(dest) if kind == "local" else digests_of_members(dest))

    def image(self) -> str:
        """The digest of the manifest of what was built."""
        return self.program.run("inspect", "--format", "{{json .}}", "made").stdout


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digests_of_members(archive: Path) -> str:
    """The digest of the archive, and what is in it, for whoever reads the message of a failure."""
    with tarfile.open(archive) as tar:
        members = [f"{each.name} {each.size} {each.mtime} {each.mode:o} {each.uid}" for each in tar]
    return "\n".join([digest_of(archive.read_bytes()), *members])


def digest_of_directory(directory: Path) -> str:
    lines = []
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else "" if path.is_dir() else digest_of(path.read_bytes())
        name = str(path.relative_to(directory))
        lines.append(f"{name} {status.st_mode:o} {status.st_mtime_ns} {status.st_nlink} {content}")
    return digest_of("\n".join(lines).encode())


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The base as an archive: its config tells when it was imported, so both stores get the one."""
    program = Program(store=tmp_path / "bases")
    program.import_tar(need_small_base(), "small")
    return program.save("small", tmp_path / "small.tar")


@pytest.mark.parametrize("kind", OUTPUTS)
def test_two_builds_of_the_same_input_give_the_same_bytes(tmp_path: Path, base: Path, kind: str) -> None:
    options = (f"--build-arg=SOURCE_DATE_EPOCH={EPOCH}",)
    one, two = Site(tmp_path, ONE, base), Site(tmp_path, TWO, base)
    assert one.build(kind, *options) == two.build(kind, *options)
    assert one.image() == two.image()


@pytest.mark.parametrize("name", [LATIN, JAPANESE])
def test_a_locale_of_another_encoding_gives_the_same_bytes(tmp_path: Path, base: Path, name: str) -> None:
    need_programs(["localedef"])
    habits = replace(TWO, variables=(*TWO.variables, *variables_for(name, tmp_path / "locales")))
    one, two = Site(tmp_path, ONE, base), Site(tmp_path, habits, base)
    options = (f"--build-arg=SOURCE_DATE_EPOCH={EPOCH}",)
    assert one.build("oci", *options) == two.build("oci", *options)


def test_the_time_may_come_from_the_environment_or_an_option_of_the_output(tmp_path: Path, base: Path) -> None:
    one, two = Site(tmp_path, ONE, base), Site(tmp_path, TWO, base)
    given = f"type=image,rewrite-timestamp=true,source-date-epoch={EPOCH}"
    one.program = Program(store=one.program.store, variables=(*ONE.variables, ("SOURCE_DATE_EPOCH", EPOCH)))
    assert one.build("oci") == two.build("oci", "-o", given, f"--build-arg=SOURCE_DATE_EPOCH={EPOCH}")


@pytest.mark.parametrize("options", [("--format=docker",), ("--compression=zstd",), ("--compression=gzip,9",)])
def test_other_forms_are_the_same_too(tmp_path: Path, base: Path, options: tuple[str, ...]) -> None:
    options = (*options, f"--build-arg=SOURCE_DATE_EPOCH={EPOCH}")
    assert Site(tmp_path, ONE, base).build("oci", *options) == Site(tmp_path, TWO, base).build("oci", *options)


def test_no_file_of_a_new_layer_is_younger_and_the_base_stays(tmp_path: Path, base: Path) -> None:
    site = Site(tmp_path, ONE, base)
    site.build("oci", f"--build-arg=SOURCE_DATE_EPOCH={EPOCH}")
    with tarfile.open(base) as tar:
        below = {name for name in tar.getnames() if name.startswith("blobs/sha256/")}
    times = []
    with tarfile.open(site.directory / "out-oci") as tar:
        for member in tar:
            if member.name in below or not member.isfile():
                continue
            content = tar.extractfile(member)
            assert content is not None
            raw = content.read()
            if raw[:2] == b"\x1f\x8b":
                with tarfile.open(fileobj=io.BytesIO(raw)) as layer:
                    times += [entry.mtime for entry in layer]
    assert times
    assert max(times) == int(EPOCH)


def test_another_file_gives_other_bytes(tmp_path: Path, base: Path) -> None:
    options = (f"--build-arg=SOURCE_DATE_EPOCH={EPOCH}",)
    other = Site(tmp_path, TWO, base, {**FILES, "tree/a/one": "2\n"})
    assert Site(tmp_path, ONE, base).build("oci", *options) != other.build("oci", *options)


@pytest.mark.parametrize("kind", OUTPUTS)
def test_without_the_time_the_bytes_differ(tmp_path: Path, base: Path, kind: str) -> None:
    assert Site(tmp_path, ONE, base).build(kind) != Site(tmp_path, TWO, base).build(kind)
