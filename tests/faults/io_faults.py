#!/usr/bin/env python3
"""Lets every call to the disk fail in turn: full disk, I/O error, short write; once, or for a while.

  tests/faults/io_faults.py                         every call of a short life, several minutes
  tests/faults/io_faults.py --stride 9 --seed 3     every ninth, beginning at a place that the seed draws

A life: start on a folder that a killed process left, write, keep records, flush, merge, stop. It may refuse and must go on when
the fault is over; nothing that was acknowledged may be gone afterwards, and it may neither crash nor hang. Calls are counted over
all that happens below the data folder, those of SQLite and DuckDB too (shim/fault_shim.cc).
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from fault_shim import Shim  # noqa: E402
from kill_loop import PROBE  # noqa: E402

CASES = [("ENOSPC", 1), ("EIO", 1), ("short", 1), ("ENOSPC", 25), ("EIO", 25)]


def try_calls(work, error, in_a_row, stride, seed):
    """fault_probe calls; its report."""
    folder = pathlib.Path(work) / f"{error}-{in_a_row}"
    shim = Shim(pathlib.Path(work) / f"control-{error}-{in_a_row}", folder)
    first = 1 + random.Random(f"{seed}-{error}-{in_a_row}").randrange(stride)
    done = subprocess.run([PROBE, "calls", "--folder", str(folder), "--error", error, "--count", str(in_a_row), "--from", str(first),
                           "--stride", str(stride), "--seed", str(seed)],
                          env={**os.environ, **shim.env}, capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        raise AssertionError(f"fault_probe ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments = parser.parse_args()
    print(f"--seed {arguments.seed} --stride {arguments.stride}", file=sys.stderr)
    bad = 0
    with tempfile.TemporaryDirectory(prefix="penstock-io-") as work:
        for error, in_a_row in CASES:
            report = try_calls(work, error, in_a_row, arguments.stride, arguments.seed)
            print(json.dumps(report), flush=True)
            bad += len(report["complaints"])
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
