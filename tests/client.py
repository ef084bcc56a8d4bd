# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""What the tests' NBD clients share; the function client of functions.sh runs scripts after "from client import *".

A Reader is one NBD connection whose reads are checked against the truth, by default the origin's pattern.  Threads:
none are needed, start() puts as many reads in flight as one likes."""

import errno
import os
import sys

import nbd

from origin.objects import pattern

KiB, MiB, GiB = 1 << 10, 1 << 20, 1 << 30
TIME_FACTOR = int(os.environ.get("TIME_FACTOR", "1"))


class Reader:
    """One connection to URI (default: that of the script's nbdkit)."""

    def __init__(self, uri=None, truth=pattern):
        self.h = nbd.NBD()
        self.h.connect_uri(uri or os.environ["NBD_URI"])
        self.truth = truth
        self._flying = {}           # cookie -> (buffer, offset, count)
        self._ended = set()         # cookies that libnbd has told of

    def read(self, offset, count):
        """Read and check."""
        self._check(bytes(self.h.pread(count, offset)), offset, count)

    def start(self, offset, count):
        """Begin a read; it is under way in the server's socket when this returns.  Gives its number."""
        buffer = nbd.Buffer(count)
        cookie = self.h.aio_pread(buffer, offset)
        self._flying[cookie] = (buffer, offset, count)
        while self.h.aio_get_direction() & nbd.AIO_DIRECTION_WRITE:
            self.h.poll(-1)
        return cookie

    def done(self, cookie):
        """Has this read ended?  Does not wait.  finish() it all the same."""
        self.h.poll(0)
        if cookie not in self._ended and self.h.aio_command_completed(cookie):
            self._ended.add(cookie)
        return cookie in self._ended

    def finish(self, cookie):
        """Wait for this read and check it."""
        while not self.done(cookie):
            self.h.poll(-1)
        self._ended.remove(cookie)
        buffer, offset, count = self._flying.pop(cookie)
        self._check(bytes(buffer.to_bytearray()), offset, count)

    def finish_all(self):
        for cookie in list(self._flying):
            self.finish(cookie)

    def _check(self, got, offset, count):
        wanted = self.truth(offset, count)
        if got != wanted:
            at = next(i for i in range(count) if got[i] != wanted[i])
            sys.exit(f"read of {count} at {offset}: byte {offset + at} is wrong: "
                     f"{got[at:at + 16].hex()} instead of {wanted[at:at + 16].hex()}")


def expect_error(number, call, *args):
    """The call fails with this errno; gives libnbd's words."""
    try:
        call(*args)
    except nbd.Error as error:
        if error.errnum != number:
            sys.exit(f"{call} failed with {errno.errorcode.get(error.errnum)}, "
                     f"wanted {errno.errorcode.get(number)}: {error}")
        return str(error)
    sys.exit(f"{call}{args} should have failed")


def file_truth(path):
    """The truth of a Reader, from a file."""
    with open(path, "rb") as file:
        data = file.read()
    return lambda offset, count: data[offset:offset + count]
