"""A command in an image as a program runs it."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

import pybuild
from pybuild import errors
from pybuild.builder.oci.model import ContainerConfig
from pybuild.builder.request import Volume
from tests.helpers import bases
from tests.helpers.hosts import need_root, need_small_base
from tests.helpers.images import tiny_image
from tests.helpers.program import Program


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pybuild.Store]:
    need_root()
    need_small_base()
    root = tmp_path_factory.mktemp("run") / "store"
    Program(store=root).import_tar(bases.small(), "small")
    with pybuild.Store.open(root) as opened:
        yield opened


def test_a_command_prints_to_its_caller_and_its_code_is_returned(store: pybuild.Store, tmp_path: Path) -> None:
    (tmp_path / "shown").write_text("of the host\n")
    printed: list[tuple[int, bytes]] = []
    code = pybuild.run(
        "small",
        pybuild.Command(
            words=("sh", "-c", "cat /shown; echo $NAME >&2; pwd; exit 3"),
            env=(("NAME", "value"),),
            workdir="/tmp",
            network="none",
            volumes=(Volume(host_path=tmp_path / "shown", target=PurePosixPath("/shown"), read_only=True),),
        ),
        store,
        lambda *piece: printed.append(piece),
    )
    text = {number: b"".join(data for stream, data in printed if stream == number) for number in (1, 2)}
    assert (code, text) == (3, {1: b"of the host\n/tmp\n", 2: b"value\n"})


def test_what_cannot_be_run_is_an_error_of_ours(store: pybuild.Store) -> None:
    assert pybuild.run("small", ["/missing"], store) == 127
    with pytest.raises(errors.RequestError, match="network mode 'nonne'"):
        pybuild.Command(network="nonne")
    store.layout.tag(
        "docker.io/library/bare:latest", tiny_image(store.blobs, {"x": b""}, container=ContainerConfig()).descriptor
    )
    with pytest.raises(errors.RequestError, match="no command specified"):
        pybuild.run("bare", [], store)


def test_a_cancelled_command_is_killed(store: pybuild.Store) -> None:
    cancel = pybuild.Cancel()

    def cancel_at_once(_stream: int, _data: bytes) -> None:
        cancel.cancel()

    with pytest.raises(errors.Cancelled):
        pybuild.run("small", ["sh", "-c", "echo begun; sleep 600"], store, cancel_at_once, cancel=cancel)
