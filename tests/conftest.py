"""Shared by all Python tests: this folder is on the path, and each test gets a folder of its own.

Files run beside each other (`./dev test` gives pytest several workers), the tests of one file one after the other.
"""

import pytest

from node_process import Node

# The files that take longest, so that no worker begins one when the others are done. The tests of a file stay in their order.
LONG_FILES = ["test_io_faults", "test_console", "test_api", "test_hub", "test_postgres", "test_stream", "test_stream_cut", "test_demo_killed",
              "test_kill_loop", "test_opcua", "test_edge_hub_chaos", "test_kill"]


def pytest_collection_modifyitems(items):
    rank = {name: i for i, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


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
