import json
from pathlib import Path

from tests.builder.cli.commands.container.conftest import until
from tests.builder.cli.conftest import Shop

QUICK = ("--health-interval", "100ms", "--health-retries", "2")


def health(pen: Shop, name: str) -> dict[str, object]:
    return json.loads(pen.run("inspect", name).out)[0]["State"].get("Health")  # type: ignore[no-any-return]


def test_a_check_tells_whether_a_container_works(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", *QUICK, "--health-cmd", "cat /ok && echo fine", "box", "sleep", "1000")
    assert "(health: starting)" in pen.run("ps").out or "unhealthy" in pen.run("ps").out
    until(lambda: health(pen, "one")["Status"] == "unhealthy")
    assert "(unhealthy)" in pen.run("ps").out
    pen.run("exec", "one", "touch", "/ok")
    until(lambda: health(pen, "one")["Status"] == "healthy")
    assert "(healthy)" in pen.run("ps").out
    found = health(pen, "one")
    assert found["FailingStreak"] == 0
    log = found["Log"]
    assert isinstance(log, list)
    assert 1 <= len(log) <= 5
    assert (log[-1]["ExitCode"], log[-1]["Output"]) == (0, "fine\n")
    assert pen.run("stop", "-t", "0", "one").code == 0
    assert health(pen, "one")["Status"] == "unhealthy"
    assert pen.run("ps", "-a", "--filter", "health=unhealthy", "--format", "{{.Names}}").lines == ["one"]
    pen.run("start", "one")
    until(lambda: health(pen, "one")["Status"] == "healthy")


def test_one_that_takes_too_long_has_failed(pen: Shop) -> None:
    words = (*QUICK, "--health-timeout", "200ms", "--health-cmd", "echo begun; sleep 100")
    pen.run("run", "-d", "--name", "one", *words, "box", "sleep", "1000")
    until(lambda: health(pen, "one")["Status"] == "unhealthy")
    entry = health(pen, "one")["Log"][-1]  # type: ignore[index]
    assert entry["ExitCode"] == -1
    assert entry["Output"].startswith("Health check exceeded timeout (0.2s)")
    assert len(pen.run("top", "one", "-eo", "pid,args").lines) <= 4


def test_failures_of_the_start_do_not_count(pen: Shop) -> None:
    words = (*QUICK, "--health-start-period", "1h", "--health-start-interval", "50ms", "--health-cmd", "cat /ok")
    pen.run("run", "-d", "--name", "one", *words, "box", "sleep", "1000")
    until(lambda: len(health(pen, "one")["Log"]) == 5)  # type: ignore[arg-type]
    assert (health(pen, "one")["Status"], health(pen, "one")["FailingStreak"]) == ("starting", 0)


def test_a_check_is_run_by_the_shell_of_the_image(pen: Shop, tmp_path: Path) -> None:
    shell = 'SHELL ["/bin/sh", "-c", "echo by $0"]'
    (tmp_path / "Dockerfile").write_text(f"FROM box\n{shell}\nHEALTHCHECK --interval=100ms CMD a b\n")
    assert pen.run("build", "-t", "checked", str(tmp_path)).code == 0
    for name, words, output in (("one", (), "by a b\n"), ("two", (*QUICK, "--health-cmd", "c"), "by c\n")):
        pen.run("run", "-d", "--name", name, *words, "checked", "sleep", "1000")
        until(lambda name=name: health(pen, name)["Status"] == "healthy")  # type: ignore[misc]
        assert health(pen, name)["Log"][-1]["Output"] == output  # type: ignore[index]
    config = json.loads(pen.run("inspect", "one").out)[0]["Config"]
    assert config["Shell"] == ["/bin/sh", "-c", "echo by $0"]


def test_the_check_of_the_image_can_be_switched_off(pen: Shop, tmp_path: object) -> None:
    with open(f"{tmp_path}/Dockerfile", "w", encoding="ascii") as file:
        file.write('FROM box\nHEALTHCHECK --interval=100ms CMD ["true"]\n')
    assert pen.run("build", "-t", "checked", str(tmp_path)).code == 0
    pen.run("run", "-d", "--name", "one", "checked", "sleep", "1000")
    until(lambda: health(pen, "one")["Status"] == "healthy")
    pen.run("run", "-d", "--name", "two", "--no-healthcheck", "checked", "sleep", "1000")
    assert health(pen, "two") is None
    assert pen.run("create", "--no-healthcheck", "--health-cmd", "x", "checked").code == 1
