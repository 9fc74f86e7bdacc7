"""Exit codes of wrong command lines: commands about containers have those of docker, the others have 2."""

import pytest

from tests.builder.cli.conftest import Shop


@pytest.mark.parametrize(
    "line",
    [
        *("ps --bogus", "stop --bogus c1", "create --bogus box", "volume create --bogus", "network create --bogus x"),
        *(
            "run --name",
            "stop -t x c1",
            "ps -n x",
            "run --sig-proxy=odd box",
        ),
        "create --rm --restart always box",
    ],
)
def test_a_wrong_flag(shop: Shop, line: str) -> None:
    assert shop.run(*line.split()).code == 125


@pytest.mark.parametrize(
    "line",
    [
        *(
            "rm",
            "logs",
            "logs a b",
            "exec c1",
            "rename a",
            "volume rm",
            "volume create a b",
            "network connect a",
            "run",
        ),
        *("container bogus", "volume bogus", "cp a b", "cp x:/a y:/b", "start", "container prune --filter bogus=1 -f"),
        *("events --since bogus --until 0s", "run -d -a stdout box true", "ps --format {{.Bogus"),
    ],
)
def test_a_wrong_number_of_arguments_and_what_else_is_refused(shop: Shop, line: str) -> None:
    assert shop.run(*line.split()).code == 1


@pytest.mark.parametrize("line", ["volume inspect -f {{.Bogus v", "events --format {{.Bogus"])
def test_a_template_that_cannot_be_parsed(shop: Shop, line: str) -> None:
    shop.run("volume", "create", "v")
    assert shop.run(*line.split()).code == 64


@pytest.mark.parametrize("line", ["images --bogus", "tag a", "build --bogus .", "bogus"])
def test_other_commands(shop: Shop, line: str) -> None:
    assert shop.run(*line.split()).code == 2


def test_a_group_without_a_command_shows_its_help(shop: Shop) -> None:
    assert [shop.run(name).code for name in ("volume", "network", "container")] == [0, 0, 0]


def test_a_relative_working_directory_is_refused(shop: Shop) -> None:
    done = shop.run("create", "-w", "relative", "box")
    assert (done.code, "needs to be an absolute path" in done.err) == (1, True), done.err
