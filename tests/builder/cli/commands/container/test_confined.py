import json

from tests.builder.cli.conftest import Shop


def test_a_root_is_read_only_but_what_is_mounted_in_it_is_not(pen: Shop) -> None:
    words = ("--read-only", "-v", "data:/new/data", "--tmpfs", "/t", "box", "sh", "-c")
    script = (
        "for f in /x /etc/hosts /new/x /new/data/f /t/f /dev/shm/f; do echo x 2>/dev/null >$f && echo $f; done; true"
    )
    result = pen.run("run", "--name", "one", *words, script)
    assert (result.code, result.out) == (0, "/new/data/f\n/t/f\n/dev/shm/f\n"), result.err
    assert json.loads(pen.run("inspect", "one").out)[0]["HostConfig"]["ReadonlyRootfs"] is True
    # The mount points that were made for it are gone again.
    assert pen.run("diff", "one").out == ""
    assert pen.run("start", "-a", "one").out == result.out


def test_a_command_in_it_cannot_write_either(pen: Shop) -> None:
    pen.run("run", "-d", "--read-only", "--name", "one", "box", "sleep", "1000")
    assert pen.run("exec", "one", "touch", "/x").code == 1
    assert pen.run("exec", "--privileged", "one", "touch", "/x").code == 1
