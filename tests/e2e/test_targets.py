"""Several targets of one Dockerfile in one build."""

import json
from pathlib import Path

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.program import Program

TEXT = """
    FROM small AS made
    RUN echo shared > /shared && cat /proc/sys/kernel/random/uuid >> /shared
    FROM small AS one
    COPY --from=made /shared /one
    FROM made AS two
    RUN cp /shared /two
    FROM small AS unused
    RUN false
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return write_context(tmp_path / "context", {"Dockerfile": TEXT})


@pytest.mark.parametrize("options", [(), ("--no-cache",)])
def test_stages_that_several_targets_share_are_built_once(
    program: Program, context: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    ids, about = tmp_path / "ids", tmp_path / "metadata.json"
    files = (f"--iidfile={ids}", f"--metadata-file={about}")
    built = program.build(context, "--target=one", "--target=two=other:1", *files, *options)
    assert len(built.executed) == 3
    shown = [
        program.run("run", "--rm", name, "cat", path).stdout for name, path in (("built", "/one"), ("other:1", "/two"))
    ]
    assert shown[0] == shown[1]
    documents = json.loads(about.read_text())
    assert list(documents) == ["one", "two"]
    assert ids.read_text().split() == [documents[stage]["containerimage.config.digest"] for stage in ("one", "two")]
    again = program.build(context, "--target=one", "--target=two=other:1")
    assert (again.executed, len(again.cached)) == ([], 3)


def test_a_tree_is_that_of_one_target(program: Program, context: Path, tmp_path: Path) -> None:
    place = f"--output=type=tar,dest={tmp_path / 'x.tar'}"
    built = program.build(context, "--target=one", "--target=two=other:1", place, check=False)
    assert built.exit_code == 2
    assert "--output type=tar takes one target" in built.printed
    assert not (tmp_path / "x.tar").exists()


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_an_archive_holds_the_images_of_all_targets(program: Program, context: Path, tmp_path: Path, kind: str) -> None:
    archive, other = tmp_path / "x.tar", Program(store=tmp_path / "other")
    options = f"type={kind},dest={archive},oci-mediatypes=false"
    program.build(context, "--target=one", "--target=two=other:1", "-o", options)
    other.run("load", "-i", str(archive))
    shown = [
        other.run("run", "--rm", name, "cat", path).stdout for name, path in (("built", "/one"), ("other:1", "/two"))
    ]
    assert shown[0] == shown[1]


def test_a_layout_holds_the_images_of_all_targets(program: Program, context: Path, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    program.build(context, "--target=one", "--target=two=other:1", "-o", f"type=oci,tar=false,dest={layout}")
    entries = json.loads((layout / "index.json").read_text())["manifests"]
    names = [entry["annotations"]["io.containerd.image.name"] for entry in entries]
    assert names == ["docker.io/library/built:latest", "docker.io/library/other:1"]
    assert [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in entries] == ["latest", "1"]
