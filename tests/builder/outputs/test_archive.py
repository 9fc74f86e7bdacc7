from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.outputs.docker import DockerOutput
from pybuild.builder.outputs.oci import OciOutput
from pybuild.builder.outputs.options import read
from pybuild.builder.store.store import open_store


@pytest.mark.parametrize("given", ["tar=0", "dest=-,tar=f"])
@pytest.mark.parametrize("kind", [OciOutput, DockerOutput])
def test_a_layout_needs_a_directory(kind: type[OciOutput | DockerOutput], given: str) -> None:
    with pytest.raises(RequestError, match="tar=false is for type=oci with dest=DIR"):
        kind.parse(read(f"type=oci,{given}"))


def test_a_layout_is_no_file_and_standard_output_is_a_stream(tmp_path: Path) -> None:
    archive, layout, stream = OciOutput(dest=tmp_path), OciOutput(dest=tmp_path, layout=True), DockerOutput()
    assert [each.file for each in (archive, layout, stream)] == [tmp_path, None, None]
    assert [each.streams for each in (archive, layout, stream)] == [False, False, True]


def test_a_layout_is_not_written_to_standard_output(tmp_path: Path) -> None:
    with open_store(tmp_path) as store, pytest.raises(RequestError, match="needs dest"):
        OciOutput(layout=True).write([], store)
