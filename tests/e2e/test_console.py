"""The console against a real node, in a real browser: a technician's way from the first alarm to the moved KPI.

    python3 tests/e2e/test_console.py                        (PENSTOCK_BIN, else PENSTOCK_PROGRAM, else build/dev/penstock)
    PENSTOCK_E2E_FAKE=1 python3 tests/e2e/test_console.py    (the console alone)

The tests are chapters of one story and run in the order of their names. Without a browser they are skipped, but not
under CI (CI=true): there a browser has to be.
"""

import os
import pathlib
import sys
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import page_checks  # noqa: E402
from browser import MISSING, Browser, BrowserError, find_program  # noqa: E402
from node import Node  # noqa: E402

NAME, PASSWORD = "ada", "correct horse battery"
FIRST_ALARM_S = 90
NEXT_ALARM_S = 240
DESKTOP, PHONE = (1440, 900), (390, 844)
SHOTS = os.environ.get("PENSTOCK_E2E_SHOTS")  # A folder for screenshots, for the README.


class ConsoleStory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        under_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
        if not find_program():
            raise BrowserError(MISSING) if under_ci else unittest.SkipTest(MISSING)
        cls.node = Node()
        try:
            cls.browser = Browser(*DESKTOP)
        except BaseException:
            cls.node.close()
            raise
        cls.alarm = None
        cls.answered = set()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.node.close()

    def tearDown(self):
        self.browser.resize(*DESKTOP)

    # What the chapters share.
    def open(self, path="/"):
        self.browser.open(self.node.url + path)

    def api(self, path):
        return self.browser.run(f"fetch('/api/v1{path}').then((r) => r.json())")

    def shot(self, name):
        if SHOTS:
            self.browser.pump(1)
            self.browser.screenshot(os.path.join(SHOTS, f"{name}.png"))

    def kpi(self, name="alarm_precision"):
        found = [k for k in self.api("/kpis")["items"] if k["name"] == name]
        self.assertTrue(found, f"the node serves no KPI {name}")
        return min(found, key=lambda k: len(k["asset"]))

    def gate(self):
        case = self.api("/usecases")["items"][0]
        return self.api(f"/usecases/{case['name']}/gates/{case['gates'][0]['name']}")

    def open_alarm(self, timeout):
        """The most urgent alarm that nobody has judged yet."""
        skip = sorted(self.answered)
        find = (f"fetch('/api/v1/alarms?state=open').then((r) => r.json()).then((l) => l.items.filter((a) => !a.verdict && "
                f"a.state !== 'shelved' && !{skip}.includes(a.id)).sort((a, b) => a.priority - b.priority)[0])")
        return self.browser.wait(find, timeout, "an open alarm without a verdict")

    def test_01_the_set_up_token_makes_the_first_administrator(self):
        self.open("/")
        self.browser.wait_for("input[name=token]")
        self.assertIn("Set up this node", self.browser.text("h1"))
        self.browser.fill("input[name=token]", "not-the-token")
        self.browser.fill("input[name=name]", NAME)
        self.browser.fill("input[name=password]", PASSWORD)
        self.browser.fill("input[name=again]", PASSWORD)
        self.browser.press("Enter")
        self.browser.wait_for("[role=alert]")
        self.browser.run("document.querySelector('input[name=token]').select()")
        self.browser.type(self.node.setup_token)
        self.browser.press("Enter")
        self.browser.wait_for("nav[aria-label=Sections]")
        self.assertEqual("admin", self.api("/session")["user"]["role"])

    def test_02_signing_in_needs_no_mouse(self):
        self.browser.run("fetch('/api/v1/session', {method: 'DELETE', headers: {'X-Penstock-CSRF': '1'}})")
        self.open("/alarms")
        self.browser.wait("document.activeElement?.name === 'name'", what="the name field to have the focus")
        self.browser.type(NAME)
        self.browser.press("Tab")
        self.browser.type("wrong")
        self.browser.press("Enter")
        self.browser.wait_for("[role=alert]")
        self.browser.wait("document.activeElement?.name === 'password'", what="the focus to stay in the form")
        self.browser.run("document.activeElement.select()")
        self.browser.type(PASSWORD)
        self.browser.press("Tab")
        outline = self.browser.run("getComputedStyle(document.activeElement).outlineStyle")
        self.assertNotEqual("none", outline, "the focused button must be visible as such")
        self.browser.press("Enter")
        self.browser.wait_for("nav[aria-label=Sections]")
        self.assertEqual("/alarms", self.browser.run("location.pathname"), "signing in keeps the page that was asked for")
        self.browser.press("Tab")
        self.assertIn("Skip", self.browser.run("document.activeElement.innerText"))

    def test_03_the_plant_shows_machines_live(self):
        self.open("/")
        self.browser.wait_for("[data-point]", 60)
        self.browser.wait_for("canvas", 30)
        before = self.browser.run("[...document.querySelectorAll('[data-point] b')].map((e) => e.innerText).join('|')")
        self.browser.wait(f"[...document.querySelectorAll('[data-point] b')].map((e) => e.innerText).join('|') !== {before!r}",
                          30, "live values to change")
        self.assertFalse(self.browser.run("document.documentElement.hasAttribute('data-stale')"))

    def test_04_the_first_alarm_comes_by_itself_and_says_why(self):
        type(self).alarm = self.open_alarm(FIRST_ALARM_S)
        self.browser.wait_for(f"[data-alarm='{self.alarm['id']}']", 15)
        self.shot("plant")
        self.browser.click(f"[data-alarm='{self.alarm['id']}'] h3 a")
        self.browser.wait_for(f"[data-alarm-page='{self.alarm['id']}'] .why i")
        page = self.browser.text("main")
        for wanted in (self.alarm["title"], self.alarm["asset_title"], "Since", "Why", "Sure:", "Time there is"):
            self.assertIn(wanted, page)
        bars = self.browser.run("document.querySelectorAll('[data-alarm-page] .why i').length")
        self.assertEqual(min(3, len(self.alarm["because"])), bars)
        self.shot("alarm")

    def test_05_confirming_moves_the_kpi_the_label_and_the_gate(self):
        before, gate_before = self.kpi(), self.gate()
        labels_before = len(self.api("/labels")["items"])
        self.open(f"/alarms/{self.alarm['id']}")
        self.browser.click("[data-action=confirm]")
        self.browser.wait_for("[role=dialog] select[name=code]")
        self.assertEqual(self.alarm["cause"].replace(" ", "_"), self.browser.run("document.querySelector('select[name=code]').value"))
        self.browser.fill("[role=dialog] input[name=note]", "seen at the machine")
        self.browser.click("[role=dialog] [data-action=record]")
        self.browser.wait_for("[data-verdict=true_fault]")
        self.answered.add(self.alarm["id"])
        self.assertIn("seen at the machine", self.browser.text("[data-verdict]"))
        self.assertNotEqual("active_unacknowledged", self.api(f"/alarms/{self.alarm['id']}")["state"])

        self.open("/")
        wanted = (before["n"] or 0) + 1
        self.browser.wait(f"Number(document.querySelector('[data-kpi=alarm_precision]')?.dataset.n) >= {wanted}", 30,
                          f"the KPI to count {wanted} verdicts on the screen")
        labels = self.api("/labels")["items"]
        self.assertGreater(len(labels), labels_before)
        self.assertTrue(any(label["trace"] == self.alarm["trace"] for label in labels), "the label carries the alarm's trace")
        changed = [c["id"] for c, old in zip(self.gate()["checks"], gate_before["checks"])
                   if "label" in (c["title"] + c["query"]).lower() and c["value"] != old["value"]]
        self.assertTrue(changed, "a check of the gate that counts labels moves")

    def test_06_the_trace_leads_from_the_samples_to_the_kpi(self):
        self.open(f"/traces/{self.alarm['trace']}")
        for stage in ("samples", "features", "model", "alarm", "verdict", "label", "kpi"):
            self.browser.wait_for(f"[data-stage={stage}]", 20)
        self.browser.click("[data-action=prove]")
        self.browser.wait_for(".proof")
        self.assertNotIn("Does not hold", self.browser.text(".proof"))
        self.shot("trace")

    def test_07_every_figure_opens_its_definition(self):
        self.open("/value")
        self.browser.click("[data-kpi=alarm_precision] .link")
        self.browser.wait_for("[role=dialog]")
        text = self.browser.text("[role=dialog]")
        for wanted in ("Formula", "Numerator", "Denominator", "Interval"):
            self.assertIn(wanted, text)
        self.browser.press("Escape")
        self.browser.wait("!document.querySelector('[role=dialog]')", what="Escape to close the dialog")

    def test_08_a_trend_zooms_by_drag_and_is_a_table_too(self):
        self.open("/")
        self.browser.wait_for(".trend canvas", 30)
        width = self.browser.run("document.querySelector('.chart-box').clientWidth")
        asked = [urllib.parse.parse_qs(urllib.parse.urlparse(r).query) for r in self.browser.requests if "/trend?" in r]
        self.assertTrue(asked)
        self.assertTrue(all(int(q["width"][0]) <= 1440 for q in asked))
        path = self.browser.attribute("[data-trend]", "data-trend")
        answer = self.api(f"/points/{path}/trend?from={asked[-1]['from'][0]}&to={asked[-1]['to'][0]}&width={width}")
        self.assertLessEqual(len(answer["points"]), width, "at most one row a pixel")
        self.browser.drag(".trend .u-over", 0.4, 0.7)
        self.browser.wait("document.querySelector('.trend .flow').innerText.includes('Back to live')", what="the zoom")
        self.browser.click(".trend .tool.text")
        self.browser.wait_for(".trend table")

    def test_09_overriding_takes_three_taps(self):
        self.open("/")
        alarm = self.open_alarm(NEXT_ALARM_S)
        self.open(f"/alarms/{alarm['id']}")
        self.browser.resize(*PHONE, phone=True)
        self.browser.click("[data-alarm-page] [data-action=override]")
        self.browser.click("[data-kind=false_alarm]")
        self.browser.click("[data-reason=inspected]")
        self.browser.wait_for("[data-verdict=false_alarm]")
        self.answered.add(alarm["id"])

    def test_09a_a_data_product_is_found_and_asked_in_sql(self):
        self.open("/data/products")
        self.browser.wait_for("main table")
        listed = self.browser.text("main")
        for product in self.api("/products")["items"]:
            self.assertIn(product["name"], listed)
        self.browser.click("a[href='/data/products/line-1-process']")
        self.browser.wait_for("pre.snippet")
        page = self.browser.text("main")
        for wanted in ("Owner", "Newest sample", "Kept for", "bearing_temperature", "°C", "Contract"):
            self.assertIn(wanted, page)
        self.assertEqual(3, len(self.browser.text("pre.snippet").strip().split("\n")))
        self.shot("product")
        self.browser.click("textarea.sql")
        self.browser.run("document.querySelector('textarea.sql').form.requestSubmit()")
        self.browser.wait_for(".answer tbody tr")
        self.assertIn("pump-7/flow", self.browser.text(".answer"))
        self.browser.run("document.querySelector('textarea.sql').select()")
        self.browser.type("SELECT * FROM line_1_proces")
        self.browser.run("document.querySelector('textarea.sql').form.requestSubmit()")
        self.browser.wait_for("form [role=alert]")
        self.assertIn("line 1, column 15", self.browser.text("form [role=alert]"))

    def test_09b_a_contract_shows_what_it_promises_and_whether_it_is_kept(self):
        self.open("/data/contracts")
        self.browser.click("a[href='/data/contracts/pump']")
        self.browser.wait("document.querySelector('main').innerText.includes('Promises in the last 24 hours')")
        self.browser.wait("document.querySelector('main').innerText.includes('kept')")
        self.assertIn("discharge_pressure", self.browser.text("main"))
        self.shot("contract")

    def test_09c_what_waits_in_quarantine_is_looked_at_and_released(self):
        at = self.browser.run("fetch('/api/v1/session').then((r) => r.json()).then((s) => Date.parse(s.time) * 1000)")
        status = self.browser.run(f"""fetch('/write?precision=us', {{method: 'POST', headers: {{'X-Penstock-CSRF': '1'}},
            body: 'pump-7 discharge_pressure=999 {int(at)}'}}).then((r) => r.status)""")
        self.assertEqual(204, status)
        self.open("/data/quarantine")
        self.browser.click(".segmented button:last-child")
        self.browser.wait_for("tbody button.link", 30)
        self.browser.click("tbody button.link")
        self.browser.wait_for("[role=dialog] input[name=reason]")
        self.assertIn("999", self.browser.text("[role=dialog]"))
        self.shot("quarantine")
        self.browser.fill("[role=dialog] input[name=value]", "6.2")
        self.browser.fill("[role=dialog] input[name=reason]", "the decimal point was lost")
        self.browser.click("[role=dialog] .yes")
        self.browser.wait("!document.querySelector('[role=dialog]')", what="the dialog to close when it is released")
        self.browser.wait("fetch('/api/v1/quarantine').then((r) => r.json()).then((l) => l.items.some((i) => i.state === 'released' && i.corrected === 6.2))")

    def test_10_a_phone_gets_targets_for_a_thumb_and_no_sideways_scroll(self):
        self.browser.resize(*PHONE, phone=True)
        pages = ["/", "/alarms", f"/alarms/{self.alarm['id']}", f"/traces/{self.alarm['trace']}", "/value", "/usecases", "/data", "/data/products", "/data/products/line-1-process",
                 "/data/contracts/pump", "/data/sql", "/data/quarantine", "/models", "/trust"]
        for page in pages:
            with self.subTest(page=page):
                self.open(page)
                self.browser.wait("document.querySelector('main') && !document.querySelector('.loading')", what=f"{page} to be there")
                self.browser.pump(0.3)
                self.assertEqual([], self.browser.run(page_checks.SIDEWAYS))
                self.assertEqual([], self.browser.run(page_checks.SMALL_TARGETS))
                self.assertEqual([], self.browser.run(page_checks.NAMELESS))
        self.open(f"/alarms/{self.alarm['id']}")
        self.browser.wait_for("[data-alarm-page]")
        self.shot("phone")

    def test_11_text_has_contrast_in_light_and_dark(self):
        for scheme in ("light", "dark"):
            self.browser.colors(scheme)
            for page in ("/", f"/alarms/{self.alarm['id']}", "/value", "/usecases", "/data/products/line-1-process", "/data/contracts/pump"):
                with self.subTest(scheme=scheme, page=page):
                    self.open(page)
                    self.browser.wait("document.querySelector('main') && !document.querySelector('.loading')")
                    self.assertEqual([], self.browser.run(page_checks.LOW_CONTRAST))
        self.browser.colors("light")

    def test_12_the_first_screen_is_small_and_speaks_to_nobody_else(self):
        self.open("/")
        self.browser.wait_for("[data-point]")
        files = self.browser.run("performance.getEntriesByType('resource').filter((e) => /assets|theme/.test(e.name)).map((e) => e.name)")
        self.assertTrue(files)
        packed = sum(self.browser.run(f"""fetch({name!r}).then((r) => r.blob()).then((b) => new Response(b.stream()
            .pipeThrough(new CompressionStream('gzip'))).arrayBuffer()).then((a) => a.byteLength)""") for name in files)
        self.assertLess(packed, 250 * 1024)
        hosts = {urllib.parse.urlparse(r).netloc for r in self.browser.requests if r.startswith("http")}
        self.assertEqual({urllib.parse.urlparse(self.node.url).netloc}, hosts)

    def test_13_nothing_was_refused_or_thrown(self):
        # The refusals that chapters 1, 2 and 9a provoked are the only complaints.
        unexpected = [line for line in self.browser.console if "401" not in line and "403" not in line and not line.endswith("/api/v1/sql")]
        self.assertEqual([], unexpected)

    def test_14_a_lost_connection_is_said_and_values_are_marked_stale(self):
        self.open("/")
        self.browser.wait_for("[data-point]")
        self.browser.pump(1)
        self.node.stop()
        self.browser.wait("document.querySelector('.connection').innerText.includes('Connection lost since')", 30)
        self.browser.wait("document.querySelectorAll('.pt.stale').length > 0", 10)
        self.assertIn("stale", self.browser.text(".machine .state"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
