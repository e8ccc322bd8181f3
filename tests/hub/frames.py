"""Frames written by the book (docs/formats/frame.md) and not by the program's own code; without compression."""

import struct

_TABLE = []
for _byte in range(256):
    for _ in range(8):
        _byte = _byte >> 1 ^ (0x82F63B78 if _byte & 1 else 0)
    _TABLE.append(_byte)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value):
    return value << 1 if value >= 0 else (-value << 1) - 1


def steps(words):
    """The form of differences."""
    out, before = bytearray(b"\x01"), 0
    for word in words:
        out += varint(zigzag(word - before))
        before = word
    return bytes(out)


def frame(rows, edge="", epoch=0, first=0):
    """rows: [(path, microseconds, value, quality)]"""
    paths = list(dict.fromkeys(row[0] for row in rows))
    body = b"".join(varint(len(path.encode())) + path.encode() for path in paths)
    body += steps([paths.index(row[0]) for row in rows])
    body += steps([row[1] for row in rows])
    body += steps([row[1] for row in rows])
    body += steps([row[3] for row in rows])
    values = [struct.pack("<d", row[2]) for row in rows]
    body += b"\x00" + b"".join(bytes(value[b] for value in values) for b in range(8))
    behind = struct.pack("<IIIIBBHQQ", len(body), len(body), len(rows), len(paths), 0, len(edge), 0, epoch, first)
    behind += edge.encode() + body
    return b"PSFRAM1\n" + struct.pack("<I", crc32c(behind)) + behind
