"""``python -m tests.chaos``: run the faults of a seed against a daemon, a sandbox and a server of the run's own.

Prints the schedule as it happens and the oracle's judgement; ends with 1 and the reason when something is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.support.cluster import Cluster
from tests.support.templates import migrate

from .plan import plan
from .run import SECONDS, SERVER_SETTINGS, chaos


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="which schedule (default: a new one)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of faults in a run ({SECONDS:g})")
    parser.add_argument("--runs", type=int, default=1, help="so many runs: this seed and those after it")
    parser.add_argument("--schedule", action="store_true", help="only print what would happen")
    chosen = parser.parse_args()
    first = random.randrange(10**6) if chosen.seed is None else chosen.seed
    seeds = range(first, first + chosen.runs)
    if chosen.schedule:
        for seed in seeds:
            made = plan(seed, chosen.seconds)
            print(
                f"seed {seed}, filling {made.filling}, dated {made.dated}, archive at first {made.at_first}"
            )
            print("\n".join(map(str, made.schedule.events)))
        return 0
    failed = [seed for seed in seeds if not _ran(seed, chosen.seconds)]
    print(
        f"{chosen.runs} runs, {len(failed)} failed{': seeds ' if failed else ''}{', '.join(map(str, failed))}"
    )
    return bool(failed)


def _ran(seed: int, seconds: float) -> bool:
    folder = Path(tempfile.mkdtemp(prefix=f"marketd-chaos-{seed}-"))
    cluster = Cluster(folder / "pg")
    try:
        cluster.start(SERVER_SETTINGS)
        migrate(cluster.url)
        print(asyncio.run(chaos(seed, seconds, folder, cluster)), flush=True)
    except (AssertionError, ExceptionGroup) as error:
        print(f"seed {seed} failed, logs are in {folder}: {error!r}", file=sys.stderr, flush=True)
        return False
    finally:
        cluster.destroy()
    shutil.rmtree(folder, ignore_errors=True)  # hours are hundreds of runs, and each has its logs
    return True


if __name__ == "__main__":
    sys.exit(main())
