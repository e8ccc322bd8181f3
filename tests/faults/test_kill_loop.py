"""300 kills of one data folder; see kill_loop.py, which does 10,000 with --long.

PENSTOCK_KILLS and PENSTOCK_KILL_SEED give another number and the same ones again.
"""

import os
import time

import kill_loop


def test_nothing_is_lost_doubled_or_out_of_order(tmp_path):
    kills = int(os.environ.get("PENSTOCK_KILLS", "300"))
    seed = int(os.environ.get("PENSTOCK_KILL_SEED", time.time_ns() % 1_000_000))
    print(f"\nPENSTOCK_KILL_SEED={seed} PENSTOCK_KILLS={kills}")
    report = kill_loop.run(kills, seed, kills // 20, tmp_path)
    print(report)
    assert not report["complaint"], report
    assert report["samples"] > 20 * kills, "the lives were too short to mean anything"
