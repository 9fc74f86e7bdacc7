import pytest

from pybuild.builder.cli.fast_path import exec as usual_exec
from tests.builder.cli.commands.container.conftest import pen
from tests.builder.cli.conftest import Shop
from tests.builder.cli.fast_path.both import assert_alike, started

__all__ = ["pen"]

USUAL = [
    *("exec one true", "exec one sh -c 'exit 3'", "exec -u alice -w /tmp -e A=1 -e B one env", "exec one nosuch"),
    *("exec -w /nosuch one true", "exec -u nosuch one true", "exec --env HOME one env", "exec -d one true"),
]
OTHERS = [
    *("exec nosuch true", "exec one", "exec two true", "exec -it one true", "exec -e =x one true"),
    *("exec --env-file /dev/null one true", "exec --tty=maybe one true"),
]


def test_every_line_gives_the_same_with_click(pen: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("B", "outside")
    assert_alike(started(pen), usual_exec, USUAL, OTHERS)
