# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""What the origin serves: files below the root, and objects computed from their address.

    /zeros/SIZE     SIZE zero bytes
    /pattern/SIZE   every 8 bytes hold the big-endian offset of their first byte, so that a byte in the wrong place
                    tells where it came from
    anything else   the file below --root, read afresh for every request

SIZE is bytes, or has a suffix K, M, G or T (powers of 1024).  An object never changes by itself; faults.py does that.
Threads: objects are immutable, each request opens its own."""

import email.utils
import os
import re
import stat
import urllib.parse

CHUNK = 64 * 1024               # a power of two: the low 16 bits of a pattern repeat, the others are filled in
_TEMPLATE = b"".join((i & 0xffff).to_bytes(8, "big") for i in range(0, CHUNK, 8))
_ZEROS = bytes(1024 * 1024)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_size(text):
    """The bytes that "4096", "64K" or "5T" mean; ValueError for anything else."""
    found = re.fullmatch(r"(\d+)([KMGT]?)", text)
    if not found:
        raise ValueError(f"not a size: {text!r}")
    return int(found[1]) * _UNITS[found[2]]


def pattern(offset, count):
    """COUNT bytes of the pattern from OFFSET on.  Tests import this to know the truth."""
    first = offset - offset % CHUNK
    parts = []
    for base in range(first, offset + count, CHUNK):
        chunk = bytearray(_TEMPLATE)
        high = base.to_bytes(8, "big")
        for i in range(6):
            if high[i]:
                chunk[i::8] = bytes([high[i]]) * (CHUNK // 8)
        parts.append(chunk)
    return b"".join(parts)[offset - first:offset - first + count]


class Object:
    """Something with a size, bytes, and validators (either may be None)."""

    def __init__(self, size, etag, mtime):
        self.size = size
        self.etag = etag
        self.last_modified = email.utils.formatdate(mtime, usegmt=True) if mtime is not None else None

    def read(self, offset, count):
        """Some bytes from OFFSET on: at least 1, at most COUNT.  REQUIRES: the range is inside the object."""
        raise NotImplementedError

    def fileno(self):
        """A descriptor for sendfile, or None."""
        return None

    def close(self):
        pass


class Zeros(Object):
    def __init__(self, size):
        super().__init__(size, f'"zeros-{size}"', 1_000_000_000)

    def read(self, offset, count):
        return memoryview(_ZEROS)[:count]


class Pattern(Object):
    def __init__(self, size):
        super().__init__(size, f'"pattern-{size}"', 1_000_000_000)

    def read(self, offset, count):
        return pattern(offset, min(count, 4 * CHUNK))


class File(Object):
    def __init__(self, path):
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        st = os.fstat(self._fd)
        if not stat.S_ISREG(st.st_mode):
            os.close(self._fd)
            raise FileNotFoundError(path)
        super().__init__(st.st_size, f'"{st.st_mtime_ns:x}-{st.st_size:x}"', int(st.st_mtime))

    def read(self, offset, count):
        data = os.pread(self._fd, min(count, 1 << 20), offset)
        if not data:
            raise EOFError("the file shrank while it was sent")
        return data

    def fileno(self):
        return self._fd

    def close(self):
        os.close(self._fd)


class Grown(Object):
    """Another object, as far as END (default: its own), and then EXTRA bytes of FILLER (faults grow and extra)."""

    def __init__(self, inner, extra, end=None, filler=0):
        self._inner = inner
        self._end = inner.size if end is None else end
        self._filler = _ZEROS if filler == 0 else bytes([filler]) * CHUNK
        self.size = self._end + extra
        self.etag = inner.etag
        self.last_modified = inner.last_modified

    def read(self, offset, count):
        left = self._end - offset
        if left > 0:
            return self._inner.read(offset, min(count, left))
        return memoryview(self._filler)[:count]

    def close(self):
        self._inner.close()


def open_object(root, raw_path):
    """The object that RAW_PATH (as in the request, still percent-escaped) names, or None."""
    path = urllib.parse.unquote(raw_path)
    try:
        if path.startswith("/zeros/"):
            return Zeros(parse_size(path[len("/zeros/"):]))
        if path.startswith("/pattern/"):
            return Pattern(parse_size(path[len("/pattern/"):]))
        if ".." in path.split("/") or "\0" in path:
            return None
        return File(os.path.join(root, path.lstrip("/")))
    except (OSError, ValueError):
        return None
