"""``python -m tests.fuzz TARGET [libFuzzer options]``: fuzz one reader, seeded with the golden cases.

Options are libFuzzer's, such as ``-max_total_time=60`` (the default) or ``-runs=100000``; a file that it names as
crash-... makes the failure again when given as an argument.
"""

import sys
import tempfile
from pathlib import Path

CASES = Path(__file__).parents[2] / "testdata" / "dockerfiles"


def main() -> None:
    import atheris

    with atheris.instrument_imports(include=["grammar"]):
        from tests.fuzz.targets import TARGETS

    name, *options = sys.argv[1:] or [""]
    if name not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz {'|'.join(TARGETS)} [libFuzzer options]")
    target = TARGETS[name]

    def one(data: bytes) -> None:
        target(data.decode("utf-8", "replace"))

    with tempfile.TemporaryDirectory() as corpus:
        for case in CASES.glob("*/Dockerfile"):
            (Path(corpus) / case.parent.name).write_bytes(case.read_bytes())
        bounded = (
            [] if any(item.startswith(("-max_total_time", "-runs")) for item in options) else ["-max_total_time=60"]
        )
        atheris.Setup([sys.argv[0], "-timeout=10", "-rss_limit_mb=1024", *bounded, *options, corpus], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
