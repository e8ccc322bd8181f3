"""Commands the fault shim (shim/fault_shim.cc) of another process by the page that both map (shim/control.h)."""

import errno
import mmap
import os
import pathlib
import struct

from node_process import PROGRAM

SHIM = os.environ.get("PENSTOCK_FAULT_SHIM") or str(pathlib.Path(PROGRAM).parent / "tests/libfault_shim.so")
OPEN, WRITE, SYNC, TRUNCATE, RENAME, UNLINK, MAKE_FOLDER, READ = (1 << bit for bit in range(8))
CHANGES = OPEN | WRITE | SYNC | TRUNCATE | RENAME | UNLINK | MAKE_FOLDER
ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "short": -1}
FOR_EVER = 2**63


class Shim:
    """The page, and the environment that lets a process obey it. Calls on files below `folder` count."""

    def __init__(self, page, folder):
        self.path = pathlib.Path(page)
        self.path.write_bytes(bytes(512))
        with open(self.path, "r+b") as file:
            self._page = mmap.mmap(file.fileno(), 512)
        self._page[48:48 + len(str(folder)) + 1] = str(folder).encode() + b"/"
        self.env = {"LD_PRELOAD": SHIM, "PENSTOCK_FAULT_CONTROL": str(self.path)}

    def _put(self, form, offset, value):
        struct.pack_into(form, self._page, offset, value)

    def _get(self, form, offset):
        return struct.unpack_from(form, self._page, offset)[0]

    def arm(self, error, fail_at=1, fail_count=1, kinds=CHANGES):
        """From the fail_at-th call from now on, fail_count calls fail."""
        self.disarm()
        self._put("<i", 4, ERRORS[error])
        self._put("<Q", 8, fail_at)
        self._put("<Q", 16, fail_count)
        self._put("<Q", 24, 0)
        self._put("<Q", 32, 0)
        self._put("<I", 0, kinds)

    def disarm(self):
        self._put("<I", 0, 0)

    def shift_clock(self, seconds):
        self._put("<q", 40, int(seconds * 1e6))

    @property
    def calls(self):
        return self._get("<Q", 24)

    @property
    def hits(self):
        return self._get("<Q", 32)

    @property
    def last(self):
        return self._page[256:512].split(b"\0")[0].decode(errors="replace")
