# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""What is done with an image, as a table; and how its result is verified and its own figures are read.

A job is a shell command for each kind of source (ways.py) that it can use, with {src} for the source, {fmt} for the
image's format, {out} for a file to write, {tmp} for a folder, {start} for a file that is not there yet.  The figures of a
job are what its command wrote into {tmp}: fio's JSON, or replay.py's."""

import dataclasses
import json
import os
import shlex
import subprocess
import sys

import replay
from link import HERE

TRACE = os.path.join(HERE, "boot-trace.txt")
CONVERT = "qemu-img convert -f {fmt} -O raw {src} {out}"
QEMU_CONVERT = "qemu-img convert -O raw {src} {out}"
# The same without a file: for all but the one whose result is compared.
CONVERT_AWAY = ("qemu-img convert -n -f {fmt} --target-image-opts {src} driver=null-co,read-zeroes=on,"
                "size=$(qemu-img info --output=json -f {fmt} {src} | sed -n 's/.*\"virtual-size\": \\([0-9]*\\).*/\\1/p' | head -n 1)")


def fio(options, engine="nbd"):
    source = "--uri={src}" if engine == "nbd" else "--filename={src}"
    return (f"fio --name=bench --ioengine={engine} {source} --output-format=json --output={{tmp}}/fio.json --rw=randread "
            f"--bs=4k --randrepeat=1 --time_based {options}")


COLD = "--runtime=10 --size={size}"
# The other reader is in the background; which of the two ends first does not matter.
BESIDE = "(nbdcopy {src} null: & exec >/dev/null 2>&1; " + fio(COLD) + "; status=$?; kill $!; wait; exit $status)"


@dataclasses.dataclass(frozen=True)
class Job:
    text: str
    commands: dict              # kind of source -> command
    verify: str = ""            # raw: {out} is the image's truth; same: {out} is what a local run gives
    figures: str = ""           # fio, replay
    clients: int = 1


def qemu_job(text, words, verify="same"):
    return Job(text, {kind: f"qemu-img {words} {'' if kind == 'qemu' else '-f {fmt} '}{{src}} > {{out}}"
                      for kind in ("nbd", "file", "qemu")}, verify)


def replay_job(text, pace):
    words = shlex.join([sys.executable, replay.__file__, pace, TRACE]) + " {src} {tmp}/replay.json"
    return Job(text, {"nbd": words, "file": words}, "replay", figures="replay")


JOBS = {
    "convert": Job("qemu-img convert to local raw", {"nbd": CONVERT, "file": CONVERT, "qemu": QEMU_CONVERT}, "raw"),
    "convert8": Job("8 of them at once", {
        "nbd": "(pids=; for i in 1 2 3 4 5 6 7; do " + CONVERT_AWAY + " & pids=\"$pids $!\"; done; " + CONVERT +
               " || exit; for pid in $pids; do wait $pid || exit; done)"}, "raw", clients=8),
    "copy": Job("nbdcopy to null:", {"nbd": "nbdcopy {src} null:", "file": "nbdcopy {src} null:"}),
    "info": qemu_job("qemu-img info", "info --output=json", "virtual-size"),
    "map": qemu_job("qemu-img map", "map --output=json"),
    "check": qemu_job("qemu-img check", "check --output=json", "check"),
    "hit": Job("4 KiB reads of cached blocks", {
        "nbd": f"{sys.executable} -m nbd -u {{src}} -c 'h.pread(8 << 20, 0)' && "
               + fio("--ramp_time=1 --runtime=3 --size=8m --iodepth=1")}, figures="fio"),
    "random1": Job("cold random 4 KiB reads, 1 deep", {"nbd": fio(COLD + " --iodepth=1"),
                                                      "file": fio(COLD, "psync")}, figures="fio"),
    "random16": Job("cold random 4 KiB reads, 16 deep", {"nbd": fio(COLD + " --iodepth=16")}, figures="fio"),
    "random-beside-copy": Job("the same, 1 deep, beside an nbdcopy", {"nbd": BESIDE}, figures="fio"),
    "boot": replay_job("the reads of a guest's boot, each delay added", "thinking"),
    "boot-clock": replay_job("the reads of a guest's boot, by its clock", "by-clock"),
}


def command(job, kind, image, tmp):
    """A function of the source that gives the shell command; None if the job cannot use such a source."""
    if kind not in job.commands:
        return None
    # Not str.format: the commands are full of the shell's own braces.
    words = job.commands[kind]
    for key, value in {"fmt": image.format, "out": f"{tmp}/out", "tmp": tmp, "size": str(image.size)}.items():
        words = words.replace("{" + key + "}", value)
    quote = '"{}"'.format if kind == "nbd" else str
    return lambda source: words.replace("{src}", quote(source))


def verified(job, image, tmp):
    """Whether the result is right: "identical", "wrong", or "ok" when there is nothing to compare."""
    out = f"{tmp}/out"
    if job.verify == "raw":
        truth = ["raw", out, image.truth] if image.truth else [image.format, out, image.path]
        same = subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", *truth],
                              stdout=subprocess.DEVNULL, check=False).returncode == 0
    elif job.verify == "replay":
        with open(f"{tmp}/replay.json", encoding="ascii") as file:
            same = json.load(file)["digest"] == replay.digest(TRACE, image.path)
    elif job.verify:
        with open(out, encoding="utf-8") as file:
            got = json.load(file)
        local = subprocess.run(["sh", "-c", command(job, "file", image, tmp)(image.path)], check=False)
        with open(out, encoding="utf-8") as file:
            wanted = json.load(file)
        keys = {"virtual-size": ("virtual-size", "format", "cluster-size"),
                "check": ("check-errors", "image-end-offset", "total-clusters", "allocated-clusters")}.get(job.verify)
        if keys:
            got, wanted = ([whole.get(key) for key in keys] for whole in (got, wanted))
        same = local.returncode == 0 and got == wanted
    else:
        return "ok"
    return "identical" if same else "wrong"


def figures(job, tmp):
    """A dict of what the job itself measured: seconds, reads_per_second, latency_us (median)."""
    if not job.figures:
        return {}
    with open(f"{tmp}/{job.figures}.json", encoding="utf-8") as file:
        text = file.read()
    found = json.loads(text[text.index("{"):])          # fio may say something before
    if job.figures == "fio":
        read = found["jobs"][0]["read"]
        found = {"reads_per_second": read["iops"], "latency_us": read["clat_ns"]["percentile"]["50.000000"] / 1000}
    return found
