"""What a hostile step tries in vain, on each rung of isolation that runs steps: one build tries all of it."""

import re
from pathlib import Path

import pytest

from tests.helpers import bases
from tests.helpers.rungs import POD, RUNGS, Place, place_on

SECRET = "of the host alone"
TEXT = """FROM small AS links
RUN ln -s / /up
FROM small
COPY try /
RUN --mount=type=bind,from=links,source=/up,target=/b --mount=type=cache,target=/c/d . /try
RUN --mount=type=cache,target=/c/d mv /c /moved || rm -r /c || ln -s CANARY/.. /c/e; sleep 1000 & setsid sleep 1000 &
USER bob
RUN echo "A14 groups $(id -G)"; chown 0 /tmp 2> /dev/null && echo A14 open; true
"""
ATTACKS = """
tell() { echo "$1 ${2:-closed}"; }
for way in /proc/[0-9]*/fd/* /proc/[0-9]*/cwd /proc/[0-9]*/root /b ""; do
    for climb in "" /.. /../../../../../../../..; do
        grep -qs "SECRET" "$way$climb""CANARY" && found="open by $way$climb"
    done
done
tell A01 "$found"
tell A02 "$(for exe in /proc/[0-9]*/exe; do readlink "$exe"; done | grep -v busybox)"
tell A03 "$(for file in sysrq-trigger sys/kernel/hostname sys/kernel/core_pattern; do
    test -e "/proc/$file" && (: >> "/proc/$file") 2> /dev/null && echo "$file can be written"; done)"
tell A10 "$(ls -d /b/etc /b/proc/1 2> /dev/null | grep -v etc)"
tell A13 "$(grep -E 'Cap(Inh|Amb)' /proc/self/status | grep -v 0000000000000000)"
test ! -e /proc/self/status || tell A13 "bounded by $(sed -n 's/CapBnd:\\t//p' /proc/self/status)"
tell A17 "$(find / -name release_agent 2> /dev/null; mkdir /sys/fs/cgroup/x 2> /dev/null && echo made)"
tell A20 "$(unshare -r true 2> /dev/null && echo unshared; mount -t tmpfs none /mnt 2> /dev/null && echo mounted)"
tell A22 "$(for comm in /proc/[0-9]*/comm; do cat "$comm"; done 2> /dev/null | grep -vE '^(sh|cat|grep|try)$')"
tell A24 "$(cat /proc/kcore /proc/keys /proc/timer_list 2> /dev/null | head -c 9)"
mknod /memory c 1 1 2> /dev/null
tell A25 "$(head -c 9 /memory 2> /dev/null)"
kill -9 -1
touch /mine && chown 7:8 /mine && tell A22 "after all signals $(stat -c %u:%g /mine)"
"""


@pytest.fixture(params=[*RUNGS, POD])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    made = place_on(request.param, tmp_path / "home")
    made.import_tar(bases.small(), "small")
    return made


def test_a_hostile_step_finds_each_way_closed(place: Place) -> None:
    directory, seen = place.directory, place.seen
    (directory / "canary").write_text(SECRET)
    files = {"Dockerfile": TEXT, "try": ATTACKS.replace("SECRET", SECRET)}
    context = place.context("context", {name: text.replace("CANARY", f"{seen}/canary") for name, text in files.items()})
    before = sorted(directory.iterdir())
    built = place.program.build(context, "--no-cache", check=False)
    assert built.exit_code == 0, built.printed
    told = sorted(re.findall(r"^#\d+ [\d.]+ (A\d\d .*)$", built.printed, re.MULTILINE))
    closed = [f"{row} closed" for row in ("A01", "A02", "A03", "A10", "A13", "A17", "A20", "A22", "A24", "A25")]
    rest = ["A14 groups 50 63", "A22 after all signals 7:8"]
    # Where /proc has no processes nothing tells of capabilities.
    shown = [] if place.rung in {POD, "chroot"} else ["A13 bounded by 00000000a80425fb"]
    assert told == sorted((*closed, *rest, *shown))
    assert sorted(directory.iterdir()) == before
    assert (directory / "canary").read_text() == SECRET
