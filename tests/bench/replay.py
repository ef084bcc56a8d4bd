#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""Read as a guest did when it booted.

    replay.py thinking|by-clock TRACE SOURCE RESULT

TRACE has a line "MILLISECONDS OFFSET LENGTH" for each read.  All are issued one by one, when the one before has been
answered: "thinking" when also the gap to the one before in the trace has passed, so that every delay is added to the
whole; "by-clock" not before its time in the trace, so that what was late is made up for while the guest would think.  A
guest, many processes at a time, is between the two.  SOURCE is an NBD URI or a file; RESULT becomes
{"seconds": from the start to the last answer, "digest": of all that was read}."""

import hashlib
import json
import os
import sys
import time


def reader(source):
    """A function (offset, length) -> bytes, and the size."""
    if "://" in source:
        import nbd  # pylint: disable=import-outside-toplevel
        handle = nbd.NBD()
        handle.connect_uri(source)
        return lambda offset, length: handle.pread(length, offset), handle.get_size()
    fd = os.open(source, os.O_RDONLY)
    return lambda offset, length: os.pread(fd, length, offset), os.fstat(fd).st_size


def reads_of(trace):
    with open(trace, encoding="ascii") as file:
        return [tuple(map(int, line.split())) for line in file if not line.startswith("#")]


def digest(trace, source, pace=None):
    """A digest of all that the trace reads of this source, at the PACE given, or without a pause."""
    found, before, begin = hashlib.blake2b(), 0, time.monotonic()
    reads = reads_of(trace)
    read, size = reader(source)
    if max(offset + length for _, offset, length in reads) > size:
        sys.exit(f"replay: the trace reads beyond the {size} bytes of {source}")
    for at, offset, length in reads:
        pause = {"thinking": (at - before) / 1000, "by-clock": begin + at / 1000 - time.monotonic(), None: 0}[pace]
        if pause > 0:
            time.sleep(pause)
        before = at
        found.update(read(offset, length))
    return found.hexdigest()


def main():
    pace, trace, source, result = sys.argv[1:]
    begin = time.monotonic()
    found = digest(trace, source, pace)
    with open(result, "w", encoding="ascii") as file:
        json.dump({"seconds": time.monotonic() - begin, "digest": found}, file)


if __name__ == "__main__":
    main()
