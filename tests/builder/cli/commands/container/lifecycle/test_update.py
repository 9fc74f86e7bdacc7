"""Other limits and restart policies, for containers that run and for those that do not."""

import json
from pathlib import Path

from tests.builder.cli.commands.container.conftest import LOOP, groups, until
from tests.builder.cli.conftest import Shop


def host_config(pen: Shop, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(pen.run("inspect", name).out)[0]["HostConfig"]
    return found


def limit(identity: str, *names: str) -> str:
    """The content of the first of these files that the groups of a container have."""
    found = [path for top in groups() for name in names if (path := Path(top, identity, name)).exists()]
    return found[0].read_text().strip()


def test_limits_hold_at_once_and_at_the_next_start(pen: Shop) -> None:
    identity = pen.run("run", "-d", "--name", "c1", "-m", "64m", "box", *LOOP).out.strip()
    assert limit(identity, "memory.max", "memory.limit_in_bytes") == str(64 << 20)
    # Both are raised: in whichever order, one of them bounds the other.
    assert pen.run("update", "-m", "128m", "--memory-swap", "128m", "--pids-limit", "50", "c1").out == "c1\n"
    for _ in range(2):
        assert limit(identity, "memory.max", "memory.limit_in_bytes") == str(128 << 20)
        assert limit(identity, "pids.max") == "52"  # with two processes of ours
        pen.run("restart", "-t", "0", "c1")
    found = host_config(pen, "c1")
    assert (found["Memory"], found["MemorySwap"], found["PidsLimit"]) == (128 << 20, 128 << 20, 50)
    pen.run("update", "--pids-limit", "-1", "c1")
    assert limit(identity, "pids.max") == "max"


def test_a_policy_is_followed_by_a_monitor_that_runs(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "c1", "box", "sh", "-c", "while ! test -e /go; do sleep 0.05; done; exit 3")
    assert pen.run("update", "--restart", "on-failure:2", "c1").code == 0
    pen.run("exec", "c1", "touch", "/go")
    until(lambda: pen.run("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "c1").out == "exited 2\n")
    assert host_config(pen, "c1")["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    pen.run("run", "-d", "--name", "c2", "--restart", "always", "box", "sh", "-c", "sleep 0.2")
    assert pen.run("update", "--restart", "no", "c2").code == 0
    until(lambda: pen.run("inspect", "-f", "{{.State.Status}}", "c2").out == "exited\n")


def test_what_does_not_go_together_is_refused(pen: Shop) -> None:
    pen.run("run", "-d", "--rm", "--name", "c1", "--cpus", "1", "box", *LOOP)
    refused = {
        ("--restart", "always"): "AutoRemove is enabled",
        ("--cpu-quota", "5000"): "NanoCPUs has already been set",
        ("-m", "1m"): "Minimum memory limit allowed is 6MB",
        (): "you must provide one or more flags",
    }
    for flags, reason in refused.items():
        done = pen.run("update", *flags, "c1")
        assert done.code == 1
        assert reason in done.err
    assert "No such container: nope" in pen.run("update", "--cpus", "1", "nope").err
    assert host_config(pen, "c1")["NanoCpus"] == 1_000_000_000


def test_a_limit_that_is_not_kept_is_a_warning(pen: Shop) -> None:
    created = pen.run("create", "--name", "c1", "--blkio-weight", "500", "box", *LOOP)
    assert created.code == 0
    started = pen.run("start", "c1")
    (identity,) = pen.run("ps", "-q", "--no-trunc").lines
    kept = [top for top in groups() for name in ("blkio.weight", "io.weight") if Path(top, identity, name).exists()]
    assert started.code == 0
    assert bool(kept) != ("WARNING: the limit blkio-weight is not kept" in started.err)
