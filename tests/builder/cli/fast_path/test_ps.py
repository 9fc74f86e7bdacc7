from pybuild.builder.cli.fast_path import ps
from tests.builder.cli.commands.container.conftest import pen
from tests.builder.cli.conftest import Shop
from tests.builder.cli.fast_path.both import assert_alike, started

__all__ = ["pen"]

USUAL = [
    "ps",
    "ps -a",
    "ps -aq",
    "ps -q --no-trunc",
    "ps --all --quiet",
    "ps -f name=one",
    "ps -aqf name=t -f status=exited --filter exited=0",
    "ps -q --filter status=running -f label=x",
    "ps -af since=one -f network=bridge",
    "ps -f publish=80",
    "ps --format '{{.Names}}'",
    "ps -a --format 'table {{.Names}}\t{{.State}}' --no-trunc",
    "ps --format json",
]
OTHERS = [
    "ps x",
    "ps -n 1",
    "ps -s",
    "ps -f ancestor=box",
    "ps -f name",
    "ps -f nothing=1",
    "ps -f status=wrong",
    "ps -f before=none",
    "ps -f ''",
    "ps -q --format '{{.ID}}'",
    "ps --format '{{.Size}}'",
    "ps -a --format '{{.Nothing}}'",
    "ps -a --format '{{.'",
]


def test_every_line_gives_the_same_with_click(pen: Shop) -> None:
    assert_alike(started(pen), ps, USUAL, OTHERS)


def test_a_container_that_lost_its_monitor_is_settled_by_ps(pen: Shop) -> None:
    pen.run("create", "--name", "one", "box")
    state = next(pen.store.root.glob("containers/*/config.json")).with_name("state.json")
    state.write_text('{"Status": "running", "Pid": 0, "Boot": "another"}', encoding="ascii")
    assert pen.run("exec", "one", "true").code == 1
    assert pen.run("ps", "-q").out == ""
    assert '"exited"' in state.read_text(encoding="ascii").replace(" ", "")
