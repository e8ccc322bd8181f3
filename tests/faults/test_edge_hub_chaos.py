"""Edge and hub, both killed at random, over a network that cuts, delays, swallows and lets later connections overtake.

Only client acknowledgements count: in the end the hub's Parquet files have every sample that the edge acknowledged, once and in
order, and the hub died for an hour of data in between. PENSTOCK_CHAOS_SEED (by the clock) and PENSTOCK_CHAOS_ROUNDS (12).
"""

import os
import pathlib
import random
import sys
import time

from node_process import number, now_us, thing
from proxy import Proxy
from test_bad_network import worsen

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "hub"))
from hub_site import Edge, Hub  # noqa: E402
from test_hub import POINTS, Ledger, compare  # noqa: E402

ROUNDS = int(os.environ.get("PENSTOCK_CHAOS_ROUNDS", "12"))
SEED = int(os.environ.get("PENSTOCK_CHAOS_SEED", time.time_ns() % 1_000_000))


def worsen_tls(proxy, chance):
    """What may happen to a line that carries TLS: its requests cannot be told apart, so none is repeated."""
    while (kind := worsen(proxy, chance)) == "duplicate":
        proxy.heal()
    return kind


def test_what_the_edge_acknowledged_reaches_the_hub_once(tmp_path):
    print(f"\nPENSTOCK_CHAOS_SEED={SEED}, {ROUNDS} rounds")
    chance, happened = random.Random(SEED), []
    hub = Hub(tmp_path / "hub")
    hub.start()
    proxy = Proxy(hub.fixed_port, SEED)
    edge = Edge(tmp_path / "edge", f"https://127.0.0.1:{proxy.port}", [thing("pump-7", {name: number() for name in POINTS})])
    try:
        edge.enroll(hub.invite("edge-7"))
        edge.start()
        ledger = Ledger()
        for _ in range(ROUNDS):
            kind = chance.choice(["network", "network", "kill edge", "kill hub"])
            if kind == "network":
                kind = worsen_tls(proxy, chance)
            for _ in range(chance.randint(2, 8)):
                ledger.write(edge, chance.randint(1, 1500))
            if kind == "kill edge":
                edge.kill()
                edge.start()
            elif kind == "kill hub":
                hub.kill()
                ledger.write(edge, 1000)
                hub.start()
            time.sleep(chance.uniform(0, 0.3))
            proxy.release()
            proxy.heal()
            happened.append(kind)
        print(happened)
        # An hour of a thousand points every ten seconds, while nobody is at the other end.
        hub.kill()
        ledger.at = max(ledger.at, now_us() - 3_600_000_000)
        for _ in range(36):
            assert ledger.write(edge, 10_000)
        hub.start()
        edge.caught_up(120)
        assert edge.get("/api/v1/ledger")["gap"] == 0
        assert hub.get("/api/v1/ledger")["gap"] == 0
        compare(ledger, hub, edge)
    finally:
        proxy.close()
        edge.close()
        hub.close()
