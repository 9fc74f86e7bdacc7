"""``df`` and ``system prune`` count and remove containers and volumes."""

import json

from tests.builder.cli.commands.container.conftest import LOOP, until
from tests.builder.cli.commands.container.conftest import pen as pen  # noqa: PLC0414 - a fixture
from tests.builder.cli.conftest import Shop


def rows(pen: Shop) -> dict[str, dict[str, str]]:
    return {row["Type"]: row for row in map(json.loads, pen.run("df", "--format", "json").lines)}


def test_containers_and_volumes_are_counted(pen: Shop) -> None:
    script = "head -c 50000 /proc/self/exe > /big; head -c 50000 /big > /v/x"
    pen.run("run", "--name", "ended", "-v", "used:/v", "box", "sh", "-c", script)
    pen.run("run", "-d", "--name", "runs", "box", *LOOP)
    pen.run("volume", "create", "unused")
    found = rows(pen)
    assert list(found) == ["Images", "Containers", "Local Volumes", "Build Cache", "Cache Mounts", "Unpacked Layers"]
    containers, volumes = found["Containers"], found["Local Volumes"]
    assert (containers["TotalCount"], containers["Active"]) == ("2", "1")
    assert not containers["Size"].startswith("0B")
    assert not containers["Reclaimable"].startswith("0B")
    assert (volumes["TotalCount"], volumes["Active"]) == ("2", "1")
    lines = pen.run("system", "df", "-v").lines
    assert [line.split()[1] for line in lines if line.startswith("used ")] == ["1"]
    assert [line.split()[-1] for line in lines if " box " in line and line.split()[1] == "box"] == ["runs", "ended"]
    assert any(line.startswith("box ") and line.endswith(" 2") for line in lines)


def test_system_prune_removes_what_has_ended(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "runs", "box", *LOOP)
    ended = pen.run("create", "--name", "ended", "-v", "kept:/v", "-v", "/anonymous", "box", "true").out.strip()
    assert pen.run("prune", "-f").code == 0
    assert len(pen.run("ps", "-aq").lines) == 2
    young = pen.run("system", "prune", "-f", "--filter", "until=24h")
    assert (young.code, len(pen.run("ps", "-aq").lines)) == (0, 2)
    (pen.store.root / "config.toml").write_text('[gc]\nuntil = "24h"\n')  # of the build cache alone
    done = pen.run("system", "prune", "-f", "--volumes")
    assert f"deleted: {ended}" in done.lines
    assert pen.run("ps", "-a", "--format", "{{.Names}}").lines == ["runs"]
    assert pen.run("volume", "ls", "-q").lines == ["kept"]
    until(lambda: pen.run("logs", "runs").out == "ready\n")
