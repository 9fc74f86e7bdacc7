from pathlib import Path

from pybuild.builder.outputs.oci import OciOutput
from pybuild.builder.outputs.options import read


def test_an_archive_is_a_file_and_a_layout_is_none() -> None:
    archive, layout = (OciOutput.parse(read(f"type=oci,dest=x,tar={tar}")) for tar in ("1", "F"))
    assert (archive.file, archive.streams) == (Path("x"), False)
    assert (layout.file, layout.streams) == (None, False)
    assert OciOutput().streams


def test_it_takes_several_platforms_and_targets() -> None:
    assert (OciOutput.one_platform, OciOutput.rootfs, OciOutput.together) == ("", "", True)
