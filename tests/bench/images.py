# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""The images that are served: made once, into the folder of BENCH_DATA, and never again while they are there.

An image is a qcow2 file of an ext4 filesystem with real files (of this machine's libraries), either plain or compressed
as most cloud images are; and what a convert of it must equal.  The sizes do not depend on how much a machine has: more
files than wanted are left out, and fewer are made up with bytes that do not compress."""

import dataclasses
import os
import random
import shutil
import subprocess

MB = 1000 * 1000


@dataclasses.dataclass(frozen=True)
class Image:
    name: str
    path: str
    format: str         # that clients are to read it as
    truth: str = None   # a raw file that a convert of it equals, if there is one

    @property
    def size(self):
        return os.path.getsize(self.path)


# NAME: (the raw disk that it is made of, qcow2 options, format)
IMAGES = {
    "plain": ("disk", [], "qcow2"),
    "compressed": ("disk", ["-c"], "qcow2"),
    "small": ("small", [], "qcow2"),
    "small-compressed": ("small", ["-c"], "qcow2"),
    # The recorded boot reads a raw file at the offsets of a qcow2 file of 1.08 GB.
    "boot": ("disk", [], "raw"),
}
# How long they are; of the compressed ones it depends on the files, and of the raw one a fifth are holes.
LENGTHS = {"plain": "1.1 GB", "compressed": "0.4 GB", "small": "65 MB", "small-compressed": "30 MB", "boot": "1.4 GB"}
# NAME: megabytes of files in it; the recorded boot wants a file of 1084 MB at least
DISKS = {"disk": 1100, "small": 64}
# On links slower than this (Mbit/s) the small images are taken.
THIN = 50
SMALLER = {"plain": "small", "compressed": "small-compressed"}
TREES = ("/usr/lib", "/usr/share", "/usr/bin")


def for_link(name, shape):
    """The image to take on this link for the one of that name."""
    return SMALLER.get(name, name) if 0 < shape.rate < THIN else name


def find(name, folder):
    """The image of this name, made if need be; or of a file."""
    if name not in IMAGES:
        with open(name, "rb") as file:
            kind = "qcow2" if file.read(4) == b"QFI\xfb" else "raw"
        return Image(os.path.basename(name), os.path.abspath(name), kind)
    disk, options, kind = IMAGES[name]
    raw = os.path.join(folder, f"{disk}.raw")
    path = os.path.join(folder, disk + ("c" if options else "") + ".qcow2")
    if not os.path.exists(raw):
        make_disk(raw, DISKS[disk])
    if not os.path.exists(path):
        print(f"bench: making {path}", flush=True)
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, raw, path + ".part"], check=True)
        os.rename(path + ".part", path)
    return Image(name, path, kind, raw if kind == "qcow2" else path)


def make_disk(raw, megabytes):
    """A raw disk of an ext4 filesystem that holds so many MB of files."""
    if not shutil.which("mkfs.ext4"):
        raise SystemExit("bench: there is no mkfs.ext4 here to make an image: tests/bench/run --install installs it")
    print(f"bench: making {raw}, {megabytes} MB of files", flush=True)
    os.makedirs(os.path.dirname(raw), exist_ok=True)
    tree = raw + ".tree"
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(tree)
    left, number = megabytes * MB, 0
    for path in sorted_files():
        size = os.path.getsize(path)
        if 4096 < size <= left:
            shutil.copyfile(path, f"{tree}/{number}")
            left, number = left - size, number + 1
        if left < MB:
            break
    with open(f"{tree}/random", "wb") as file:
        made_up = random.Random(1)
        while left > 0:
            left -= file.write(made_up.randbytes(min(left, MB)))
    with open(raw + ".part", "wb") as file:
        file.truncate(megabytes * MB * 5 // 4 // 4096 * 4096 + (64 << 20))
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", tree, raw + ".part"], check=True)
    shutil.rmtree(tree)
    os.rename(raw + ".part", raw)


def sorted_files():
    for top in TREES:
        for folder, folders, names in os.walk(top):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path) and os.access(path, os.R_OK):
                    yield path
