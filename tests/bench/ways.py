# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""The ways to read a remote image that are raced, as a table.

A way is given a client (jobs.py: a command that reads a source) and gives a shell command that brings the source about,
runs the client on it, and ends with its status.  A source is "nbd" (an NBD URI), "file" (a path) or "qemu" (what qemu-img
takes without -f); a job must know the kind that a way has.  Ways that download do not run the client: what they bring is
compared with the image."""

import dataclasses
import json
import os
import re
import shlex
import shutil
import subprocess


@dataclasses.dataclass(frozen=True)
class Place:
    """What a way is to read, and what it may use."""
    url: str
    image: object       # images.Image
    tmp: str            # an empty folder
    plugin: str         # the httpcache under test
    parameters: tuple = ()
    mirrors: tuple = () # URLs of the same file elsewhere

    @property
    def base(self):
        return self.url.rpartition("/")[0] + "/"

    @property
    def name(self):
        return self.url.rpartition("/")[2]


@dataclasses.dataclass(frozen=True)
class Way:
    kind: str           # nbd, file, qemu; "download" runs no client
    text: str           # for the legend of the chart
    command: object     # (Place, client) -> shell command; client is a function of the source
    needs: tuple = ()   # programs
    local: bool = False # does not use the origin
    ours: tuple = ()    # of httpcache: (plugin, parameters); an empty plugin is the one under test
    note: str = ""      # what the text does not say, for the list of ways


def nbdkit(arguments, program="nbdkit"):
    """The way of an nbdkit with these arguments."""
    def command(place, client):
        words = arguments(place) if callable(arguments) else arguments.format(url=shlex.quote(place.url))
        return f"{program} -r -U - {words} --run {shlex.quote(client('$uri'))}"
    return command


def httpcache(place, client, plugin=None, parameters=()):
    words = [plugin or place.plugin, f"url={place.url}", *(f"mirror={url}" for url in place.mirrors), "sslverify=false",
             *place.parameters, *parameters]
    return f"nbdkit -r -U - {shlex.join(words)} --run {shlex.quote(client('$uri'))}"


def no_parameter(text):
    """Why this is no parameter to give to httpcache, whatever it says to it; empty if it is one."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]*=.*", text, re.DOTALL):
        return f"'{text}' is not KEY=VALUE, such as connections=8"
    return "url is the bench's own" if text.startswith("url=") else ""


def variant(text):
    """NAME=PLUGIN.so[,PARAMETER=VALUE...]: httpcache again, to be compared with itself; an empty PLUGIN is the same."""
    name, equals, rest = text.partition("=")
    plugin, *parameters = rest.split(",")
    if not equals or not re.fullmatch(r"[\w.+-]+", name):
        raise ValueError(f"'{text}' is not NAME=[SO][,KEY=VALUE...], such as few=,connections=4 or old=../old.so")
    if name in WAYS:
        raise ValueError(f"'{name}' is a way already: give the variant another name")
    if "=" in plugin and not os.path.exists(plugin):
        raise ValueError(f"'{plugin}' is where the .so is expected; for parameters alone: {name}=,{rest}")
    for parameter in parameters:
        if no_parameter(parameter):
            raise ValueError(f"{name}: {no_parameter(parameter)}")
    plugin = os.path.abspath(plugin) if plugin else ""      # nbdkit takes a name without a slash for an installed one
    return name, Way("nbd", name, lambda place, client: httpcache(place, client, plugin, parameters), ("nbdkit",),
                     ours=(plugin, tuple(parameters)))


def refusal(plugin, url, parameters):
    """What httpcache says instead of opening this URL with these parameters; empty if it opens it."""
    words = ["nbdkit", "-r", "-U", "-", plugin, f"url={url}", "sslverify=false", *parameters, "--run", "true"]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                              timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return "it took more than 60 s to open a file of this machine"
    lines = [line.removeprefix("nbdkit: error: ") for line in done.stderr.splitlines() if line]
    return (lines[-1] if lines else f"status {done.returncode}") if done.returncode else ""


def aria2c(place, client):
    return (f"aria2c -q --check-certificate=false -x16 -s16 --file-allocation=none -d {place.tmp} -o download "
            f"{shlex.join((place.url, *place.mirrors))}" + (f" && {client(place.tmp + '/download')}" if client else ""))


def curl(place, client):
    return (f"curl -sSfk --http1.1 -o {place.tmp}/download {shlex.quote(place.url)}"
            + (f" && {client(place.tmp + '/download')}" if client else ""))


def qemu_curl(place, client):
    scheme = place.url.partition(":")[0]
    options = {"driver": scheme, "url": place.url, "timeout": 60}
    if scheme == "https":
        options["sslverify"] = "off"
    return client(shlex.quote("json:" + json.dumps({"driver": place.image.format, "file": options})))


def rclone(place, client):
    mount = f"{place.tmp}/mount"
    return (f"mkdir {mount} && rclone mount :http: {mount} --http-url {shlex.quote(place.base)} --no-check-certificate "
            f"--vfs-cache-mode full --read-only --cache-dir {place.tmp}/rclone --daemon && {client(mount + '/' + place.name)}"
            f"; status=$?; umount {mount} || fusermount3 -u {mount}; exit $status")


def file_plugin(place, client):
    return f"nbdkit -r -U - file {shlex.quote(place.image.path)} --run {shlex.quote(client('$uri'))}"


def memory_plugin(place, client):
    """Filled as a cache is, so that it reads memory, not holes."""
    run = f"head -c 64M {shlex.quote(place.image.path)} > {place.tmp}/start && nbdcopy {place.tmp}/start $uri && {client('$uri')}"
    return f"nbdkit -U - memory 64M --run {shlex.quote(run)}"


NEW = shlex.quote(os.environ.get("NBDKIT_NEW", "nbdkit-new"))
CURL = "curl url={url} sslverify=false"
WAYS = {
    "httpcache": Way("nbd", "httpcache", httpcache, ("nbdkit",), ours=("", ())),
    "one-place": Way("nbd", "httpcache without mirrors",
                     lambda place, client: httpcache(dataclasses.replace(place, mirrors=()), client), ("nbdkit",), ours=("", ())),
    "aria2c": Way("download", "aria2c -x16, download alone", aria2c, ("aria2c",)),
    "curl": Way("download", "curl, download alone", curl, ("curl",)),
    "curl-null": Way("download", "curl to /dev/null",
                     lambda place, _: f"curl -sSfk --http1.1 -o /dev/null {shlex.quote(place.url)}", ("curl",)),
    "aria2c+": Way("file", "aria2c -x16, then the job", aria2c, ("aria2c",)),
    "curl+": Way("file", "curl, then the job", curl, ("curl",)),
    "rclone": Way("file", "rclone mount", rclone, ("rclone", "fusermount3")),
    "qemu-curl": Way("qemu", "qemu's curl driver", qemu_curl, ("do:qemu_has_curl",)),
    "nbdkit-curl": Way("nbd", "nbdkit curl", nbdkit(CURL), ("nbdkit",)),
    "nbdkit-cdi": Way("nbd", "nbdkit cache+cacheextents+retry+curl",
                      nbdkit(f"--filter=cache --filter=cacheextents --filter=retry {CURL} cache-on-read=true "
                             "cache-max-size=1G"), ("nbdkit",),
                      note="called after KubeVirt's importer (CDI), which also reads by nbdkit with filters"),
    "nbdkit-new": Way("nbd", "newer nbdkit curl", nbdkit(CURL, NEW), ("do:new_nbdkit",)),
    "nbdkit-new-ra": Way("nbd", "newer nbdkit readahead+cache+curl",
                         nbdkit(f"--filter=readahead --filter=cache {CURL} cache-min-block-size=256k cache-on-read=true",
                                NEW), ("do:new_nbdkit",)),
    "nbdkit-new-scan": Way("nbd", "newer nbdkit scan+cache+curl",
                           nbdkit(f"--filter=scan --filter=cache {CURL} scan-size=2M cache-min-block-size=1M "
                                  "cache-on-read=true", NEW), ("do:new_nbdkit",)),
    "local": Way("file", "local file", lambda place, client: client(place.image.path), local=True),
    "local-nbdkit": Way("nbd", "nbdkit file, local", file_plugin, ("nbdkit",), local=True),
    "memory": Way("nbd", "nbdkit memory", memory_plugin, ("nbdkit", "nbdcopy"), local=True),
}


def qemu_has_curl():
    shown = subprocess.run(["qemu-img", "info", "json:" + json.dumps(
        {"driver": "raw", "file": {"driver": "http", "url": "http://127.0.0.1:1/"}})],
        capture_output=True, text=True, check=False)
    return "nknown driver" not in shown.stderr


def new_nbdkit():
    return bool(os.environ.get("NBDKIT_NEW"))


CHECKS = {"qemu_has_curl": ("qemu's curl driver (qemu-block-extra)", qemu_has_curl),
          "new_nbdkit": ("NBDKIT_NEW=PATH of a newer nbdkit", new_nbdkit)}


def missing(way):
    """What this way lacks on this machine, in words; empty if it can run."""
    for need in way.needs:
        if need.startswith("do:"):
            words, check = CHECKS[need[3:]]
            if not check():
                return words
        elif not shutil.which(need):
            return need
    return ""
