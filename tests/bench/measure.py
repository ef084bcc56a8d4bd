# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""Measure: the runs of one experiment, its ways interleaved (A B C A B C), each as a record.

An Experiment is one link, one image, one protocol and one job.  A record is a dict that can be JSON: the experiment's
key (KEY), way and run; wall, cpu (of the way's processes; server_cpu and link_cpu apart), rss_peak and nbdkit_peak;
requests, bytes and connections as the origins saw them, dropped packets; result ("identical", "ok", or what went wrong);
what the job itself measured; and where it comes from (commit, date, control of the kernel, nproc)."""

import dataclasses
import datetime
import fcntl
import os
import shutil
import subprocess
import tempfile

import jobs
import ways
from link import HERE, Shape, default_control
from places import Places
from reaper import supervise

# What makes two records be of the same experiment.
KEY = ("link", "rtt", "rate", "loss", "queue_ms", "cc", "protocol", "image", "job", "set")
RIGHT = ("identical", "ok")


@dataclasses.dataclass(frozen=True)
class Experiment:
    shape: Shape
    cc: str             # "" is the kernel's
    protocol: str       # http, https, h2
    image: object       # images.Image
    job: str            # of jobs.JOBS
    set: tuple = ()     # parameters of httpcache

    def key(self):
        return {**{name: getattr(self.shape, name) for name in ("rtt", "rate", "loss", "queue_ms")},
                "link": self.shape.name, "cc": self.cc, "protocol": self.protocol, "image": self.image.name,
                "job": self.job, "set": " ".join(self.set)}

    @property
    def limit(self):
        """Seconds that the wire, or all of them at once, needs for the whole file; 0 if there is none."""
        return self.image.size * 8 / self.shape.rate / self.shape.places / 1e6 if self.shape.rate else 0

    def __str__(self):
        limit = f", wire limit {self.limit:.1f} s" if self.limit else ""
        text = " ".join(("", *self.set)) if self.set else ""
        return (f"{jobs.JOBS[self.job].text}, {self.image.name} {self.image.size / 1e6:.0f} MB, {self.protocol}, {self.shape}"
                f"{', ' + self.cc if self.cc else ''}{limit}{text}")


@dataclasses.dataclass(frozen=True)
class Settings:
    runs: int
    timeout: float      # seconds; 0: by the wire limit
    data: str           # folder of images
    tmp: str            # folder for what is downloaded and converted
    plugin: str
    lock: str = ""      # of a machine that several share: held during each run


def origin_of_records():
    git = ["git", "-C", HERE, "describe", "--always", "--dirty", "--exclude=*"]
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    return {"commit": found.stdout.strip() or "unknown",
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
            "kernel_cc": default_control(), "nproc": os.cpu_count()}


class Bench:
    """Runs experiments; table is a dict of the ways, told is called with each record."""

    def __init__(self, settings, table, told):
        self._settings, self._table, self._told = settings, table, told
        self._from = origin_of_records()

    def run(self, experiment, names):
        """Gives the records of these ways, in the order of the runs."""
        s, records, out = self._settings, [], set()
        with Places(experiment.shape, experiment.cc, os.path.dirname(experiment.image.path), s.data) as places:
            for run in range(1, s.runs + 1):
                for name in names:
                    if name in out:
                        continue
                    with _held(s.lock):
                        record = self._one(experiment, self._table[name], places)
                    record.update(experiment.key(), way=name, run=run, limit=experiment.limit, size=experiment.image.size,
                                  text=self._table[name].text, **self._from)
                    records.append(record)
                    self._told(record)
                    if record["result"] == "timeout":
                        out.add(name)       # it would be no faster the next time
        return records

    def _timeout(self, experiment):
        if self._settings.timeout:
            return self._settings.timeout
        return 240 if experiment.job.startswith("boot") else max(60, 4 * experiment.limit) * jobs.JOBS[experiment.job].clients ** 0.5

    def _one(self, experiment, way, places):
        job, image = jobs.JOBS[experiment.job], experiment.image
        tmp = tempfile.mkdtemp(prefix="httpcache-bench-", dir=self._settings.tmp)
        try:
            url, *mirrors = places.urls(experiment.protocol, os.path.basename(image.path))
            place = ways.Place(url, image, tmp, self._settings.plugin, experiment.set, tuple(mirrors))
            # A way that downloads runs the job if there is one for files.
            client = None if way.kind == "download" else jobs.command(job, way.kind, image, tmp)
            if client is None and way.kind != "download":
                return {"result": f"{experiment.job} cannot read a source of kind {way.kind}"}
            places.mark()
            before = places.used()
            record = supervise(way.command(place, client), None if way.local else places.client_namespace,
                               self._timeout(experiment))
            record["requests"], record["bytes"], record["connections"] = places.seen()
            record["server_cpu"], record["link_cpu"], record["dropped"] = (
                round(now - then, 2) for now, then in zip(places.used(), before))
            record["result"] = self._result(record.pop("status"), record.pop("error"), job, way, image, tmp)
            if record["result"] in RIGHT and way.kind != "download":
                record.update(jobs.figures(job, tmp))
            return record
        finally:
            shutil.rmtree(tmp, ignore_errors=True)

    @staticmethod
    def _result(status, error, job, way, image, tmp):
        if status == "timeout":
            return status
        if status != 0:
            return f"status {status}: {' '.join(error.split())[-160:]}"
        if way.kind != "download":
            return jobs.verified(job, image, tmp)
        if not os.path.exists(f"{tmp}/download"):
            return "ok"
        compare = ["qemu-img", "compare", "-f", "raw", "-F", "raw", f"{tmp}/download", image.path]
        same = (os.path.getsize(f"{tmp}/download") == image.size
                and subprocess.run(compare, stdout=subprocess.DEVNULL, check=False).returncode == 0)
        return "identical" if same else "wrong"


class _held:
    """While it lasts, nobody else holds the lock of that file, if any."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        if self._path:
            self._file = open(self._path, "ab")     # pylint: disable=consider-using-with
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        if self._path:
            self._file.close()
