# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""The table of targets: what is measured for each, and how the figure comes from the records.

A row has one or more jobs on some links; each link is measured with each congestion control.  Its targets are functions
of the row's Figures, which give a value for each run: ratios are of two ways in the same run, and the figure that counts
is the median of them.  "Download" is the better of aria2c and curl in that run."""

import dataclasses

import images
import link

MiB = 1 << 20
BUDGET = 128 * MiB      # of httpcache's blocks, by default


class Figures:
    """The records of one row on one link with one congestion control."""

    def __init__(self, records):
        self._records = records

    def values(self, field, way="httpcache", job=None):
        """A dict of run -> value, of the records that are right; of any way if that is None."""
        return {record["run"]: record[field] for record in self._records
                if way in (None, record["way"]) and job in (None, record["job"]) and field in record
                and record["result"] in ("identical", "ok")}

    def failures(self, way="httpcache"):
        return [record["result"] for record in self._records if record["way"] == way
                and record["result"] not in ("identical", "ok")]

    def timed_out(self, way):
        return any(record["way"] == way and record["result"] == "timeout" for record in self._records)


def of(field, way="httpcache", job=None):
    return lambda figures: figures.values(field, way, job)


def each_run(function, *terms):
    """The function of the terms, for the runs that all of them have."""
    def value(figures):
        found = [term(figures) for term in terms]
        return {run: function(*(each[run] for each in found)) for run in found[0] if all(run in each for each in found)}
    return value


def over(a, b):
    return each_run(lambda x, y: x / y, a, b)


def best(*terms):
    """The least, of those terms that a run has."""
    def value(figures):
        found = [term(figures) for term in terms]
        return {run: min(each[run] for each in found if run in each) for run in set().union(*found)}
    return value


WALL, LIMIT, SIZE = of("wall"), of("limit"), of("size")
DOWNLOAD = best(of("wall", "aria2c"), of("wall", "curl"))
LOCAL_CONVERT = of("wall", "local")


@dataclasses.dataclass(frozen=True)
class Target:
    measure: str
    sense: str          # <=, < or >=
    limit: float
    figure: object
    unit: str = ""

    def met(self, figure):
        return {"<=": figure <= self.limit, "<": figure < self.limit, ">=": figure >= self.limit}[self.sense]


@dataclasses.dataclass(frozen=True)
class Row:
    text: str
    links: tuple
    image: str
    jobs: tuple
    ways: tuple         # that the targets are of
    targets: tuple
    also: tuple = ()    # peers, for the chart
    protocol: str = "https"


PEERS = ("aria2c+", "rclone")
ALL_PEERS = PEERS + ("qemu-curl", "nbdkit-curl", "nbdkit-cdi", "nbdkit-new", "nbdkit-new-scan")
OTHERS = tuple(name for name in link.EVERY if name != "continent")


def tool(name):
    return Target(f"{name}: wall / nbdkit curl", "<=", 0.7, over(of("wall", job=name), of("wall", "nbdkit-curl", name)))


def random_reads(depth):
    job = f"random{depth}"
    return Target(f"reads per second / nbdkit curl, {depth} deep", ">=", 1.0,
                  over(of("reads_per_second", job=job), of("reads_per_second", "nbdkit-curl", job)))


def over_local(job, words):
    return Target(f"seconds over local, {words}", "<=", 6,
                  each_run(lambda a, b: a - b, of("wall", job=job), of("wall", "local", job)), "s")


ROWS = {
    "convert": Row("convert qcow2", ("continent",), "plain", ("convert",), ("httpcache", "aria2c", "curl"), (
        Target("wall / wire limit", "<=", 1.05, over(WALL, LIMIT)),), ALL_PEERS),
    "convert-links": Row("convert qcow2", OTHERS, "plain", ("convert",), ("httpcache", "aria2c", "curl"), (
        Target("wall / download alone", "<=", 1.00, over(WALL, DOWNLOAD)),), PEERS),
    "compressed": Row("convert compressed qcow2", ("continent",), "compressed", ("convert",),
                      ("httpcache", "aria2c+", "rclone", "local"), (
        Target("wall / max(wire limit, local convert)", "<=", 1.20, over(WALL, each_run(max, LIMIT, LOCAL_CONVERT))),
        Target("wall / (aria2c, then convert)", "<", 0.6, over(WALL, of("wall", "aria2c+"))),
        Target("wall / rclone", "<", 1.0, over(WALL, of("wall", "rclone")))), ("aria2c", "curl") + ALL_PEERS),
    "compressed-links": Row("convert compressed qcow2", ("ocean", "lossy"), "compressed", ("convert",),
                            ("httpcache", "aria2c", "curl"), (
        Target("wall / download alone", "<=", 1.02, over(WALL, DOWNLOAD)),), PEERS),
    "copy": Row("nbdcopy to null:", link.EVERY, "plain", ("copy",), ("httpcache",), (
        Target("wall / wire limit", "<=", 1.10, over(WALL, LIMIT)),
        Target("bytes fetched / size", "<=", 1.01, over(of("bytes"), SIZE)))),
    "copy-compressed": Row("nbdcopy of less than 0.5 GB", ("ocean",), "compressed", ("copy",), ("httpcache",), (
        Target("wall / wire limit", "<=", 1.20, over(WALL, LIMIT)),
        Target("bytes fetched / size", "<=", 1.01, over(of("bytes"), SIZE)))),
    "mirrors": Row("convert compressed qcow2 from two places", ("mirrors",), "compressed", ("convert",), ("httpcache",), (
        Target("wall / wire limit of both", "<=", 1.10, over(WALL, LIMIT)),), ("one-place", "aria2c")),
    "loopback": Row("nbdcopy to null:", ("loopback",), "plain", ("copy",), ("httpcache", "curl-null", "local-nbdkit"), (
        Target("wall / curl to /dev/null", "<=", 1.4, over(WALL, of("wall", "curl-null"))),
        Target("CPU / (curl + nbdkit file)", "<=", 0.9, over(of("cpu"), each_run(
            lambda a, b: a + b, of("cpu", "curl-null"), of("cpu", "local-nbdkit"))))), protocol="http"),
    "hit": Row("4 KiB read of a cached block", ("loopback",), "plain", ("hit",), ("httpcache", "memory"), (
        Target("median latency / nbdkit memory", "<=", 1.1, over(of("latency_us"), of("latency_us", "memory"))),),
        protocol="http"),
    "random": Row("cold random 4 KiB reads", ("continent",), "plain", ("random1", "random16"),
                  ("httpcache", "nbdkit-curl"), (random_reads(1), random_reads(16)), ("nbdkit-new",)),
    # The reference figures can only come from a replay by the clock: 1493 reads of more than 40 ms, one by one, and 35 s
    # of thinking are 95 s and more, and nbdkit curl is given as 80.
    "boot": Row("guest boot", ("guest",), "boot", ("boot-clock", "boot"), ("httpcache", "local"), (
        over_local("boot-clock", "by its clock"), over_local("boot", "each delay added"),
        Target("MB fetched", "<=", 200, each_run(lambda n: n / 1e6, of("bytes", job="boot-clock")), "MB"))),
    "boot-thin": Row("guest boot", ("thin",), "boot", ("boot-clock",), ("httpcache", "nbdkit-curl"), (
        Target("wall / nbdkit curl", "<=", 1.0, over(WALL, of("wall", "nbdkit-curl"))),)),
    "tools": Row("qemu-img info, map, check", ("continent",), "plain", ("info", "map", "check"),
                 ("httpcache", "nbdkit-curl"), (tool("info"), tool("map"), tool("check"))),
    "clients": Row("8 clients convert at once", ("continent",), "plain", ("convert8",), ("httpcache",), (
        Target("bytes from the origin / size", "<=", 1.02, over(of("bytes"), SIZE)),)),
    "beside": Row("random reads beside a copy", ("continent",), "plain", ("random1", "random-beside-copy"), ("httpcache",), (
        Target("median latency / alone", "<=", 1.5,
               over(of("latency_us", job="random-beside-copy"), of("latency_us", job="random1"))),)),
    "memory": Row("8 clients convert at once", ("continent",), "plain", ("convert8",), ("httpcache",), (
        Target("peak memory - budget of the blocks", "<=", 32,
               each_run(lambda peak: (peak - BUDGET) / MiB, of("nbdkit_peak")), "MiB"),)),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """What a record is matched with."""
    link: str
    cc: str
    protocol: str
    image: str
    job: str


def cases_of(row):
    """The row's instances: a link, a congestion control, and the cases of its jobs."""
    for name in row.links:
        shape = link.LINKS[name]
        for cc in link.CONTROLS if shape.rate else ("",):
            yield name, cc, [Case(name, cc, row.protocol, images.for_link(row.image, shape), job) for job in row.jobs]


def cases(wanted, links, controls, quick):
    """What to measure for these rows on these links: pairs of a case and its ways, each case once."""
    found = {}
    for name in wanted:
        row = ROWS[name]
        for where, cc, instances in cases_of(row):
            if where in links and (not cc or cc in controls):
                for case in instances:
                    names = found.setdefault(case, {})
                    names.update(dict.fromkeys(row.ways + (() if quick else row.also)))
    return [(case, list(names)) for case, names in found.items()]
