"""A flood of values that break their contract: killed again and again, every acknowledged row is stored or held, once; a backup of it is whole."""

import http.client
import threading
import time

from node_process import now_us, number, run, thing, write_site
from test_contracts import CONTRACT

LINES = 100  # Of a request: each has a wrong and a good value.
THINGS = [f"pump-{i}" for i in range(5)]  # So many that no bound of a point is reached.


def plant(folder):
    properties = {"pressure": number(unit="bar"), "starts": number(type="integer")}
    site = write_site(folder, *(thing(name, properties, **{"ps:contract": "pump@1.2.0"}) for name in THINGS))
    (site / "contracts").mkdir(exist_ok=True)
    (site / "contracts/pump.odcs.yaml").write_text(CONTRACT)
    return site


class Flood:
    """Writes numbers that never repeat, wrong as a pressure and good as a count, until the node is gone."""

    def __init__(self):
        self.next, self.acknowledged, self.asked, self.refused = 1000, [], 0, []

    def write(self, node, gone):
        connection = node.connect()
        try:
            while not gone.is_set():
                batch = range(self.next, self.next + LINES)
                self.next += LINES
                at = now_us()
                answer = node.write("\n".join(f"m,thing={THINGS[i % 5]} pressure={i},starts={i}i {at + i - batch[0]}" for i in batch), connection)
                if answer.status == 204:
                    self.acknowledged += batch
                    time.sleep(0.003)
                else:
                    self.refused.append(answer.text)
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()

    def look(self, node, gone):
        """Who asks makes the node move what waits; that must not matter."""
        try:
            while not gone.is_set():
                node.get("/api/v1/quarantine", limit=5)
                self.asked += 1
                time.sleep(0.05)
        except (OSError, AssertionError, ValueError, http.client.HTTPException):
            pass


def held(node):
    entries, after = [], 0
    while after is not None:
        page = node.get("/api/v1/quarantine", limit=1000, **({"after": after} if after else {}))
        entries += page["items"]
        after = page["next"]
    return entries


def whole(node, flood):
    entries = held(node)
    values = [int(e["value"]) for e in entries]
    assert len(values) == len(set(values)), "an entry is there twice"
    lost = set(flood.acknowledged) - set(values)
    assert not lost, f"{len(lost)} of {len(flood.acknowledged)} acknowledged wrong values are not held: {sorted(lost)[:5]}"
    good = [s["value"] for name in THINGS for s in node.samples(f"{name}/starts")]
    assert len(good) == len(set(good)) and set(flood.acknowledged) <= set(good)
    assert not any(node.samples(f"{name}/pressure") for name in THINGS)
    ledger = node.get("/api/v1/ledger")
    assert ledger["gap"] == 0, ledger
    counted = node.get("/api/v1/contracts/pump/compliance")["violations_ever"]
    assert sum(c["samples"] for c in counted) == len(entries), counted
    assert ledger["quarantined_by_rule"]["maximum"] == len(entries), ledger
    return entries


def test_killed_in_a_flood_of_violations_each_is_held_once(tmp_path, nodes):
    node, flood = nodes(plant(tmp_path / "plant")), Flood()
    for seconds in (0.3, 0.15, 0.45, 0.25):
        gone = threading.Event()
        threads = [threading.Thread(target=one, args=(node, gone)) for one in (flood.write, flood.look)]
        for one in threads:
            one.start()
        time.sleep(seconds)
        node.kill()
        gone.set()
        for one in threads:
            one.join()
        node.start()
        whole(node, flood)
    assert not flood.refused, flood.refused[:2]
    assert len(flood.acknowledged) >= 4 * LINES


def test_a_backup_in_a_flood_of_violations_has_each_once(tmp_path, nodes):
    node, flood, gone = nodes(plant(tmp_path / "plant")), Flood(), threading.Event()
    writer = threading.Thread(target=flood.write, args=(node, gone))
    writer.start()
    time.sleep(0.2)
    before = list(flood.acknowledged)
    done = run("backup", tmp_path / "backup", "--site", node.site, "--data", node.data)
    assert done.returncode == 0, done.stderr
    gone.set()
    writer.join()
    done = run("restore", tmp_path / "backup", "--data", tmp_path / "restored")
    assert done.returncode == 0, done.stderr
    flood.acknowledged = before
    again = nodes(node.site, data=tmp_path / "restored")
    count = len(whole(again, flood))
    assert count >= len(before) > 0
    at = now_us()
    assert again.write(f"m,thing=pump-1 pressure=99 {at}").status == 204
    assert len(held(again)) == count + 1
