"""Files that can be read only once."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.definition.pipes import held_descriptors, read_pipes
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Request, Secret


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """A named pipe that one reader can read ``value`` from."""
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb") as file:
            file.write(b"value")

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    yield path
    writer.join(30)
    assert not writer.is_alive()


def secrets(request: Request) -> list[Path]:
    return [secret.file for secret in request.execution.secrets if secret.file is not None]


def test_a_pipe_can_be_read_again_and_again(pipe: Path, tmp_path: Path) -> None:
    request = Request.of(context=tmp_path, secrets=(Secret(id="s", file=pipe),))
    with read_pipes(request) as readable:
        (path,) = secrets(readable)
        assert [path.read_bytes() for _ in range(3)] == [b"value"] * 3
        (descriptor,) = held_descriptors(readable.files, readable.execution.secrets)
        assert os.path.samestat(os.fstat(descriptor), path.stat())
    assert not path.exists()


def test_a_regular_file_and_a_variable_stay(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("value")
    request = Request.of(context=tmp_path, ignore_file=file, secrets=(Secret(id="v", variable="V"),))
    with read_pipes(request) as readable:
        assert readable == request
        assert held_descriptors(readable.files, readable.execution.secrets) == ()


def test_an_ignore_file_may_be_a_pipe(pipe: Path, tmp_path: Path) -> None:
    with read_pipes(Request.of(context=tmp_path, ignore_file=pipe)) as readable:
        assert readable.files.ignore_file is not None
        assert readable.files.ignore_file.read_text() == "value"


def test_a_missing_file_is_left_to_who_reads_it(tmp_path: Path) -> None:
    request = Request.of(context=tmp_path, secrets=(Secret(id="s", file=tmp_path / "gone"),))
    with read_pipes(request) as readable:
        assert secrets(readable) == [tmp_path / "gone"]


def test_a_directory_and_an_endless_file_are_errors(tmp_path: Path) -> None:
    for path, message in ((tmp_path, "[Ii]s a directory"), (Path("/dev/zero"), "longer than 500 KiB")):
        request = Request.of(context=tmp_path, secrets=(Secret(id="s", file=path),))
        with pytest.raises(RequestError, match=message), read_pipes(request):
            pass
