# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""What is shown, and the JSON file that is kept.

While it runs: a heading for each experiment, a line for each run, and for several runs the medians with their spread.
At the end: the table of targets (rows.py) with figure and verdict.  The file is {"records": [...]}, as measure.py makes
them; merge() replaces what it had of the same experiment and way."""

import json
import os
import statistics

import images
import jobs
import link
import rows
import ways
from measure import KEY, RIGHT

WORDS = {
    "wire limit": "seconds that the image's bytes take at the link's rate, and nothing else: bytes * 8 / rate",
    "xwire": "wall time / wire limit; what fetches all of an image stays above 1, as headers and the start take time too",
    "bbr, cubic": "congestion control of both ends' TCP, by measured rate or by loss; most servers use cubic",
    "ways": "httpcache, what downloads first, and other ways to read in place, such as nbdkit-cdi, nbdkit's curl plugin "
            "behind filters",
}
# What a way gives to the job.
KINDS = {"nbd": "an NBD server", "file": "a file", "qemu": "a driver of qemu", "download": "only a download, without the job"}
LINE = "{:18} {:>8} {:>6} {:>7} {:>7} {:>7} {:>8} {:>6} {:>6}  {}"


def heading(experiment):
    print(f"\n# {experiment}", flush=True)
    print(LINE.format("way", "wall s", "xwire", "cpu s", "server", "peak MB", "MB", "reqs", "drops", "result"), flush=True)


def progress(record):
    if "wall" not in record:
        print(f"{record['way']:18} {record['result']}", flush=True)
        return
    own = [f"{record[field]:.{digits}f} {unit}" for field, digits, unit in (
        ("reads_per_second", 0, "reads/s"), ("latency_us", 1, "us"), ("seconds", 1, "s")) if field in record]
    print(LINE.format(record["way"], f"{record['wall']:.2f}", xwire(record), f"{record['cpu']:.2f}",
                      f"{record['server_cpu']:.2f}", f"{record['rss_peak'] / 1e6:.0f}", f"{record['bytes'] / 1e6:.1f}",
                      record["requests"], record["dropped"], ", ".join([record["result"], *own])), flush=True)


def xwire(record):
    return f"{record['wall'] / record['limit']:.2f}" if record["limit"] else "-"


def summary(records):
    if not records or max(record["run"] for record in records) == 1:
        return
    print("medians, and spread of the wall time:", flush=True)
    for name in dict.fromkeys(record["way"] for record in records):
        right = [record for record in records if record["way"] == name and record["result"] in RIGHT]
        if not right:
            print(f"{name:18} no run was right", flush=True)
            continue
        middle = {field: statistics.median(record[field] for record in right)
                  for field in right[0] if isinstance(right[0][field], (int, float))}
        walls = [record["wall"] for record in right]
        progress({**right[0], **middle, "requests": int(middle["requests"]), "dropped": int(middle["dropped"]),
                  "result": f"{min(walls):.2f} to {max(walls):.2f} s of {len(right)}"})


# --- The file ---------------------------------------------------------------


def load(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return json.load(file)["records"]


def same(record):
    return tuple(str(record[name]) for name in KEY) + (record["way"],)


def merge(path, records):
    new = {same(record) for record in records}
    kept = [record for record in load(path) if same(record) not in new] + records
    kept.sort(key=lambda record: (*same(record), record["run"]))
    lines = ",\n".join(json.dumps({key: round(value, 4) if isinstance(value, float) else value
                                   for key, value in record.items()}) for record in kept)
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write('{"records": [\n' + lines + "\n]}\n")
    os.rename(path + ".part", path)


# --- The table of targets ---------------------------------------------------


def matching(records, cases):
    """Those of the records that are of one of these cases, on the table's links with the default parameters."""
    return [record for record in records if record["set"] == "" and any(
        all(record[name] == getattr(case, name) for name in ("link", "cc", "protocol", "image", "job")) for case in cases)]


def assess(records, wanted):
    """The lines of the table: (row's name, where, target, values of the runs, what httpcache failed with)."""
    for name in wanted:
        row = rows.ROWS[name]
        for where, cc, cases in rows.cases_of(row):
            figures = rows.Figures(matching(records, cases))
            for target in row.targets:
                yield name, f"{where} {cc}".strip(), target, sorted(target.figure(figures).values()), figures.failures()


def verdict(target, figure):
    if target.met(figure):
        return "met"
    short = abs(figure - target.limit)
    return f"short by {short:.2f}" + (f" {target.unit}" if target.unit else f" ({100 * short / target.limit:.0f} %)")


def targets(path, wanted):
    """Print it, for the rows of these names."""
    records = load(path)
    lines = [("row", "job", "link", "measure", "target", "figure", "runs", "verdict")]
    counts = {"met": 0, "short": 0, "not measured": 0}
    for name, where, target, values, failures in assess(records, wanted):
        head = name, rows.ROWS[name].text, where, target.measure, f"{target.sense} {target.limit:g} {target.unit}".strip()
        figure = statistics.median(values) if values else None
        spread = f" ({values[0]:.2f} to {values[-1]:.2f})" if len(values) > 1 else ""
        shown = "-" if figure is None else f"{figure:.3f}{spread}"
        if failures:
            words = f"short: {len(failures)} of the runs failed: {failures[0]}"
        else:
            words = "not measured" if figure is None else verdict(target, figure)
        counts[words if words in counts else "short"] += 1
        lines.append((*head, shown, str(len(values)), words))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    lines.insert(1, tuple("-" * width for width in widths))
    print()
    explain("wire limit", "bbr, cubic", "ways")
    print()
    for line in lines:
        print("  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip())
    print("\n" + ", ".join(f"{count} {word}" for word, count in counts.items()), flush=True)


def explain(*words):
    for word in words:
        print(f"  {word:20} {WORDS[word]}")


# --- The tables -------------------------------------------------------------


def tables(table):
    """What can be named on the command line, and what the words in it mean."""
    print("words:")
    explain(*WORDS)
    print("links:")
    for name, shape in link.LINKS.items():
        print(f"  {name:20} {shape}")
    print("images:")
    for name, (disk, options, kind) in images.IMAGES.items():
        what = f"{'compressed ' if options else ''}qcow2" if kind == "qcow2" else "the raw disk of the plain image"
        print(f"  {name:20} {images.DISKS[disk]} MB of files, {what}, {images.LENGTHS[name]}")
    print("jobs:")
    for name, job in jobs.JOBS.items():
        print(f"  {name:20} {job.text}; from a source of kind {', '.join(job.commands)}")
    print("ways:")
    for name, way in table.items():
        lacks = ways.missing(way)
        print(f"  {name:20} {way.text}{': ' + way.note if way.note else ''} ({KINDS[way.kind]})"
              + (f"; left out here: no {lacks}" if lacks else ""))
    print("rows:")
    for name, row in rows.ROWS.items():
        print(f"  {name:20} {row.text}; {', '.join(row.links)}")
        for target in row.targets:
            print(f"  {'':22} {target.measure} {target.sense} {target.limit:g} {target.unit}".rstrip())
