#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# The benchmark without its speed: the tables name only what there is, a run on the loopback counts what it should, and
# results become the right verdicts and a chart.  Whoever reads those trusts them without looking at a run.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"

bench=("$python" "$srcdir/bench/bench")

# The tables are consistent.
"${bench[@]}" --help > "$tmp/help.txt"
expect_text "--help" "$tmp/help.txt" '^usage: bench '
expect_text "--help" "$tmp/help.txt" '\(default: convert\)'
"${bench[@]}" --list > "$tmp/list.txt"
for name in continent plain convert8 httpcache aria2c boot-thin mirrors; do
    expect_text "--list" "$tmp/list.txt" "^  $name "
done
expect_text "--list" "$tmp/list.txt" '^  wire limit +seconds '
PYTHONPATH=$srcdir/bench "$python" - << 'END_OF_CHECK'
import images, jobs, link, rows, shlex, ways
assert images.LENGTHS.keys() == images.IMAGES.keys()
for name, row in rows.ROWS.items():
    assert row.targets and row.ways, name
    assert set(row.links) <= set(link.LINKS), name
    assert row.image in images.IMAGES, name
    for job in row.jobs:
        for way in map(ways.WAYS.get, row.ways + row.also):
            assert way.kind == "download" or way.kind in jobs.JOBS[job].commands, (name, job, way)
    rows.Figures([])
    for target in row.targets:
        assert target.figure(rows.Figures([])) == {}, name
cases = rows.cases(list(rows.ROWS), list(link.LINKS), link.CONTROLS, quick=False)
assert len(cases) == len({case for case, _ in cases})

# Who can read several places is told of all, the others of the first.
place = ways.Place("http://a/f", None, "/tmp", "plugin", mirrors=("http://b/f",))
told = {name: shlex.split(ways.WAYS[name].command(place, lambda _: "true")) for name in ("httpcache", "one-place", "aria2c")}
assert {"url=http://a/f", "mirror=http://b/f"} <= set(told["httpcache"]), told
assert "url=http://a/f" in told["one-place"] and not any("http://b/f" in word for word in told["one-place"]), told
assert {"http://a/f", "http://b/f"} <= set(told["aria2c"]), told
END_OF_CHECK
expect_failure "${bench[@]}" --rows nonsense --json "$tmp/none.json" --report 2> "$tmp/nonsense.txt"
expect_text "a row that is not there" "$tmp/nonsense.txt" 'there is no row nonsense'

# What cannot be meant is refused before anything is measured, in words: misuse TEXT ARGUMENT...
misuse ()
{
    local text=$1 status=0
    shift
    "${bench[@]}" --data "$tmp/none" --image small "$@" > "$tmp/misuse.txt" 2>&1 || status=$?
    expect_equal "status of bench $*" "$status" 2
    expect_text "bench $*" "$tmp/misuse.txt" "^bench: error: .*$text"
}
misuse "'connections' is not KEY=VALUE" --set connections
misuse "'=4' is not KEY=VALUE" --set =4
misuse "url is the bench's own" --set url=http://localhost/
misuse "few: 'connections' is not KEY=VALUE" --variant few=,connections
misuse "for parameters alone: few=,connections=4" --variant few=connections=4
misuse "'few' is not NAME=" --variant few
misuse "'curl' is a way already" --variant curl=,connections=4
misuse "--image is of one experiment" --rows boot
misuse "one --link" --link lan,thin
misuse "'0' is not a number from 1" --runs 0
misuse "say --json" --report
misuse "there is no such folder" --json "$tmp/none/results.json"

# Fixed results have these verdicts: the medians of ratios in the same run, and a failed run is never met.
sample=$srcdir/bench/sample.json
"${bench[@]}" --rows all --json "$sample" --report > "$tmp/targets.txt"
verdict () { awk -F '  +' -v row="$1" -v link="$2" -v measure="$3" '$1 == row && $3 == link && $4 ~ measure { print $6 ": " $NF }' "$tmp/targets.txt"; }
expect_equal convert "$(verdict convert 'continent cubic' wire)" '1.050 (1.00 to 1.10): met'
expect_equal convert-links "$(verdict convert-links 'ocean cubic' alone)" \
    '1.075 (1.00 to 1.15): short: 1 of the runs failed: wrong'
expect_equal compressed-links "$(verdict compressed-links 'lossy cubic' alone)" '1.000: met'
expect_equal clients "$(verdict clients 'continent cubic' origin)" '1.010: met'
expect_equal memory "$(verdict memory 'continent cubic' memory)" '40.000: short by 8.00 MiB'
expect_equal boot "$(verdict boot 'guest cubic' 'by its clock')" '5.000: met'
expect_equal "not measured" "$(verdict copy 'thin bbr' wire)" '-: not measured'
expect_text "the sum" "$tmp/targets.txt" '^5 met, 2 short, [0-9]+ not measured$'

# The chart.
chart=("$python" "$srcdir/bench/chart")
"${chart[@]}" --help > "$tmp/chart-help.txt"
expect_text "chart --help" "$tmp/chart-help.txt" '^usage: chart .* RESULTS.json CHART.svg$'
for words in "" "$sample" "$sample $tmp/a.svg $tmp/b.svg" "$tmp/none.json $tmp/a.svg" "$sample $tmp/results.json"; do
    status=0
    # shellcheck disable=SC2086     # several words
    "${chart[@]}" $words > "$tmp/chart.txt" 2>&1 || status=$?
    expect_equal "status of chart $words" "$status" 2
    expect_text "chart $words" "$tmp/chart.txt" '^chart: error: '
done
if command -v gnuplot > /dev/null; then
    "${chart[@]}" "$sample" "$tmp/chart.svg"
    expect_text chart "$tmp/chart.svg" 'qemu-img convert of a qcow2, cubic'
    expect_text chart "$tmp/chart.svg" '</svg>'
fi

# A run without a link, and merging: the same experiment again replaces what was there.
requires nginx openssl qemu-img plugin:null curl
make_disk "$tmp/disk.raw"
make_qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"
mkdir "$tmp/data"
plugin=$abs_top_builddir/plugin/.libs/nbdkit-httpcache-plugin.so
# With a sanitizer, nbdkit only runs by the wrapper; the peers do without httpcache.
ways=httpcache,curl,curl+
if [ -n "${NBDKIT_PRELOAD-}" ] || [ "${NBDKIT_VALGRIND-}" = 1 ]; then ways=curl,curl+; fi

# Parameters that httpcache refuses, alone or together, end it once and before the images are made: refused TEXT ARGUMENT...
refused ()
{
    local text=$1 status=0
    shift
    "${bench[@]}" --link loopback --image small --tmp "$tmp" --data "$tmp/none" --plugin "$plugin" "$@" \
        > "$tmp/refused.txt" 2>&1 || status=$?
    expect_equal "status of bench $*" "$status" 1
    expect_text "bench $*" "$tmp/refused.txt" "^bench: httpcache does not start with $text"
    expect_no_text "bench $*" "$tmp/refused.txt" '^bench: making|^way '
}
if [ "$ways" = httpcache,curl,curl+ ]; then
    refused "--set connectoins=4: unknown parameter" --set connectoins=4
    refused "--set password=x: password= is given without user=" --set password=x --protocol http
    refused "--set connections=4 --variant few: unknown parameter" --set connections=4 --variant few=,connectoins=4 --ways curl
fi

# The plugin that is taken without a word is ./quickstart's if there is no nearer one; without any, it says how to get one.
mkdir -p "$tmp/tree/tests"
cp -r "$srcdir/bench" "$tmp/tree/tests/"
found ()
{
    (cd "$tmp"; unset abs_top_builddir HTTPCACHE_PLUGIN
     "$python" "$tmp/tree/tests/bench/bench" --link loopback --image small --tmp "$tmp" --data "$tmp/none") \
        > "$tmp/found.txt" 2>&1 || return 0
    fail "bench ran without an httpcache: $(cat "$tmp/found.txt")"
}
found
expect_text "no httpcache" "$tmp/found.txt" '^bench: there is no httpcache: run ./quickstart'
mkdir -p "$tmp/tree/build/quickstart/plugin/.libs"
: > "$tmp/tree/build/quickstart/plugin/.libs/nbdkit-httpcache-plugin.so"
found
expect_text "the one of ./quickstart" "$tmp/found.txt" '^bench: httpcache is .*/tree/build/quickstart/plugin/'
expect_text "the one of ./quickstart" "$tmp/found.txt" '^bench: httpcache does not start: '

for runs in 2 1; do
    "${bench[@]}" --link loopback --image "$tmp/disk.qcow2" --ways "$ways" --runs $runs --tmp "$tmp" --data "$tmp/data" \
        --plugin "$plugin" --json "$tmp/results.json" --protocol http > "$tmp/run.log" 2>&1 || fail "bench: $(cat "$tmp/run.log")"
    "$python" - "$tmp/results.json" $runs "$ways" "$tmp/disk.qcow2" << 'END_OF_CHECK'
import json, os, sys
records = json.load(open(sys.argv[1]))["records"]
ways, size = sys.argv[3].split(","), os.path.getsize(sys.argv[4])
assert sorted((r["way"], r["run"]) for r in records) == sorted((w, n + 1) for w in ways for n in range(int(sys.argv[2])))
for record in records:
    assert record["result"] in ("identical", "ok"), record
    assert record["bytes"] >= size if record["way"] != "httpcache" else record["bytes"] > 0, record
    assert record["requests"] >= 1 and record["wall"] > 0 and record["rss_peak"] >= 0, record
END_OF_CHECK
done

# An image in two places: a way knows both, and what they were asked for is counted together.
PYTHONPATH=$srcdir/bench "$python" - "$tmp" "$tmp/disk.qcow2" << 'END_OF_CHECK'
import shlex, sys
import images, link, measure, ways
image = images.find(sys.argv[2], sys.argv[1])
both = ways.Way("download", "both", lambda place, _: f"curl -sSf {shlex.join((place.url, *place.mirrors))} > /dev/null")
bench = measure.Bench(measure.Settings(1, 0, sys.argv[1], sys.argv[1], ""), {"both": both}, lambda _: None)
[record] = bench.run(measure.Experiment(link.Shape("two", 0, 0, places=2), "", "http", image, "copy"), ["both"])
found = {key: record[key] for key in ("result", "requests", "bytes", "connections")}
assert found == {"result": "ok", "requests": 2, "bytes": 2 * image.size, "connections": 2}, found
assert measure.Experiment(link.LINKS["mirrors"], "", "http", image, "copy").limit == image.size * 8 / 100e6
END_OF_CHECK
expect_equal "left behind" "$(find "$tmp" -maxdepth 1 -name 'httpcache-bench-*' | wc -l)" 0
