import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.layout import CONTAINERD_NAME, REF_NAME, Layout
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.validate import validate_store
from tests.helpers.images import tiny_image

APP, OTHER = "docker.io/library/app:latest", "example.com/other:1.0"


def named(text: str) -> Descriptor:
    return Descriptor(media_type=media.OCI_MANIFEST, digest=Digest.of(text.encode()), size=len(text))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


def test_a_layout_that_does_not_exist_yet_is_empty(layout: Layout) -> None:
    assert layout.resolve(APP) is None
    assert layout.entries() == ()
    assert not layout.untag(APP)


def test_a_name_leads_to_its_image(layout: Layout) -> None:
    layout.tag(APP, named("a"))
    assert layout.resolve(APP) == named("a")
    assert layout.resolve(OTHER) is None
    layout.tag(APP, named("b"))
    assert layout.resolve(APP) == named("b")
    assert layout.entries() == ((APP, named("b")),)


def test_an_image_may_have_several_names(layout: Layout) -> None:
    layout.tag(APP, named("a"))
    layout.tag(OTHER, named("a"))
    assert layout.entries() == ((APP, named("a")), (OTHER, named("a")))
    assert layout.untag(APP)
    assert not layout.untag(APP)
    assert layout.entries() == ((OTHER, named("a")),)


def test_an_image_without_a_name_is_listed_until_it_gets_one(layout: Layout) -> None:
    layout.keep(named("a"))
    layout.keep(named("a"))
    assert layout.entries() == (("", named("a")),)
    layout.tag(APP, named("a"))
    layout.keep(named("a"))
    assert layout.entries() == ((APP, named("a")),)


def test_dropping_an_image_removes_all_its_names(layout: Layout) -> None:
    layout.tag(APP, named("a"))
    layout.tag(OTHER, named("a"))
    layout.keep(named("b"))
    assert layout.drop(named("a").digest)
    assert not layout.drop(named("a").digest)
    assert layout.entries() == (("", named("b")),)


def test_the_files_are_those_of_the_specification(layout: Layout) -> None:
    layout.tag(APP, named("a"))
    assert json.loads((layout.root / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((layout.root / "index.json").read_bytes())
    assert index["schemaVersion"] == 2
    assert index["manifests"][0]["annotations"] == {CONTAINERD_NAME: APP, REF_NAME: APP}
    assert {path.name for path in layout.root.iterdir()} == {"oci-layout", "index.json"}


@pytest.mark.parametrize(
    ("name", "ref"),
    [
        ("docker.io/library/app:1", "1"),
        ("localhost:5000/team/app:v1.2-x", "v1.2-x"),
        (f"docker.io/library/app@sha256:{'0' * 64}", f"@sha256:{'0' * 64}"),
        (f"docker.io/library/app:1@sha256:{'0' * 64}", f"1@sha256:{'0' * 64}"),
    ],
)
def test_a_layout_for_other_tools_names_images_by_tag(tmp_path: Path, name: str, ref: str) -> None:
    layout = Layout(tmp_path / "out", exported=True)
    layout.tag(name, named("old"))
    layout.tag(name, named("a"))
    index = json.loads((layout.root / "index.json").read_bytes())
    assert [entry["annotations"] for entry in index["manifests"]] == [{CONTAINERD_NAME: name, REF_NAME: ref}]
    assert layout.named(ref) == layout.named(name) == (named("a"),)


def test_a_mere_tag_is_no_name_for_containerd(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "out", exported=True)
    layout.tag("1", named("a"))
    index = json.loads((layout.root / "index.json").read_bytes())
    assert index["manifests"][0]["annotations"] == {REF_NAME: "1"}


def test_images_of_several_repositories_may_have_one_tag(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "out", exported=True)
    layout.tag("docker.io/library/app:1", named("a"))
    layout.tag("docker.io/library/other:1", named("b"))
    layout.tag("example.com/app:1", named("b"))
    assert layout.named("1") == (named("a"), named("b"))
    assert layout.named("docker.io/library/app:1") == (named("a"),)


def test_what_other_tools_put_in_stays(layout: Layout) -> None:
    layout.tag(APP, named("a"))
    index = json.loads((layout.root / "index.json").read_bytes())
    foreign = {
        "mediaType": "x/y",
        "digest": str(named("f").digest),
        "size": 1,
        "annotations": {REF_NAME: "1.0", "k": "v"},
    }
    index["manifests"].append(foreign)
    index["annotations"] = {"who": "else"}
    (layout.root / "index.json").write_text(json.dumps(index))
    layout.tag(OTHER, named("b"))
    layout.untag(APP)
    after = json.loads((layout.root / "index.json").read_bytes())
    assert after["manifests"][0] == foreign
    assert after["annotations"] == {"who": "else"}


def test_the_annotations_of_an_image_stay_with_its_name(layout: Layout) -> None:
    annotated = Descriptor(media_type=media.OCI_MANIFEST, digest=Digest.of(b"a"), size=1, annotations={"k": "v"})
    layout.tag(APP, annotated)
    assert layout.resolve(APP) == annotated


def test_a_directory_that_is_something_else_is_refused(layout: Layout) -> None:
    layout.root.mkdir()
    (layout.root / "oci-layout").write_text("my notes")
    with pytest.raises(InvalidImage):
        layout.tag(APP, named("a"))
    assert (layout.root / "oci-layout").read_text() == "my notes"


def too_long(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, too_long, lambda path: path.symlink_to("/dev/zero")])
def test_an_index_that_is_no_file_is_refused_at_once(layout: Layout, make: Callable[[Path], None]) -> None:
    layout.root.mkdir()
    make(layout.root / "index.json")
    with pytest.raises(InvalidImage, match="not a regular file of at most"):
        layout.entries()


def test_a_damaged_index_is_named_with_a_way_out(layout: Layout) -> None:
    layout.root.mkdir()
    (layout.root / "index.json").write_text("{\n")
    with pytest.raises(InvalidImage) as caught:
        layout.entries()
    assert str(caught.value) == f"{layout.root}/index.json: is not valid JSON (line 2, column 1)"
    assert "restore it, or move it away" in caught.value.hint


def test_no_link_in_the_directory_is_written_through(layout: Layout, tmp_path: Path) -> None:
    layout.root.mkdir()
    (tmp_path / "victim").write_text("kept")
    (layout.root / ".index.json.new").symlink_to(tmp_path / "victim")
    layout.tag(APP, named("a"))
    assert (tmp_path / "victim").read_text() == "kept"
    assert layout.resolve(APP) == named("a")


def test_a_change_that_was_cut_off_is_as_if_it_had_not_begun(layout: Layout) -> None:
    layout.tag(APP, named("a"))
    (layout.root / ".index.json.new").write_bytes(b'{"schemaVersion":2,"mani')
    assert layout.resolve(APP) == named("a")
    layout.tag(OTHER, named("b"))
    assert layout.entries() == ((APP, named("a")), (OTHER, named("b")))


STORM = """
import sys
from pathlib import Path
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.layout import Layout
from pybuild.builder.oci.model import Descriptor
layout = Layout(Path(sys.argv[1]))
for number in range(25):
    name = f"{sys.argv[2]}:{number}"
    layout.tag(name, Descriptor(media_type="x", digest=Digest.of(name.encode()), size=1))
"""


def test_names_given_by_several_processes_at_once_are_all_there(layout: Layout) -> None:
    root = Path(__file__).parents[3]
    crowd = [subprocess.Popen([sys.executable, "-c", STORM, layout.root, who], cwd=root) for who in "abc"]
    assert [process.wait() for process in crowd] == [0, 0, 0]
    assert {name for name, _ in layout.entries()} == {f"{who}:{number}" for who in "abc" for number in range(25)}


def test_a_store_with_names_is_valid(layout: Layout) -> None:
    blobs = BlobStore(layout.root)
    layout.tag(APP, tiny_image(blobs, {"f": b"x"}).descriptor)
    layout.keep(tiny_image(blobs, {"g": b"y"}).descriptor)
    assert validate_store(layout.root) == []
