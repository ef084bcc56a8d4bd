# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""The table of links, and a link while it is up.

A Link runs wanlink (wanlink.cc), whose two namespaces are entered by file descriptor; a Loopback has the same face and
simulates nothing.  Both are context managers.  What wanlink makes ends with it, and it ends with this process, however
that ends.  A client may be at the end of several links, each to a place of its own."""

import ctypes
import dataclasses
import os
import signal
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


@dataclasses.dataclass(frozen=True)
class Shape:
    """What a link is like; a rate of 0 is no link at all."""
    name: str
    rtt: float          # ms
    rate: float         # Mbit/s
    loss: float = 0     # per cent
    queue_ms: float = 100
    places: int = 1     # that the image is at, each behind a link like this

    def __str__(self):
        if not self.rate:
            return self.name
        loss = f", {self.loss:g} % loss" if self.loss else ""
        several = f"{self.places} links of " if self.places > 1 else ""
        return f"{self.name} ({several}{self.rtt:g} ms, {self.rate:g} Mbit/s{loss})"


LINKS = {shape.name: shape for shape in (
    Shape("lan", 0.5, 2000),
    Shape("metro", 10, 500),
    Shape("continent", 40, 500),
    Shape("ocean", 120, 200),
    Shape("lossy", 60, 300, loss=0.05),
    Shape("thin", 80, 20),
    Shape("guest", 40, 200),            # where a guest boots
    Shape("mirrors", 40, 50, places=2),
    Shape("loopback", 0, 0),
)}
# The links that a row of the targets means by "every link", in the order of the chart.
EVERY = ("lan", "metro", "continent", "ocean", "lossy", "thin")
CONTROLS = ("bbr", "cubic")


def libc(name, *args):
    if getattr(LIBC, name)(*args) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def enter(namespace):
    """Move this process into the network namespace of that path, if any, and let it end with its parent."""
    libc("prctl", PR_SET_PDEATHSIG, signal.SIGTERM)
    if namespace:
        fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
        libc("setns", fd, CLONE_NEWNET)
        os.close(fd)


def available_controls():
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control", encoding="ascii") as file:
        return file.read().split()


def default_control():
    with open("/proc/sys/net/ipv4/tcp_congestion_control", encoding="ascii") as file:
        return file.read().strip()


def program(folder):
    """The path of wanlink: that which make built, or one compiled now into FOLDER."""
    source = os.path.join(HERE, "wanlink.cc")
    places = [os.path.join(folder, "wanlink")]
    if os.environ.get("abs_top_builddir"):
        places.insert(0, os.path.join(os.environ["abs_top_builddir"], "tests", "bench", "wanlink"))
    for place in places:
        if os.path.exists(place) and os.path.getmtime(place) >= os.path.getmtime(source):
            return place
    os.makedirs(folder, exist_ok=True)
    subprocess.run([os.environ.get("CXX", "g++"), "-std=c++20", "-O2", "-o", places[-1], source], check=True)
    return places[-1]


class Loopback:
    """No link: origin and client are where this process is."""
    address = "127.0.0.1"
    origin_namespace = client_namespace = None
    pid = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def dropped(self):
        return 0


class Link:
    """A simulated link of this shape, up from __enter__ to __exit__: the NUMBERth of its client, whose namespace is made
    with the first and given to the others."""

    def __init__(self, shape, control, folder, number=0, client_namespace=None):
        self.address = f"198.18.{number}.1"     # the origin's
        self._command = [program(folder), "--rtt", str(shape.rtt), "--rate", str(shape.rate),
                         "--loss", str(shape.loss), "--queue-ms", str(shape.queue_ms), "--net", str(number)]
        if client_namespace:
            self._command += ["--client-namespace", client_namespace]
        if control:
            self._command += ["--cc", control]

    def __enter__(self):
        # pylint: disable=consider-using-with
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: enter(None))
        self.pid = self._process.pid
        words = self._process.stdout.readline().split()
        if not words:
            raise SystemExit("bench: no link: wanlink did not start")
        self.origin_namespace, self.client_namespace = words[1:]
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()

    def dropped(self):
        """Packets lost so far, in both directions."""
        self._process.send_signal(signal.SIGUSR1)
        words = self._process.stdout.readline().split()
        return int(words[2]) + int(words[4])
