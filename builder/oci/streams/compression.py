"""Compressing layers and reading compressed ones: gzip, zstd, or neither. The only import of zstandard.

Blocks of fixed size are compressed on their own in several threads and joined in order, so the bytes depend on the
algorithm, the level and the version of the library, never on the number of threads. ISA-L chooses its code by the
processor: its levels 1 and 2 give the same bytes wherever SSE 4.2 is, level 3 differs with AVX2 and with AVX-512.

- gzip: each 1 MiB is a raw deflate stream that ends at a byte boundary (sync flush); one header before all, an empty
  last block and one checksum after all make ONE member that every gzip reads. One that does not shrink is stored.
- zstd: each 4 MiB is a frame; RFC 8878 has a stream of frames decompress to their concatenation.
"""

import os
from collections.abc import Callable, Generator, Iterator
from typing import BinaryIO, Protocol, cast

from pybuild.builder.oci.errors import LayerError, OciError
from pybuild.builder.oci.limits import DEFAULT_LIMITS, Limits
from pybuild.builder.oci.streams import deflate, zstd_frames
from pybuild.builder.oci.streams.blocks import Blocks, zero_block
from pybuild.builder.oci.streams.older_compression import HEAD, older_pieces
from pybuild.builder.oci.streams.pipeline import PIECE, PipeStage, Pool, T
from pybuild.builder.oci.streams.reading import BufferedSource, PieceReader, Readable

Sink = Callable[[bytes | memoryview], None]

_MAX_THREADS = 4
_DEFAULT_LEVELS = {"gzip": 1, "zstd": 3, "uncompressed": 0}
_LEVELS = {"gzip": range(10), "zstd": range(1, 23), "uncompressed": range(1)}
_ZSTD_BLOCK = 4 << 20
# Memory that a frame may ask for: the default limit of zstd, enough for its highest level.
_ZSTD_WINDOW = 128 << 20
_GZIP_MAGIC = b"\x1f\x8b"
# Deflate, no flags, no time, no extra flags, operating system unknown (RFC 1952, section 2.3).
_GZIP_HEADER = _GZIP_MAGIC + b"\x08\0\0\0\0\0\0\xff"
_GZIP_LAST_BLOCK = b"\x03\0"


class Compressor(Protocol):
    """Takes pieces of any length, gives compressed ones to its sink; the sink is called from one thread at a time."""

    def write(self, piece: bytes | memoryview) -> None:
        """Take *piece*, which must not be changed any more. Raises what the sink has raised."""
        ...

    def close(self) -> None:
        """Compress what is left, and pass it to the sink."""
        ...

    def abort(self) -> None:
        """Discard what is left: the sink is not called again, and no thread remains. Idempotent."""
        ...


def open_compressor(algorithm: str, level: int | None, sink: Sink, *, threads: int | None = None) -> Compressor:
    """Return a compressor for ``gzip`` (levels 0 to 9), ``zstd`` (1 to 22) or ``uncompressed``.

    Gzip: levels 1 to 3 are ISA-L's, at hundreds of MB/s; 0 and 4 to 9 are zlib's, smaller and 10 to 100 times slower.
    """
    level = check_level(algorithm, level)
    count = threads or min(_MAX_THREADS, len(os.sched_getaffinity(0)))
    match algorithm:
        case "gzip":
            return _Gzip(level, sink, count)
        case "zstd":
            return _Zstd(level, sink, count)
        case _:
            return _Plain(sink)


def check_level(algorithm: str, level: int | None) -> int:
    """Return the level to use. Raises OciError for an unknown algorithm or a level it does not have."""
    levels = _LEVELS.get(algorithm)
    if levels is None:
        raise OciError(f"unknown compression: {algorithm!r}", hint="use gzip, zstd or uncompressed")
    if level is None:
        return _DEFAULT_LEVELS[algorithm]
    if level not in levels:
        raise OciError(f"{algorithm} has no compression level {level}", hint=f"use {levels[0]} to {levels[-1]}")
    return level


class _Plain:
    def __init__(self, sink: Sink) -> None:
        self._stage = PipeStage(sink)
        self.write = self._stage.put
        self.close = self._stage.close
        self.abort = self._stage.abort


class _Gzip:
    def __init__(self, level: int, sink: Sink, threads: int) -> None:
        self._sink = sink
        self._crc = self._size = 0
        self._crc32 = deflate.crc32()
        self._pool = Pool(_recalling(deflate.of_blocks(level), zero_block(PIECE)), self._deliver, threads)
        self._blocks = Blocks(self._take)
        self.write = self._blocks.write
        self.abort = self._pool.abort
        sink(_GZIP_HEADER)

    def _deliver(self, parts: tuple[bytes, ...]) -> None:
        for part in parts:
            self._sink(part)

    def _take(self, block: bytes | memoryview) -> None:
        self._crc = self._crc32(block, self._crc)
        self._size += len(block)
        self._pool.put(block)

    def close(self) -> None:
        self._blocks.flush()
        self._pool.close()
        trailer = self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
        self._sink(_GZIP_LAST_BLOCK + trailer)


class _Zstd:
    def __init__(self, level: int, sink: Sink, threads: int) -> None:
        self._empty = True
        self._pool = Pool(_zstd_block(level), sink, threads, spare=0)
        self._blocks = Blocks(self._take, _ZSTD_BLOCK)
        self.write = self._blocks.write
        self.abort = self._pool.abort

    def _take(self, block: bytes | memoryview) -> None:
        self._empty = False
        self._pool.put(block)

    def close(self) -> None:
        self._blocks.flush()
        if self._empty:
            self._pool.put(b"")  # zero frames would be no zstd stream at all
        self._pool.close()


def _zstd_block(level: int) -> Callable[[bytes | memoryview], bytes]:
    import zstandard

    return _recalling(lambda block: zstandard.ZstdCompressor(level=level).compress(block), zero_block(_ZSTD_BLOCK))


def _recalling(compress: Callable[[bytes | memoryview], T], hole: bytes) -> Callable[[bytes | memoryview], T]:
    """Return *compress*, which works on the block *hole*, of which large files may have thousands, only once."""
    known: list[T] = []

    def compress_or_recall(block: bytes | memoryview) -> T:
        if block is not hole:
            return compress(block)
        if not known:
            known.append(compress(block))
        return known[0]

    return compress_or_recall


def decompressing(stream: Readable, limits: Limits = DEFAULT_LIMITS, *, only_gzip: bool = False) -> BinaryIO:
    """Return the content of *stream*: gzip, zstd, bzip2, xz or plain by its first bytes; *stream* stays the caller's.

    One layer of compression is taken off, no more. Memory stays bounded whatever the content; ``read`` may return less
    than was asked for, nothing only at the end.

    Raises:
        LayerError: while reading: the data is damaged, truncated, followed by garbage, or over a limit; with
            *only_gzip* also when it is not gzip.
    """
    return cast("BinaryIO", PieceReader(_metered(BufferedSource(stream), limits, only_gzip)))


def _metered(source: BufferedSource, limits: Limits, only_gzip: bool) -> Generator[bytes | memoryview]:
    total = 0
    for piece in _gunzip(source, limits) if only_gzip else _pieces(source, limits):
        total += len(piece)
        if total > limits.total:
            raise LayerError(f"more than {limits.total} bytes of uncompressed data", hint="a decompression bomb?")
        if total > limits.ratio_after and total > limits.ratio * source.read_total:
            raise LayerError(f"compressed more than {limits.ratio} to 1", hint="a decompression bomb?")
        yield piece


def _pieces(source: BufferedSource, limits: Limits) -> Iterator[bytes | memoryview]:
    head = source.peek(HEAD)
    if head.startswith(_GZIP_MAGIC):
        return _gunzip(source, limits)
    if zstd_frames.is_zstd(head[:4]):
        return _unzstd(source, limits)
    if (older := older_pieces(source, head, limits.members)) is not None:
        return older
    return iter(lambda: source.view(PIECE), b"")


def _gunzip(source: BufferedSource, limits: Limits) -> Iterator[bytes]:
    members = 0
    while members == 0 or not source.at_end():
        members += 1
        _check_members(members, limits)
        if source.peek(2) != _GZIP_MAGIC:
            raise LayerError("gzip data is followed by something else" if members > 1 else "this is no gzip data")
        yield from deflate.inflate_member(source)


def _unzstd(source: BufferedSource, limits: Limits) -> Iterator[bytes]:
    frames = 0
    while frames == 0 or not source.at_end():
        frames += 1
        _check_members(frames, limits)
        head = source.peek(4)
        if zstd_frames.is_skippable(head):
            zstd_frames.skip_frame(source)
        elif head == zstd_frames.MAGIC:
            yield from _unzstd_frame(source)
        else:
            raise LayerError("zstd data is followed by something else")


def _unzstd_frame(source: BufferedSource) -> Iterator[bytes]:
    import zstandard

    inflater = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
    for part in zstd_frames.frame_parts(source):
        try:
            piece = inflater.decompress(part)
        except zstandard.ZstdError as error:
            raise LayerError(f"damaged zstd data: {error}") from error
        if piece:
            yield piece


def _check_members(count: int, limits: Limits) -> None:
    if count > limits.members:
        raise LayerError(f"more than {limits.members} compressed members in one stream")
