"""Shared by all Python tests: this folder is on the path, and each test gets a folder of its own."""

import pytest

from node_process import Node


@pytest.fixture
def nodes():
    """Starts nodes, and ends those that still run when the test is over: nodes(site) -> Node."""
    started = []

    def start(site, **options):
        node = Node(site, **options)
        started.append(node)
        return node.start()

    yield start
    for node in started:
        node.close()
