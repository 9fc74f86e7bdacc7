"""``python -m tests.mutants``: the pass itself. Exits with 1 unless every mutant is killed."""

import argparse
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from tests.helpers import bases
from tests.mutants.mutant import Mutant, load
from tests.mutants.run import Outcome, Verdict, judge, never_passing
from tests.mutants.tree import SOURCE, Copy, EditDoesNotApply, copies, edited


def main() -> int:
    options = _parse()
    chosen = _choose(load(), options)
    if not chosen:
        _say("no such mutant")
        return 2
    if options.list:
        for mutant in chosen:
            _say(f"{mutant.id:40} {' '.join(mutant.rows):12} {mutant.test}")
        return 0
    outcomes = _stale(chosen) if options.check else _run(chosen, options.jobs)
    return _report(outcomes, len(chosen))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="ids, their beginnings, or rows such as B20; else all")
    parser.add_argument("--share", type=int, default=1, metavar="N", help="only one mutant in N, chosen at random")
    parser.add_argument("--seed", default="", help="what the choice depends on: the same seed, the same mutants")
    parser.add_argument("--jobs", type=int, choices=range(1, 9), default=2)
    parser.add_argument("--list", action="store_true", help="print what would run")
    parser.add_argument("--check", action="store_true", help="only look whether the edits apply; runs no test")
    return parser.parse_args()


def _choose(mutants: Sequence[Mutant], options: argparse.Namespace) -> list[Mutant]:
    named = [
        mutant
        for mutant in mutants
        if not options.names or any(mutant.id.startswith(name) or name in mutant.rows for name in options.names)
    ]
    if options.share <= 1:
        return named
    seed = options.seed or str(random.SystemRandom().randrange(1 << 32))
    _say(f"seed {seed}")
    count = -(-len(named) // options.share)
    picked = {mutant.id for mutant in random.Random(seed).sample(named, count)}
    return [mutant for mutant in named if mutant.id in picked]


def _stale(mutants: Sequence[Mutant]) -> list[Outcome]:
    """Return an outcome for each mutant whose edit does not apply to the tree as it is."""
    found = []
    for mutant in mutants:
        try:
            for edit in mutant.edits:
                edited(SOURCE / edit.file, edit)
        except EditDoesNotApply as error:
            found.append(Outcome(mutant=mutant, verdict=Verdict.STALE, why=str(error)))
    return found


def _run(mutants: Sequence[Mutant], jobs: int) -> list[Outcome]:
    """Judge all, each worker in a copy of its own."""
    _make_bases()
    with copies(jobs) as made:
        free: SimpleQueue[Copy] = SimpleQueue()
        complaints = never_passing(made[0], mutants, jobs)
        for copy in made:
            free.put(copy)

        def one(mutant: Mutant) -> Outcome:
            if mutant.test in complaints:
                return _shown(Outcome(mutant=mutant, verdict=Verdict.NEVER_PASSED, why=complaints[mutant.test]))
            copy = free.get()
            try:
                return _shown(judge(copy, mutant))
            finally:
                free.put(copy)

        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(one, mutants))


def _make_bases() -> None:
    """Make the root file systems that tests build on: while a mutant runs, the disk where they are kept is read-only."""
    if os.geteuid() == 0:
        for base in (bases.small, bases.bookworm, bases.docker_root):
            base()


def _shown(outcome: Outcome) -> Outcome:
    _say(f"{outcome.verdict.name.lower():12} {outcome.seconds:5.1f}  {outcome.mutant.id}")
    return outcome


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _report(outcomes: Sequence[Outcome], count: int) -> int:
    bad = [outcome for outcome in outcomes if outcome.verdict is not Verdict.KILLED]
    for outcome in bad:
        _say(f"\n{outcome.mutant.id}: {outcome.verdict.value}\n  test: {outcome.mutant.test}")
        for line in outcome.why.splitlines()[:20]:
            _say(f"  {line}")
    tally = Counter(outcome.verdict.name.lower() for outcome in outcomes)
    _say(f"\n{count} mutants: " + (", ".join(f"{number} {name}" for name, number in tally.items()) or "all apply"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
