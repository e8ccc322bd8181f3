"""The TLS listener with the real openssl, Python's ssl and requests: who gets in, what is refused, what a hot change does."""

import http.client
import json
import pathlib
import socket
import ssl
import subprocess
import time

import paho.mqtt.client
import pytest
import requests

from hub_site import Hub, TlsNode, openssl, write_settings
from node_process import eventually, now_us, number, thing, write_site, write_thing


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    site = tmp_path_factory.mktemp("tls") / "hub"
    hub = Hub(site)
    write_thing(site, thing("pump-7", {
        "flow": number(),
        "level": number({"href": "mqtt://local/plant/pump-7/level", "op": "observeproperty", "ps:value": "/v"})}))
    hub.start()
    yield hub
    hub.close()


def refused(hub, reason):
    for line in hub.ask("GET", "/metrics").text.splitlines():
        if line.startswith(f'penstock_tls_refused_total{{reason="{reason}"}}'):
            return int(line.split()[-1])
    return 0


def client_files(folder, hub, name, days=1, issuer=None):
    """Key and certificate: enrolled at the hub, signed by itself, or by another authority."""
    key, request, certificate = folder / f"{name}.key", folder / f"{name}.csr", folder / f"{name}.pem"
    openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", key)
    openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
    if issuer == "hub":
        invitation = hub.invite(name)
        answer = hub.ask("POST", "/api/v1/enrollments", {"token": invitation["token"], "request": request.read_text()})
        assert answer.status == 201, answer.text
        certificate.write_text(answer.json()["certificate"])
    elif issuer:
        openssl("x509", "-req", "-in", request, "-CA", issuer[1], "-CAkey", issuer[0], "-CAcreateserial", "-days", days,
                "-out", certificate)
    else:
        openssl("req", "-x509", "-new", "-key", key, "-subj", f"/CN={name}", "-days", days, "-out", certificate)
    return key, certificate


def ask_as(hub, key, certificate, path="/api/v1/uplink/hello", body=None):
    context = hub.context()
    if certificate:
        context.load_cert_chain(certificate, key)
    connection = http.client.HTTPSConnection("127.0.0.1", hub.port, timeout=10, context=context)
    connection.request("POST", path, body=json.dumps(body or {"epoch": "1", "begin": 0, "next": 0}),
                       headers={"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_requests_and_openssl_verify_the_node(hub):
    ca = str(hub.data / "tls/ca.pem")
    for host in ("127.0.0.1", "localhost"):
        answer = requests.get(f"https://{host}:{hub.port}/api/v1/session", verify=ca, timeout=10)
        assert answer.status_code == 200
    shown = openssl("s_client", "-connect", f"127.0.0.1:{hub.port}", "-CAfile", ca, "-verify_return_error", "-alpn",
                    "h2,http/1.1", input=b"").stdout.decode()
    assert "Verify return code: 0 (ok)" in shown and "ALPN protocol: http/1.1" in shown
    assert "TLSv1.3" in shown
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"https://127.0.0.1:{hub.port}/", timeout=10)


@pytest.mark.parametrize("option", ["-tls1", "-tls1_1"])
def test_old_versions_and_weak_ciphers_are_refused(hub, option):
    assert openssl("s_client", "-connect", f"127.0.0.1:{hub.port}", option, input=b"").returncode != 0
    weak = openssl("s_client", "-connect", f"127.0.0.1:{hub.port}", "-tls1_2", "-cipher", "AES128-SHA", input=b"")
    assert weak.returncode != 0
    strong = openssl("s_client", "-connect", f"127.0.0.1:{hub.port}", "-tls1_2", input=b"").stdout.decode()
    assert "Cipher is ECDHE-ECDSA-" in strong


def test_a_cookie_is_for_this_host_and_tls_alone(hub):
    made = requests.post(f"https://127.0.0.1:{hub.port}/api/v1/session/setup", verify=str(hub.data / "tls/ca.pem"), timeout=10,
                         json={"token": hub.ready["setup_token"], "name": "ada", "password": "correct horse battery"})
    cookie = made.headers["Set-Cookie"]
    assert cookie.startswith("__Host-penstock=") and "Secure" in cookie and "HttpOnly" in cookie


def test_plain_http_is_told_to_use_https(hub):
    before = refused(hub, "not tls")
    with socket.create_connection(("127.0.0.1", hub.port), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = plain.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 400") and "https://" in answer
    assert refused(hub, "not tls") == before + 1


def test_nonsense_and_silence_end_and_are_counted(hub):
    failed = refused(hub, "handshake failed")
    with socket.create_connection(("127.0.0.1", hub.port), timeout=5) as torn:
        torn.sendall(b"\x16\x03\x01\x02\x00" + b"nonsense" * 64)
        torn.makefile("rb").read()
    assert eventually(lambda: refused(hub, "handshake failed") > failed)
    silent = [socket.create_connection(("127.0.0.1", hub.port), timeout=30) for _ in range(20)]
    assert hub.ask("GET", "/api/v1/session").status == 200, "half-open connections hold up others"
    for one in silent:
        one.close()


def test_an_enrolled_certificate_is_a_device_and_nothing_else(hub, tmp_path):
    key, certificate = client_files(tmp_path, hub, "edge-a", issuer="hub")
    status, text = ask_as(hub, key, certificate)
    assert status == 200 and json.loads(text)["edge"] == "edge-a"
    context = hub.context()
    context.load_cert_chain(certificate, key)
    connection = http.client.HTTPSConnection("127.0.0.1", hub.port, timeout=10, context=context)
    connection.request("GET", "/api/v1/points")
    assert connection.getresponse().status == 403
    assert ask_as(hub, None, None)[0] == 401


def test_revoked_on_an_open_connection(hub, tmp_path):
    key, certificate = client_files(tmp_path, hub, "edge-b", issuer="hub")
    context = hub.context()
    context.load_cert_chain(certificate, key)
    connection = http.client.HTTPSConnection("127.0.0.1", hub.port, timeout=10, context=context)

    def hello():
        connection.request("POST", "/api/v1/uplink/hello", body='{"epoch": "1", "begin": 0, "next": 0}')
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    assert hello()[0] == 200
    assert hub.ask("POST", "/api/v1/edges/edge-b/revoke", {}).status == 204
    status, text = hello()
    assert status == 401 and "revoked" in text


def test_foreign_self_signed_and_expired_certificates(hub, tmp_path):
    authority = client_files(tmp_path, hub, "foreign-ca")
    cases = [("certificate self-signed", client_files(tmp_path, hub, "selfmade")),
             ("certificate of a foreign authority", client_files(tmp_path, hub, "stranger", issuer=authority))]
    own = (hub.data / "tls/ca.key", hub.data / "tls/ca.pem")
    key, expired = client_files(tmp_path, hub, "late", issuer=own)
    openssl("x509", "-req", "-in", tmp_path / "late.csr", "-CA", own[1], "-CAkey", own[0], "-days", "-1", "-out", expired)
    cases.append(("certificate expired", (key, expired)))
    for reason, (key, certificate) in cases:
        before = refused(hub, reason)
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            ask_as(hub, key, certificate)
        assert refused(hub, reason) == before + 1, reason
    # Signed by the own key, but never issued: a forged name does not get in.
    key, forged = client_files(tmp_path, hub, "edge-a", issuer=own)
    status, text = ask_as(hub, key, forged)
    assert status == 401 and "not issued here" in text


def test_a_token_works_once_and_bad_requests_are_told(hub, tmp_path):
    invitation = hub.invite("edge-c")
    assert hub.ask("POST", "/api/v1/enrollments", {"token": "guessed", "request": "x"}).status == 401
    answer = hub.ask("POST", "/api/v1/enrollments", {"token": invitation["token"], "request": "x"})
    assert answer.status == 400 and "PKCS#10" in answer.text
    assert hub.ask("POST", "/api/v1/edges", {"name": "Not A Name"}).status == 400


def test_mqtt_over_tls_with_a_certificate(hub, tmp_path):
    key, certificate = client_files(tmp_path, hub, "sensor-1", issuer="hub")

    def connect(load):
        context = hub.context()
        if load:
            context.load_cert_chain(certificate, key)
        client = paho.mqtt.client.Client(paho.mqtt.client.CallbackAPIVersion.VERSION2, client_id="sensor-1", protocol=4)
        client.tls_set_context(context)
        client.connect("127.0.0.1", hub.mqtt_port)
        client.loop_start()
        eventually(client.is_connected)
        return client

    client = connect(True)
    for i in range(50):  # More than one TLS record, and QoS 1's answers the other way.
        sent = client.publish("plant/pump-7/level", json.dumps({"v": i, "filler": "x" * 1000}), qos=1)
    sent.wait_for_publish(10)
    assert sent.is_published()
    assert eventually(lambda: hub.point("pump-7/level")["value"] == 49)
    assert hub.ask("POST", "/api/v1/edges/sensor-1/revoke", {}).status == 204
    client.disconnect()
    with socket.create_connection(("127.0.0.1", hub.mqtt_port), timeout=5) as plain:
        plain.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00")
        assert b"\x20\x02" not in plain.makefile("rb").read(), "plain MQTT was answered on the TLS port"


def test_files_are_read_again_while_running(tmp_path):
    site = write_site(tmp_path / "site", thing("pump-7", {"flow": number()}))
    for name in ("one", "two"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", tmp_path / f"{name}.key",
                "-out", tmp_path / f"{name}.pem", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "30")
    (site / "server.pem").write_bytes((tmp_path / "one.pem").read_bytes())
    (site / "server.key").write_bytes((tmp_path / "one.key").read_bytes())
    write_settings(site, tls="{mode: files, certificate: server.pem, key: server.key}")
    node = TlsNode(site)
    node.context = lambda: ssl._create_unverified_context()  # noqa: SLF001, the name is looked at instead
    try:
        node.start()

        def shown():
            return openssl("s_client", "-connect", f"127.0.0.1:{node.port}", input=b"").stdout.decode()

        assert "CN = one" in shown()
        (site / "server.key").write_bytes((tmp_path / "two.key").read_bytes())
        (site / "server.pem").write_bytes((tmp_path / "two.pem").read_bytes())
        eventually(lambda: "CN = two" in shown(), 30, "the new certificate")
        assert node.ask("GET", "/api/v1/session").status == 200
    finally:
        node.close()


def test_off_loopback_needs_tls(tmp_path):
    site = write_site(tmp_path / "site", thing("pump-7", {"flow": number()}))
    write_settings(site, listen="{http: 0.0.0.0:0, mqtt: 127.0.0.1:0}", tls="{mode: off}")
    node = TlsNode(site)
    with pytest.raises(AssertionError, match="tls is off"):
        node.start()
    node.close()
