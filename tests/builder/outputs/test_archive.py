from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.outputs.archive import is_layout, write_archive
from pybuild.builder.outputs.options import read
from pybuild.builder.store.store import open_store


@pytest.mark.parametrize("given", ["type=oci,tar=0", "type=docker,dest=-,tar=f"])
def test_a_layout_needs_a_directory(given: str) -> None:
    with pytest.raises(RequestError, match="tar=false is for type=oci with dest=DIR"):
        is_layout(read(given))


def test_a_layout_is_not_written_to_standard_output(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(RequestError, match="needs dest"):
        write_archive([], None, store, layout=True)
    store.close()
