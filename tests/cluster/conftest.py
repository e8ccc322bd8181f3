"""What several files of this folder hold."""

import shutil

import pytest

from servers import NatsCluster


@pytest.fixture
def nats(tmp_path):
    if shutil.which("nats-server") is None:
        pytest.skip("no nats-server here (Debian package nats-server)")
    cluster = NatsCluster(tmp_path / "nats")
    yield cluster
    cluster.end()
