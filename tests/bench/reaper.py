# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""Run a shell command with all of its descendants, count what they use, and leave none of them.

supervise() forks a process that is the reaper of its descendants (PR_SET_CHILD_SUBREAPER): daemons that double-fork
become its children, and so their CPU time is counted and none can stay.  The command is timed until it ends itself; the
daemons that it leaves have `grace` seconds to end, and are then killed.  When the time is up, or this process ends,
everything is killed."""

import json
import os
import resource
import select
import signal
import subprocess
import tempfile
import time

from link import CLONE_NEWNS, PR_SET_CHILD_SUBREAPER, enter, libc

PERIOD = 0.2            # seconds between two looks at the memory
PAGE = os.sysconf("SC_PAGE_SIZE")
MS_REC_PRIVATE = 0x4000 | 0x40000


def supervise(command, namespace, timeout, grace=10, environment=None):
    """Run it in the network namespace; gives a dict of status ("timeout" if it took too long), error (the end of what it
    said), wall, cpu, rss_peak (the most that all had at once) and nbdkit_peak (the most that one nbdkit had), in bytes."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read_end)
            _Reaper(namespace, timeout, grace).run(command, environment, write_end)
            status = 0
        except BaseException as error:  # pylint: disable=broad-except
            os.write(2, f"bench: {error!r}\n".encode())
        finally:
            os._exit(status)
    os.close(write_end)
    try:
        with os.fdopen(read_end) as file:
            text = file.read()
    finally:
        try:
            os.kill(child, signal.SIGTERM)
        except ProcessLookupError:
            pass
        os.waitpid(child, 0)
    if not text:
        raise SystemExit("bench: the command could not be run")
    return json.loads(text)


class _Reaper:
    def __init__(self, namespace, timeout, grace):
        self._timeout, self._grace = timeout, grace
        self._rss_peak = self._nbdkit_peak = 0
        self._statuses = {}
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: (self._kill(), os._exit(1)))
        libc("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        enter(namespace)
        if os.geteuid() == 0:
            # What is mounted goes away with the last process.
            libc("unshare", CLONE_NEWNS)
            libc("mount", b"none", b"/", None, MS_REC_PRIVATE, None)

    def run(self, command, environment, report):
        with tempfile.TemporaryFile() as said:
            begin = time.monotonic()
            main = subprocess.Popen(["sh", "-c", command], stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                    env={**os.environ, **(environment or {})}, start_new_session=True)
            ended = self._watch(os.pidfd_open(main.pid), begin + self._timeout)
            wall = (ended or time.monotonic()) - begin
            if ended:
                self._reap_until(time.monotonic() + self._grace)
            self._kill()
            status = self._statuses[main.pid]
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            said.seek(max(0, said.seek(0, os.SEEK_END) - 400))
            error = said.read().decode(errors="replace").strip()
        os.write(report, json.dumps({
            "status": "timeout" if not ended else os.waitstatus_to_exitcode(status),
            "error": error, "wall": wall, "cpu": used.ru_utime + used.ru_stime,
            "rss_peak": self._rss_peak, "nbdkit_peak": self._nbdkit_peak}).encode())

    def _watch(self, pidfd, end):
        """Wait for the process; gives when it ended, None if it took too long."""
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        while time.monotonic() < end:
            ended = time.monotonic() if poll.poll(PERIOD * 1000) else None
            self._look()
            if ended:
                return ended
        return None

    def _look(self):
        total = 0
        for pid, name in self._descendants():
            try:
                with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                    total += int(file.read().split()[1]) * PAGE
                if name == "nbdkit":
                    with open(f"/proc/{pid}/status", encoding="ascii") as file:
                        high = next((line for line in file if line.startswith("VmHWM:")), "x 0")
                    self._nbdkit_peak = max(self._nbdkit_peak, int(high.split()[1]) * 1024)
            except OSError:
                pass            # it has just ended
        self._rss_peak = max(self._rss_peak, total)

    @staticmethod
    def _descendants():
        parents, names = {}, {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                        head, _, tail = file.read().rpartition(")")
                except OSError:
                    continue
                names[int(entry)] = head.partition("(")[2]
                parents.setdefault(int(tail.split()[1]), []).append(int(entry))
        found, todo = [], [os.getpid()]
        while todo:
            for pid in parents.get(todo.pop(), []):
                found.append((pid, names[pid]))
                todo.append(pid)
        return found

    def _reap_until(self, end):
        """Collect those that end; true if there are no more."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid:
                self._statuses[pid] = status
            elif time.monotonic() > end:
                return False
            else:
                time.sleep(0.01)

    def _kill(self):
        while not self._reap_until(0):
            for pid, _ in self._descendants():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self._reap_until(time.monotonic() + 0.1)
