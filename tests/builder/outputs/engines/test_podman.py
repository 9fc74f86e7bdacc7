from pathlib import Path

import pytest

from pybuild.builder.errors import LoadFailed
from pybuild.builder.oci.image import Image
from pybuild.builder.outputs.engines.podman import Podman
from pybuild.builder.store.store import Store


def _script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("read", ["", "cat > /dev/null; "])
def test_a_refusal_has_the_last_line_of_podman(store: Store, image: Image, tmp_path: Path, read: str) -> None:
    program = _script(tmp_path / "podman", f"{read}echo warning >&2; echo 'Error: the disk is full' >&2; exit 125")
    with pytest.raises(LoadFailed, match=r"^podman refused the image: the disk is full$"):
        Podman(program=program).load([((), image.descriptor)], store, lambda *_: None)


def test_a_podman_that_cannot_be_started(store: Store, image: Image, tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match=r"cannot start .*: no such file or directory"):
        Podman(program=str(tmp_path / "podman")).load([((), image.descriptor)], store, lambda *_: None)
