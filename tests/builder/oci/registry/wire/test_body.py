"""Part of a file as the body of a request."""

from pathlib import Path

import pytest

from pybuild.builder.oci.registry.wire.body import FileBody

_LARGE = 300_000


def test_a_part_is_sent_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(b"0123456789")
    sent: list[int] = []
    with path.open("rb") as file:
        body = FileBody(file=file, offset=2, size=5, sent=sent.append)
        assert len(body) == 5
        assert b"".join(body) == b"23456"
        assert b"".join(body) == b"23456", "a retry sends it again"
    assert sent == [7, 7]


def test_a_large_part_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(bytes(_LARGE))
    sent: list[int] = []
    with path.open("rb") as file:
        pieces = list(FileBody(file=file, offset=0, size=_LARGE, sent=sent.append))
    assert sum(map(len, pieces)) == sent[-1] == _LARGE
    assert len(pieces) == len(sent) > 1


def test_a_file_that_was_truncated_is_a_failure_that_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(b"abc")
    with path.open("rb") as file:
        body = FileBody(file=file, offset=0, size=5, sent=lambda _: None)
        with pytest.raises(OSError, match="truncated"):
            list(body)
        assert body.failure is not None


def test_whoever_counts_may_stop_it(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(bytes(_LARGE))

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with path.open("rb") as file:
        body = FileBody(file=file, offset=0, size=_LARGE, sent=stop)
        with pytest.raises(KeyboardInterrupt):
            list(body)
        assert body.failure is None
