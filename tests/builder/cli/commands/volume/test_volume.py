import json

from tests.builder.cli.commands.container.conftest import pen
from tests.builder.cli.conftest import Shop

__all__ = ["pen"]


def test_a_volume_outlives_its_containers(pen: Shop) -> None:
    assert pen.run("volume", "create", "data").out == "data\n"
    assert pen.run("volume", "create", "data").out == "data\n"
    pen.run("run", "--rm", "-v", "data:/d", "box", "sh", "-c", "echo x > /d/f")
    assert pen.run("run", "--rm", "-v", "data:/e:ro", "box", "cat", "/e/f").out == "x\n"
    assert pen.run("run", "--rm", "-v", "data:/e:ro", "box", "touch", "/e/g").code == 1
    assert pen.run("run", "--rm", "--mount", "source=data,target=/m", "--name", "mm", "box", "cat", "/m/f").out == "x\n"
    assert pen.run("volume", "ls").lines == ["DRIVER    VOLUME NAME", "local     data"]
    found = json.loads(pen.run("volume", "inspect", "data").out)[0]
    assert (found["Name"], found["Driver"], found["Scope"]) == ("data", "local", "local")
    with open(found["Mountpoint"] + "/f", encoding="ascii") as file:
        assert file.read() == "x\n"


def test_an_empty_volume_gets_what_the_image_has_there(pen: Shop) -> None:
    assert pen.run("run", "--rm", "-v", "home:/home", "box", "stat", "-c", "%U", "/home/alice").out == "alice\n"
    assert pen.run("run", "--rm", "-v", "other:/home:nocopy", "box", "ls", "/home").out == ""
    pen.run("run", "--rm", "-v", "home:/etc", "box", "true")
    assert pen.run("run", "--rm", "-v", "home:/x", "box", "ls", "/x").out == "alice\n"


def test_volumes_of_the_image_and_without_names_go_with_their_container(pen: Shop, tmp_path: object) -> None:
    with open(f"{tmp_path}/Dockerfile", "w", encoding="ascii") as file:
        file.write("FROM box\nVOLUME /home\n")
    assert pen.run("build", "-t", "with", str(tmp_path)).code == 0
    pen.run("create", "--name", "one", "with")
    pen.run("create", "--name", "two", "-v", "/data", "-v", "named:/n", "box")
    assert len(pen.run("volume", "ls", "-q").lines) == 3
    assert pen.run("rm", "one").code == 0
    assert pen.run("rm", "-v", "two").code == 0
    left = pen.run("volume", "ls", "-q").lines
    assert sorted(map(len, left)) == [5, 64]
    assert pen.run("volume", "prune", "-f").lines[1] == next(name for name in left if len(name) == 64)
    assert pen.run("volume", "ls", "-q").out == "named\n"
    assert pen.run("volume", "prune", "-a", "-f").lines[1] == "named"


def test_one_in_use_stays(pen: Shop) -> None:
    identity = pen.run("create", "--name", "one", "-v", "data:/d", "box").out.strip()
    refused = pen.run("volume", "rm", "data")
    assert (refused.code, refused.err) == (1, f"ERROR: remove data: volume is in use - [{identity}]\n")
    assert pen.run("volume", "prune", "-a", "-f").out == "Total reclaimed space: 0B\n"
    assert pen.run("volume", "ls", "-q", "-f", "dangling=true").out == ""
    pen.run("rm", "one")
    assert pen.run("volume", "ls", "-q", "-f", "dangling=true").out == "data\n"
    assert pen.run("volume", "rm", "data").out == "data\n"
    missing = pen.run("volume", "rm", "data")
    assert (missing.code, missing.err) == (1, "ERROR: get data: no such volume\n")
    assert pen.run("volume", "create", "../x").code == 1


def test_a_missing_directory_is_made_for_v(pen: Shop, tmp_path: object) -> None:
    place = f"{tmp_path}/new/deep"
    assert pen.run("run", "--rm", "--name", "one", "-v", f"{place}:/d", "box", "sh", "-c", "echo x > /d/f").code == 0
    with open(f"{place}/f", encoding="ascii") as file:
        assert file.read() == "x\n"


def test_tmpfs_is_empty_and_as_large_as_said(pen: Shop) -> None:
    script = "mount | grep ' /t ' | grep -o 'size=[0-9]*k'; stat -c %a /t"
    result = pen.run("run", "--rm", "--name", "one", "--tmpfs", "/t:size=1m,mode=750", "box", "sh", "-c", script)
    assert result.out == "size=1024k\n750\n"


def test_dangling_is_a_boolean_as_everywhere(pen: Shop) -> None:
    for value in ("maybe", ""):
        wrong = pen.run("volume", "ls", "-f", f"dangling={value}")
        assert (wrong.code, wrong.out) == (1, "")
        assert f"invalid --filter: dangling={value}" in wrong.err
    pen.run("volume", "create", "--label", "a=b", "free")
    pen.run("create", "--name", "one", "-v", "used:/d", "box")
    for value, names in (("t", "free\n"), ("TRUE", "free\n"), ("F", "used\n"), ("0", "used\n")):
        assert pen.run("volume", "ls", "-q", "-f", f"dangling={value}").out == names
    for value, names in (("a", "free\n"), ("a=b", "free\n"), ("a=", ""), ("b", "")):
        assert pen.run("volume", "ls", "-q", "-f", f"label={value}").out == names
