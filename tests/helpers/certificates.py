"""An authority for one test, and what it signs: PEM files in a directory, made by openssl."""

import subprocess
from pathlib import Path

_KEY = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def make_authority(directory: Path) -> None:
    """Make ``ca.pem`` and ``ca.key``."""
    _openssl(
        *(*_KEY, "-x509", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority"),
        *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"),
        directory=directory,
    )


def sign(directory: Path, file: str, subject: str, names: str) -> None:
    """Make ``<file>.pem`` and ``<file>.key`` for *names*, such as ``DNS:localhost,IP:127.0.0.1``."""
    _openssl(*_KEY, "-keyout", f"{file}.key", "-out", f"{file}.csr", "-subj", f"/CN={subject}", directory=directory)
    (directory / "names").write_text(f"subjectAltName={names}\n")
    _openssl(
        *("x509", "-req", "-in", f"{file}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2"),
        *("-CAcreateserial", "-extfile", "names", "-out", f"{file}.pem"),
        directory=directory,
    )


def _openssl(*arguments: str, directory: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True, stdin=subprocess.DEVNULL)
