"""Images that are changed without a build: what others see in them, and that they run."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from tests.helpers import trees
from tests.helpers.contexts import write_context
from tests.helpers.lab import Lab
from tests.helpers.program import Program

NAMES = (
    "run-deletes",
    "run-opaque-folders",
    "run-hard-links",
    "run-hard-links-across-layers",
    "run-special-files",
    "copy-capabilities",
    "copy-unusual-names",
    "copy-modes-and-times",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_flat_image_has_the_tree_and_the_config_of_the_image(lab: Lab, name: str, tmp_path: Path) -> None:
    built = lab.case(name)
    assert built.image is not None, built.first.printed
    lab.program.run("flatten", name, "-t", f"{name}:flat")
    flat = trees.read_archive(lab.program.save(f"{name}:flat", tmp_path / "flat.tar"))
    assert len(flat.diff_ids) == 1
    assert flat.config["config"] == built.image.config["config"]
    assert list(trees.differences(built.image.tree, flat.tree, started=1 << 62)) == []


def test_an_image_on_another_base_runs_with_the_files_of_both(program: Program, tmp_path: Path) -> None:
    base = write_context(tmp_path / "base", {"Dockerfile": "FROM small\nARG V\nENV LEVEL=$V\nRUN echo $V > /version\n"})
    app = write_context(tmp_path / "app", {"Dockerfile": "FROM base:1\nRUN echo app > /app\nCMD cat /version /app\n"})
    for version in ("1", "2"):
        program.build(base, "--build-arg", f"V={version}", tag=f"base:{version}")
    program.build(app, tag="app:1")
    program.run("rebase", "app:1", "--old-base", "base:1", "--onto", "base:2", "-t", "app:2")
    assert program.run("run", "app:2").stdout == "2\napp\n"
    assert program.run("run", "app:2", "sh", "-c", "echo $LEVEL").stdout == "1\n"
    refused = program.run("rebase", "app:1", "--old-base", "base:2", "--onto", "base:1", check=False)
    assert (refused.returncode, "is not based on base:2" in refused.stderr) == (2, True)


def test_a_changed_image_runs_as_it_says(program: Program, tmp_path: Path) -> None:
    (tmp_path / "layer" / "etc").mkdir(parents=True)
    (tmp_path / "layer" / "etc" / "greeting").write_text("hello\n")
    archive = tmp_path / "layer.tar.gz"
    subprocess.run(["tar", "-czf", os.fspath(archive), "-C", os.fspath(tmp_path / "layer"), "etc"], check=True)
    flags = ["-e", "A=1", "--workdir", "/etc", "--cmd", '["sh", "-c", "echo $A; cat greeting"]']
    program.run("mutate", "small", "-t", "new", *flags, "--append", os.fspath(archive))
    assert program.run("run", "new").stdout == "1\nhello\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_diff_names_what_the_archives_of_both_images_differ_in(lab: Lab, name: str) -> None:
    built = lab.case(name)
    assert built.image is not None, built.first.printed
    printed = lab.program.run("diff", "--only", "files", "--format", "json", built.case.base, name).stdout
    found = {change["path"]: change["kind"] for change in json.loads(printed)["files"]}
    base = {path: replace(node, same="") for path, node in lab.base_tree(built.case).items() if path != "/"}
    tree = {path: replace(node, same="") for path, node in built.image.tree.items() if path != "/"}
    gone = trees.removed(tree, base)
    expected = {path: "C" if path in base else "A" for path in trees.changed(tree, base)} | dict.fromkeys(gone, "D")
    above = {str(directory) for path in expected for directory in PurePosixPath(path).parents}
    marked = dict.fromkeys(above & base.keys(), "C")
    assert found == marked | expected
