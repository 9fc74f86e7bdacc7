import pytest

from pybuild.runtime.monitor.log_entries import LogLine, Times, read_entries, time_of


def entry(text: str, stream: str = "stdout", second: int = 1) -> bytes:
    return f'{{"log":"{text}","stream":"{stream}","time":"1970-01-01T00:00:0{second}.5Z"}}\n'.encode()


def test_lines_of_a_stream_are_joined() -> None:
    block = [entry("a\\n"), entry("\\udcff\\n", second=2), entry("e", "stderr", 3)]
    times = [f"1970-01-01T00:00:0{second}.5Z" for second in (1, 2, 3)]
    assert read_entries(block, Times(), joined=False) == [
        LogLine(1, b"a\n", times[0]),
        LogLine(1, b"\xff\n", times[1]),
        LogLine(2, b"e", times[2]),
    ]
    assert read_entries(block, Times(), joined=True) == [LogLine(1, b"a\n\xff\n", times[0]), LogLine(2, b"e", times[2])]


@pytest.mark.parametrize("joined", [False, True])
def test_only_lines_of_the_wanted_times_are_read(joined: bool) -> None:
    block = [entry(f"{second}\\n", second=second) for second in range(5)]
    wanted = Times(since="1970-01-01T00:00:01.5", until="1970-01-01T00:00:03")
    assert b"".join(line.data for line in read_entries(block, wanted, joined=joined)) == b"1\n2\n"


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\n",
        b"[]\n",
        b'{"log":"cut off',
        b'{"log":"cut off\n',
        b'{"log":"cut off' + entry("lost too"),
        b'{"log":1,"stream":"stdout","time":""}\n',
        entry('a","b'),
        entry("\\x"),
        entry("a", stream="stdin"),
        b"\xff\x00\n",
    ],
)
def test_a_damaged_entry_costs_no_other(damaged: bytes, joined: bool) -> None:
    block = [entry("1\\n"), damaged, entry("2\\n")]
    assert b"".join(line.data for line in read_entries(block, Times(), joined=joined)) == b"1\n2\n"


def test_the_time_of_an_entry() -> None:
    assert time_of(entry('\\","time":\\"')) == "1970-01-01T00:00:01.5"
    assert time_of(entry("a")[:-1]) is None
