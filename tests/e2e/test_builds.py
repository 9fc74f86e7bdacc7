"""Each directory of testdata/builds gives what its expect.toml says, and costs nothing the second time."""

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.layout import Layout
from pybuild.builder.oci.validate import validate
from tests.helpers import cases, configs, trees
from tests.helpers.lab import BuiltCase, Lab
from tests.helpers.watch import opened_files

NAMES = cases.names()
SUCCEED = [name for name in NAMES if not cases.load(name).fails]
NOT_THE_USERS_FAULT = {0, 3, 70}
RUN = [name for name in SUCCEED if cases.load(name).prints]


@pytest.mark.parametrize("name", cases.parameters(NAMES))
def test_build_gives_what_is_expected(lab: Lab, name: str) -> None:
    built = lab.case(name)
    for text in built.case.output:
        assert text in built.first.printed
    if built.case.fails:
        assert built.first.exit_code not in NOT_THE_USERS_FAULT, built.first.printed
        assert built.case.fails in built.first.printed
        return
    assert built.image is not None, built.first.printed
    _check_config(built)
    _check_tree(lab, built)
    assert _problems(lab, name) == []


@pytest.mark.drawn
@pytest.mark.parametrize("name", cases.parameters(SUCCEED))
def test_second_run_executes_nothing_and_reads_no_source(lab: Lab, name: str) -> None:
    built = lab.case(name)
    before = _image(lab, name)
    with opened_files(built.directory) as opened:
        again = lab.build_again(built)
    assert again.exit_code == 0, again.printed
    assert again.executed == []
    assert {path for path in opened if not path.endswith((built.dockerfile.name, ".dockerignore"))} == set()
    assert _image(lab, name) == before


@pytest.mark.parametrize("name", cases.parameters(RUN))
def test_image_runs(lab: Lab, name: str) -> None:
    built = lab.case(name)
    assert built.image is not None, built.first.printed
    result = lab.program.run("run", "--rm", name, *built.case.run)
    assert built.case.prints in result.stdout


def _check_config(built: BuiltCase) -> None:
    assert built.image is not None
    wanted = built.case.config
    found = configs.settings(built.image.config)
    assert (found if built.case.base != "bookworm" else {key: found.get(key) for key in wanted}) == wanted


def _check_tree(lab: Lab, built: BuiltCase) -> None:
    """A small base: exactly these lines. Debian: at least these."""
    assert built.image is not None
    found = trees.lines(built.image.tree, lab.base_tree(built.case))
    wanted = dict(built.case.tree)
    if built.case.base == "bookworm":
        found = {path: found.get(path, "as in the base") for path in wanted}
    short = {path: _cut(line, wanted.get(path, "")) for path, line in found.items()}
    assert short == wanted


def _cut(found: str, wanted: str) -> str:
    """Leave the content out of a line where the expectation has none."""
    first_words = " ".join(found.split(" ")[:2])
    return first_words if wanted == first_words else found


def _image(lab: Lab, name: str) -> str:
    entry = Layout(lab.program.store).resolve(f"docker.io/library/{name}:latest")
    assert entry is not None
    return str(entry.digest)


def _problems(lab: Lab, name: str) -> list[str]:
    descriptor = Layout(lab.program.store).resolve(f"docker.io/library/{name}:latest")
    assert descriptor is not None
    return validate(BlobStore(lab.program.store), descriptor)
