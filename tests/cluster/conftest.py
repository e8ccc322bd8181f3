"""What several files of this folder hold."""

import shutil

import pytest

from servers import NatsCluster


def started(folder):
    if shutil.which("nats-server") is None:
        pytest.skip("no nats-server here (Debian package nats-server)")
    cluster = NatsCluster(folder / "nats")
    yield cluster
    cluster.end()


@pytest.fixture
def nats(tmp_path):
    yield from started(tmp_path)


@pytest.fixture(scope="module")
def shared_nats(tmp_path_factory):
    """For tests that end none of its servers: it takes some seconds until these agree."""
    yield from started(tmp_path_factory.mktemp("stream"))
