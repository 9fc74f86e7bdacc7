"""What a shell may complete."""

from pathlib import Path

import click
import pytest

from pybuild.builder.cli.flags.completion_types import DIRECTORY, FILE, IMAGE, STAGE
from tests.builder.cli.conftest import Shop

TEXT = "FROM a AS build\nfrom b as Build-2\nRUN echo FROM c AS no\nFROM d\n"


def context(**params: object) -> click.Context:
    made = click.Context(click.Command("build"))
    made.params = params
    return made


def completed(kind: click.ParamType, ctx: click.Context, text: str = "") -> list[str]:
    return [item.value for item in kind.shell_complete(ctx, click.Option(["--x"]), text)]


def test_stages_are_those_of_the_dockerfile_that_the_line_names(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(TEXT)
    (tmp_path / "other").write_text("FROM a AS other\n")
    assert completed(STAGE, context(context=str(tmp_path))) == ["build", "Build-2"]
    assert completed(STAGE, context(context=str(tmp_path)), "b") == ["build"]
    assert completed(STAGE, context(file=str(tmp_path / "other"))) == ["other"]


def test_without_a_dockerfile_there_is_no_stage_and_no_error(tmp_path: Path) -> None:
    assert completed(STAGE, context(context=str(tmp_path))) == []


def test_images_are_those_of_the_store(shop: Shop) -> None:
    shop.image("tiny:1")
    shop.image("other:1")
    assert completed(IMAGE, context(root=str(shop.store.root)), "ti") == ["tiny:1"]


def test_a_store_that_cannot_be_read_completes_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text("{")
    assert completed(IMAGE, context(root=str(tmp_path))) == []


@pytest.mark.parametrize(("kind", "name"), [(FILE, "file"), (DIRECTORY, "dir")])
def test_files_and_directories_are_left_to_the_shell(kind: click.ParamType, name: str) -> None:
    (item,) = kind.shell_complete(context(), click.Option(["--x"]), "some/pa")
    assert (item.type, item.value) == (name, "some/pa")
