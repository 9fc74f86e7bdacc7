import json

from tests.builder.cli.commands.container.conftest import masked
from tests.builder.cli.conftest import Shop


def test_columns_are_dockers(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "box", "sleep", "1000")
    pen.run("run", "--name", "two", "box", "sh", "-c", "exit 3 # and a long command")
    assert masked(pen.run("ps", "-a").out).splitlines() == [
        "CONTAINER ID IMAGE COMMAND CREATED STATUS PORTS NAMES",
        'ID box "sh -c \'exit 3 # and…" TIME ago Exited (3) TIME ago two',
        'ID box "sleep 1000" TIME ago Up TIME one',
    ]
    assert masked(pen.run("ps").out).count("\n") == 2
    assert pen.run("ps", "-l", "--format", "{{.Names}}").out == "two\n"
    assert pen.run("ps", "-n", "1", "-q").out == pen.run("ps", "-lq").out
    assert json.loads(pen.run("ps", "--format", "json").out)["Names"] == "one"
    assert "\"sh -c 'exit 3 # and a long command'\"" in pen.run("ps", "-a", "--no-trunc").out
    assert pen.run("ps", "-as", "--format", "{{.Size}}").lines[0].endswith("B")


def test_filters(pen: Shop) -> None:
    first = pen.run("create", "--name", "one", "-l", "a=1", "-v", "data:/d", "box").out.strip()
    pen.run("run", "--name", "two", "-l", "a=2", "-l", "b", "box", "sh", "-c", "exit 3")

    def names(*filters: str) -> list[str]:
        words = [word for item in filters for word in ("-f", item)]
        result = pen.run("ps", "-a", "--format", "{{.Names}}", *words)
        assert result.code == 0, result.err
        return result.lines

    assert names("label=a") == ["two", "one"]
    assert names("label=a", "label=b") == ["two"]
    assert names("label=a=1") == names("name=on") == names(f"id={first[:5]}") == names("volume=data") == ["one"]
    assert names("status=created") == names("before=two") == ["one"]
    assert names("exited=3") == names("since=one") == names("status=exited") == ["two"]
    assert names("ancestor=box") == ["two", "one"]
    assert names("ancestor=nope") == []
    for wrong in ("colour=red", "status=odd", "exited=x", "exited=²"):
        assert pen.run("ps", "-f", wrong).code == 1
    assert pen.run("ps", "-f", "label").code == 125
    quiet = pen.run("ps", "-aq", "-f", "", "--no-trunc", "--format", "{{.Names}}")
    assert (quiet.lines[1], "Ignoring custom format" in quiet.err) == (first, True)
