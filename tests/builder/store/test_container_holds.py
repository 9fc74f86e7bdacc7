from pathlib import Path

import pytest

from pybuild.builder.errors import StoreError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.store.container_holds import Hold, holds, read_hold, write_hold

HOLD = Hold(
    image=Descriptor(media_type="m", digest=Digest.parse("sha256:" + "1" * 64), size=7), snapshot="sha256:" + "2" * 64
)


def test_what_containers_hold_is_found(tmp_path: Path) -> None:
    assert list(holds(tmp_path)) == []
    for name in ("a" * 64, "tmp-x", "names"):
        (tmp_path / "containers" / name).mkdir(parents=True)
        write_hold(tmp_path / "containers" / name, HOLD)
    (tmp_path / "containers" / ("b" * 64)).mkdir()
    assert list(holds(tmp_path)) == [("a" * 64, HOLD)]


@pytest.mark.parametrize("text", ["", "{}", '{"image": {}, "snapshot": ""}', "[]"])
def test_nothing_is_removed_when_it_cannot_be_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "holds.json").write_text(text)
    with pytest.raises(StoreError, match=r"holds\.json is damaged"):
        read_hold(tmp_path)
