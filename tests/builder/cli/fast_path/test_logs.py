from pybuild.builder.cli.fast_path import logs
from tests.builder.cli.commands.container.conftest import pen
from tests.builder.cli.conftest import Shop
from tests.builder.cli.fast_path.both import assert_alike, started

__all__ = ["pen"]

USUAL = ["logs one", "logs -t one", "logs -n 1 one", "logs one --tail 2", "logs --tail all two", "logs -f two"]
OTHERS = ["logs nosuch", "logs --tail=odd one", "logs", "logs one two", "logs --since 1h one", "logs --details two"]


def test_every_line_gives_the_same_with_click(pen: Shop) -> None:
    assert_alike(started(pen), logs, USUAL, OTHERS)
