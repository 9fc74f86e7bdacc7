"""The scripts behind the Makefile leave the host as it is, beyond files."""

import os
import stat
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_DPKG_QUERY = "#!/bin/sh\nexit 1\n"
_APT_GET = """#!/bin/sh
for word; do
    case $word in
    DPkg::Path=*) PATH=${word#DPkg::Path=} ;;
    esac
done
case " $* " in
*" install "*)
    for name in deb-systemd-helper deb-systemd-invoke invoke-rc.d systemctl update-binfmts update-rc.d; do
        "$name" start ssh
    done
    ;;
esac
"""
_SERVICE = '#!/bin/sh\necho "$0 $*" >> "$STARTED"\n'
_STARTERS = ("deb-systemd-helper", "deb-systemd-invoke", "invoke-rc.d", "systemctl", "update-binfmts", "update-rc.d")


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_packages_are_installed_without_starting_a_service(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    _program(programs / "dpkg-query", _DPKG_QUERY)
    _program(programs / "id", "#!/bin/sh\necho 0\n")
    _program(programs / "apt-get", _APT_GET)
    for name in _STARTERS:
        _program(programs / name, _SERVICE)
    started = tmp_path / "started"
    done = subprocess.run(
        ["sh", REPOSITORY / "tests" / "setup" / "debian.sh"],
        env={"PATH": f"{programs}:{os.environ['PATH']}", "STARTED": os.fspath(started), "TMPDIR": os.fspath(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "no service is started" in done.stdout
    assert not started.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]
