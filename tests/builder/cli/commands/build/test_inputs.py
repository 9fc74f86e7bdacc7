"""An archive on standard input as the build context."""

import bz2
import gzip
import io
import lzma
import os
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from subprocess import run

import pytest

from pybuild.builder.cli import main as cli
from tests.builder.cli.test_main import python
from tests.helpers.disks import small_disk
from tests.helpers.hosts import need_root


def archive(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_a_full_disk_of_temporary_files_is_not_blamed_on_a_file_of_the_archive(tmp_path: Path) -> None:
    need_root()
    command = [sys.executable, "-c", "from pybuild.builder.cli import main; main.main()", "build", "-"]
    with small_disk(tmp_path / "small", "1m") as disk:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(cli.__file__).parents[3]),
            "PYBUILD_ROOT": str(tmp_path / "store"),
            "TMPDIR": str(disk),
        }
        given = archive(Dockerfile=b"FROM scratch\n", big=bytes(3 << 20))
        done = run(command, input=given, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (3, b"")
    message = f"ERROR: no space left in {disk}, the directory of temporary files\nhint: $TMPDIR selects another"
    assert done.stderr.decode().startswith(message)


FROM_STDIN = """
import sys
from pybuild.builder.cli import main as cli
from pybuild.builder.cli.tools import Tools
from tests.builder.cli.test_main import Fake
from pathlib import Path
fake = Fake(Path("store"))
def build(request, machine, progress):
    names = sorted(str(path.relative_to(request.files.context)) for path in request.files.context.rglob("*"))
    print(request.files.dockerfile and request.files.dockerfile.read_text(), names)
    return fake.build(request, machine, progress)
code = cli.run(sys.argv[1:] or ARGUMENTS, Tools(open_store=fake.open_store, build=build))
print(code, [path.exists() for path in (fake.requests[0].files.context, fake.requests[0].files.dockerfile or Path())])
"""


@pytest.fixture
def from_stdin(tmp_path: Path) -> Callable[[bytes, list[str]], str]:
    def build(stdin: bytes, arguments: list[str]) -> str:
        done = python(FROM_STDIN.replace("ARGUMENTS", repr(arguments)), stdin=stdin, cwd=tmp_path)
        return done.stdout.decode() or done.stderr.decode()

    return build


def test_a_dockerfile_on_standard_input_has_an_empty_context(from_stdin: Callable[[bytes, list[str]], str]) -> None:
    assert from_stdin(b"FROM a\n", ["-t", "x", "-"]) == "FROM a\n []\n0 [False, False]\n"


@pytest.mark.parametrize("file", ["Other", "http://a.invalid/Dockerfile"])
def test_a_dockerfile_on_standard_input_and_another_one_are_ambiguous(
    from_stdin: Callable[[bytes, list[str]], str], file: str
) -> None:
    assert "ERROR: ambiguous Dockerfile source: both stdin and flag" in from_stdin(b"FROM a\n", ["-f", file, "-"])
    assert "ERROR: ambiguous Dockerfile source: both stdin and flag" in from_stdin(
        b"FROM a\n", ["--check", "-f", file, "-"]
    )


def test_a_dockerfile_on_standard_input_with_a_directory(
    from_stdin: Callable[[bytes, list[str]], str], tmp_path: Path
) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "file").touch()
    assert from_stdin(b"FROM a\n", ["-f", "-", "context"]) == "FROM a\n ['file']\n0 [True, False]\n"


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_an_archive_on_standard_input_may_be_compressed(
    from_stdin: Callable[[bytes, list[str]], str], compress: Callable[[bytes], bytes]
) -> None:
    from tests.helpers.images import tar_of

    archive = compress(tar_of({"Dockerfile": b"FROM a\n"}))
    assert from_stdin(archive, ["-"]) == "None ['Dockerfile']\n0 [False, True]\n"
    assert "ERROR: " in from_stdin(archive[: len(archive) // 2], ["-"])


def test_an_archive_on_standard_input_is_the_context(
    from_stdin: Callable[[bytes, list[str]], str], tmp_path: Path
) -> None:
    from tests.helpers.images import tar_of

    archive = tar_of({"Dockerfile": b"FROM a\n", "sub/D": b"FROM b\n"}, {"evil": "/etc/hostname"})
    names = "['Dockerfile', 'evil', 'sub', 'sub/D']"
    assert from_stdin(archive, ["-"]) == f"None {names}\n0 [False, True]\n"
    assert from_stdin(archive, ["-f", "sub/D", "-"]) == f"FROM b\n {names}\n0 [False, False]\n"
    assert "failed to read dockerfile" in from_stdin(archive, ["-f", "evil", "-"])
