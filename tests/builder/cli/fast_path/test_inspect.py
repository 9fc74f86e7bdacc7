from pybuild.builder.cli.fast_path import inspect
from tests.builder.cli.commands.container.conftest import pen
from tests.builder.cli.conftest import Shop
from tests.builder.cli.fast_path.both import assert_alike, started

__all__ = ["pen"]

USUAL = [
    "inspect one",
    "inspect one one",
    "inspect --type container one",
    "inspect -f '{{.State.Status}} {{.Config.Labels.x}} {{.State.Health}}' one",
    "inspect one --format=json",
    "inspect --format '{{json .Config}}' one",
]
OTHERS = [
    "inspect box",
    "inspect one box",
    "inspect",
    "inspect -s one",
    "inspect --type image box",
    "inspect nothing",
    "inspect -f '{{.Nothing}}' one",
    "inspect -f '{{' one",
]


def test_every_line_gives_the_same_with_click(pen: Shop) -> None:
    assert_alike(started(pen), inspect, USUAL, OTHERS)
