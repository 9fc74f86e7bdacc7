from tests.builder.cli.conftest import Shop


def test_a_container_without_published_ports_has_none_to_show(pen: Shop) -> None:
    pen.run("create", "--name", "one", "box")
    assert pen.run("port", "one") == pen.run("port", "one", "--")
    assert (pen.run("port", "one").code, pen.run("port", "one").out) == (0, "")
    result = pen.run("port", "one", "80")
    assert (result.code, "no public port '80' published for one" in result.err) == (1, True)
    assert pen.run("port", "one", "x").code == 1
    assert pen.run("port", "nope").code == 1
