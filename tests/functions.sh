# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# What the test scripts share; they source it (bash).  A test begins so:
#
#     #!/usr/bin/env bash
#     # <licence>
#     # What it proves, and why.
#     set -e -u
#     . "${srcdir:-$(dirname "$0")}/functions.sh"
#     requires qemu-img
#     start_origin
#     start_nbdkit url="$origin_url/pattern/1M"
#
# Rules: wait for events, never sleep; count requests, do not time them; nothing outside $tmp; no fixed ports; passes in
# parallel with any other test, as root or not.  A test ends with 0, 77 (skipped, says why) or anything else (failed).
#
# A script can be run by itself, from anywhere: it then runs under run-test, as "make check" would have it (time limit,
# what valgrind and the sanitizers report).  Variables of the environment:
#     abs_top_builddir   the build folder; default: the parent of the working directory if that is a build folder's
#                        tests/, else the parent of this file's
#     NBDKIT             the nbdkit to run, default: the wrapper in the build folder, see nbdkit.in for what it knows
#     PLUGIN             the plugin, default httpcache; the tests of this harness use others
#     NBDKIT_VALGRIND=1  run nbdkit under valgrind
#     KEEP_TMP=1         leave the temporary directory for a look at it
# Variables for the test: tmp (its directory), srcdir (of the tests), abs_top_srcdir, abs_top_builddir, time_factor (how
# much slower than usual everything may be), and those that the start_ functions set.

# shellcheck shell=bash disable=SC2034      # most variables are set for the tests

if [ -z "${BASH_VERSION-}" ]; then echo "$0: bash is needed" >&2; exit 1; fi
case $- in *e*u* | *u*e*) ;; *) echo "$0: says no 'set -e -u'" >&2; exit 1 ;; esac

srcdir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -z "${abs_top_builddir-}" ]; then
    if [ -e ../config.status ]; then abs_top_builddir=$(cd .. && pwd); else abs_top_builddir=${srcdir%/*}; fi
fi
abs_top_srcdir=${srcdir%/*}
export abs_top_builddir abs_top_srcdir
NBDKIT=${NBDKIT:-$abs_top_builddir/nbdkit}
export NBDKIT

if [ -z "${NBDKIT_REPORTS-}" ]; then
    exec bash "$srcdir/run-test" "$0" "$@"
fi

PLUGIN=${PLUGIN:-httpcache}
time_factor=1
if [ -n "${NBDKIT_PRELOAD-}" ]; then time_factor=5; fi
if [ "${NBDKIT_VALGRIND-}" = 1 ]; then time_factor=15; fi
PATH=$PATH:/usr/sbin:/sbin                      # mkfs, nginx
export PATH LC_ALL=C.UTF-8 TZ=UTC
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY no_proxy NO_PROXY CURL_CA_BUNDLE SSL_CERT_FILE
# The system's Python, because that is the one which has the nbd module.
python=${PYTHON3:-/usr/bin/python3}
export PYTHONPATH="$srcdir" PYTHONDONTWRITEBYTECODE=1   # "from origin.objects import pattern"

tmp=$(mktemp -d "${TMPDIR:-/tmp}/httpcache-test.XXXXXX")
mkdir "$tmp/www"

# The end, and failing.

_cleanups=()
_complaints=0
exec {_stderr}>&2

# cleanup_fn COMMAND ARGS...: run this at the end, however the test ends; the last one comes first.
cleanup_fn ()
{
    _cleanups+=("$(printf '%q ' "$@")")
}

# complain WORDS...: the test has failed, but goes on (to its end, or to the end of its cleaning up).
complain ()
{
    echo "$0: FAILED: $*" >&2
    _complaints=$((_complaints + 1))
}

# fail WORDS...: the test has failed and ends.
fail ()
{
    complain "$* (line ${BASH_LINENO[${#BASH_LINENO[@]} - 2]})"
    exit 1
}

_at_exit ()
{
    local status=$? i f
    trap '' INT TERM HUP
    trap - EXIT
    set +e
    exec 2>&"$_stderr"                          # wherever it went when the test failed
    if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
        echo "$0: exit status $status" >&2
    fi
    for ((i = ${#_cleanups[@]} - 1; i >= 0; i--)); do
        eval "${_cleanups[i]}"
    done
    if [ "$status" -eq 0 ] && [ "$_complaints" -gt 0 ]; then status=1; fi
    if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
        for f in "$tmp"/*.err "$tmp"/*.log; do
            if [ -s "$f" ]; then
                printf -- '--- %s, its end:\n' "${f##*/}" >&2
                tail -n 40 "$f" | cut -c 1-1000 >&2
            fi
        done
    fi
    if [ -n "${KEEP_TMP-}" ]; then
        echo "$0: kept $tmp" >&2
    else
        rm -rf "$tmp"
    fi
    exit "$status"
}
trap _at_exit EXIT
trap 'echo "$0: ended by a signal: the time limit?" >&2; exit 143' INT TERM HUP

# expect_equal WHAT GOT WANTED, expect_at_most WHAT GOT LIMIT, expect_at_least: the names say it.
expect_equal ()
{
    if [ "$2" != "$3" ]; then fail "$1: got '$2', wanted '$3'"; fi
}
expect_at_most ()
{
    if ! [ "$2" -le "$3" ]; then fail "$1: got $2, more than $3"; fi
}
expect_at_least ()
{
    if ! [ "$2" -ge "$3" ]; then fail "$1: got $2, less than $3"; fi
}

# expect_text WHAT FILE REGEX: the file has a line that matches; expect_no_text: it has none.
expect_text ()
{
    if ! grep -qE -e "$3" "$2"; then fail "$1: nothing like '$3' in: $(head -n 40 "$2" | cut -c 1-200)"; fi
}
expect_no_text ()
{
    if grep -E -e "$3" "$2" >&2; then fail "$1: '$3' should not be there"; fi
}

# await_text FILE REGEX: until the file, which others write, has a line that matches.
await_text ()
{
    local fd tail_pid line status=0
    exec {fd}< <(exec tail -n +1 -f "$1" 2>/dev/null)
    tail_pid=$!
    while read -r -t $((30 * time_factor)) -u "$fd" line || { status=$?; break; }; do
        if [[ $line =~ $2 ]]; then break; fi
    done
    kill "$tail_pid" 2>/dev/null || true
    exec {fd}<&-
    if [ $status -ne 0 ]; then fail "nothing like '$2' came in: $(tail -n 40 "$1" | cut -c 1-200)"; fi
}

# expect_failure COMMAND...: it ends with a failure, and not by a signal or a sanitizer.
expect_failure ()
{
    local status=0
    "$@" || status=$?
    if [ $status -eq 0 ]; then fail "should have failed: $*"; fi
    if [ $status -eq 66 ] || [ $status -ge 99 ]; then fail "failed badly, with $status: $*"; fi
}

# requires WHAT...: skip the test unless all are there.  A program; filter:NAME, plugin:NAME of nbdkit; python:MODULE;
# or a file.
requires ()
{
    local what
    for what; do
        case $what in
            filter:*) "$NBDKIT" --dump-plugin --filter="${what#*:}" null >/dev/null 2>&1 ;;
            plugin:*) "$NBDKIT" --dump-plugin "${what#*:}" >/dev/null 2>&1 ;;
            python:*) "$python" -c "import ${what#*:}" 2>/dev/null ;;
            /*) [ -e "$what" ] ;;
            *) command -v "$what" >/dev/null ;;
        esac || { echo "$0: SKIPPED: $what is not there" >&2; exit 77; }
    done
}

# Children.  Each runs with its standard output in a pipe of ours: its first line says that it is ready, the end of the
# pipe that it has ended.  So both are waited for, not polled, and neither can be missed.

# _await_line FD WHAT: the next line of the pipe, into the variable line; fails if there is none in time.
_await_line ()
{
    line=
    read -r -t $((30 * time_factor)) -u "$1" line || fail "$2 did not start"
}

# _await_end FD SECONDS: true if the child ended in time.
_await_end ()
{
    local status=0
    while [ $status -eq 0 ]; do
        read -r -t "$2" -u "$1" _ || status=$?
    done
    [ $status -le 128 ]                         # else the time is over
}

# _end_child PID FD SIGNAL WHAT [SECONDS]: end a child; its status is in child_status.
_end_child ()
{
    local fd=$2 limit=$((${5:-10} * time_factor))
    kill -"$3" "$1" 2>/dev/null || true
    if ! _await_end "$fd" "$limit"; then
        complain "$4 did not end by SIG$3 within $limit s: killed"
        kill -KILL "$1" 2>/dev/null || true
    fi
    exec {fd}<&-
    child_status=0
    wait "$1" || child_status=$?
}

# The scriptable origin (origin.py --help tells what it can).

# start_origin [ARGS OF origin.py...]: sets origin_url (http://127.0.0.1:PORT), origin_log, origin_control, origin_pid,
# and origin_unix with --unix PATH.  Files in $tmp/www are served.  A second call starts a second origin: keep the
# variables of the first one.
_origins=0
start_origin ()
{
    local scheme=http unix='' line fd i
    _origins=$((_origins + 1))
    for ((i = 1; i <= $#; i++)); do
        case ${!i} in
            --tls) scheme=https ;;
            --unix) i=$((i + 1)); unix=${!i} ;;
        esac
    done
    origin_log=$tmp/origin$_origins.log
    origin_control=$tmp/origin$_origins.ctl
    : > "$origin_log"
    exec {fd}< <(exec "$python" "$srcdir/origin.py" --root "$tmp/www" --log "$origin_log" \
                      --control "$origin_control" --parent $$ "$@" 2>"$tmp/origin$_origins.err")
    origin_pid=$!
    _origin_fd=$fd
    cleanup_fn _stop_origin "$origin_pid" "$fd"
    _await_line "$fd" "the origin"
    origin_url=$scheme://127.0.0.1:${line#ready }
    origin_unix=$unix
    if [ -n "$unix" ]; then origin_url=$scheme://localhost; fi
}

# stop_origin: end the origin started last, now.
stop_origin ()
{
    _stop_origin "$origin_pid" "$_origin_fd"
}

_stop_origin ()
{
    if [[ " ${_stopped-} " = *" $1 "* ]]; then return; fi
    _stopped="${_stopped-} $1"
    _end_child "$1" "$2" TERM "the origin"
}

# origin_ctl COMMAND: "stat?key=requests", "open?gate=a", ... of the origin whose socket is $origin_control.
origin_ctl ()
{
    curl -sS --fail-with-body --max-time $((60 * time_factor)) --unix-socket "$origin_control" "http://origin/_ctl/$1" |
        { if [ "${1%%\?*}" = stat ] || [ "$1" = stats ]; then cat; else grep -vx OK >&2 || true; fi }
    [ "${PIPESTATUS[0]}" -eq 0 ] || fail "origin_ctl $1"
}

# origin_faults PATH QUERY: faults of this path from now on; an empty QUERY ends them.
origin_faults ()
{
    origin_ctl "faults?path=$(urlencode "$1")&set=$(urlencode "$2")"
}

urlencode ()
{
    "$python" -c 'import sys, urllib.parse as u; print(u.quote(sys.argv[1], safe=""))' "$1"
}

# log_values KIND KEY [FILTER...]: this word of every line of this kind (request, answer, open, close, header) that
# passes the filters, key=value (the whole value) or key~REGEX.  Of $origin_log.
log_values ()
{
    local kind=$1 key=$2
    shift 2
    awk -v kind="$kind" -v key="$key" -v filters="$(printf '%s\n' "$@")" '
        BEGIN { n = split(filters, filter, "\n") }
        $1 == kind {
            split("", word)
            for (i = 2; i <= NF; i++) {
                at = index($i, "=")
                word[substr($i, 1, at - 1)] = substr($i, at + 1)
            }
            for (i = 1; i <= n; i++) {
                if (filter[i] == "") continue
                match(filter[i], /[=~]/)
                name = substr(filter[i], 1, RSTART - 1)
                value = substr(filter[i], RSTART + 1)
                if (substr(filter[i], RSTART, 1) == "=" ? word[name] != value : word[name] !~ value) next
            }
            print word[key]
        }' "$origin_log"
}

# count_requests [FILTER...]: how many requests the origin has read.  Requests are logged before they are answered, so
# one whose bytes have come is in the log.
count_requests ()
{
    log_values request id "$@" | wc -l
}

# settle: until the origin has no request in progress: then the "answer" lines are complete.
settle ()
{
    origin_ctl "wait?idle=1"
}

# nginx and certificates.

# make_certificates: sets tls_ca, and tls_cert and tls_key of a server called localhost or 127.0.0.1 that it signed;
# tls_other_ca has signed nothing.
make_certificates ()
{
    local d=$tmp/tls
    tls_ca=$d/ca.pem tls_other_ca=$d/other-ca.pem tls_cert=$d/cert.pem tls_key=$d/key.pem
    if [ -d "$d" ]; then return; fi
    requires openssl
    mkdir "$d"
    {
        local ca
        for ca in ca other-ca; do
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=$ca" \
                -keyout "$d/$ca-key.pem" -out "$d/$ca.pem"
        done
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
            -keyout "$tls_key" -out "$d/req.pem"
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' > "$d/ext"
        openssl x509 -req -in "$d/req.pem" -CA "$tls_ca" -CAkey "$d/ca-key.pem" -CAcreateserial -days 30 \
            -extfile "$d/ext" -out "$tls_cert"
    } 2>"$d/openssl.log" || { cat "$d/openssl.log" >&2; fail "openssl"; }
}

# start_nginx [ORIGIN]: serves $tmp/www, and under /pattern/ what the server at the URL ORIGIN does; sets nginx_url (HTTP),
# nginx_tls_url (HTTPS, HTTP/1.1), nginx_h2_url (HTTPS, HTTP/2), nginx_h2c_url (HTTP/2 in clear), nginx_goaway_url (HTTPS,
# HTTP/2, ten requests a connection), nginx_unix (socket), nginx_log (one line a request, written when it ends),
# nginx_pid; makes certificates.
start_nginx ()
{
    local line fd words
    requires nginx
    make_certificates
    exec {fd}< <(exec "$python" "$srcdir/nginx.py" "$tmp" "$tmp/www" "$tls_cert" "$tls_key" "$@" 2>"$tmp/nginx.err")
    nginx_pid=$!
    cleanup_fn _end_child "$nginx_pid" "$fd" TERM nginx
    _await_line "$fd" nginx
    read -r -a words <<< "$line"
    nginx_url=http://127.0.0.1:${words[1]}
    nginx_tls_url=https://127.0.0.1:${words[2]}
    nginx_h2_url=https://127.0.0.1:${words[3]}
    nginx_h2c_url=http://127.0.0.1:${words[4]}
    nginx_goaway_url=https://127.0.0.1:${words[5]}
    nginx_unix=$tmp/nginx.sock
    nginx_log=$tmp/nginx.log
}

# make_certificate NAME CA [DAYS [SUBJECT [EXTENSION...]]]: in $tmp/tls, NAME.pem and NAME-key.pem, signed by the CA of that
# name (ca, other-ca) or, with CA "-", by itself.  DAYS may be -1: expired since yesterday.
make_certificate ()
{
    local d=$tmp/tls name=$1 ca=$2 days=${3:-30} subject=${4:-/CN=$1} from
    make_certificates
    printf '%s\n' "${@:5}" > "$d/$name.ext"
    if [ $# -lt 5 ]; then printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' > "$d/$name.ext"; fi
    {
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "$subject" \
            -keyout "$d/$name-key.pem" -out "$d/$name-req.pem"
        if [ "$ca" = - ]; then
            openssl x509 -req -in "$d/$name-req.pem" -signkey "$d/$name-key.pem" -days "$days" -extfile "$d/$name.ext" \
                -out "$d/$name.pem"
        else
            openssl x509 -req -in "$d/$name-req.pem" -CA "$d/$ca.pem" -CAkey "$d/$ca-key.pem" -CAcreateserial \
                -days "$days" -extfile "$d/$name.ext" -out "$d/$name.pem"
        fi
    } 2>"$d/openssl.log" || { cat "$d/openssl.log" >&2; fail "openssl"; }
}

# start_proxy [USER:PASSWORD]: tinyproxy; sets proxy_port, and proxy_log, which has "Connect" lines.
start_proxy ()
{
    requires tinyproxy
    _start_proxy tinyproxy 'Accepting connections' "$@"
    proxy_port=$_port proxy_log=$_log
}

# start_socks_proxy: SOCKS 5; sets proxy_port, and proxy_log, with the reply to each CONNECT.
start_socks_proxy ()
{
    _start_proxy socks5 listening
    proxy_port=$_port proxy_log=$_log
}

# start_tls_proxy CERT KEY: TLS in front of the proxy started last; sets tls_proxy_port.
start_tls_proxy ()
{
    requires stunnel
    _start_proxy stunnel 'Configuration successful' "$@" "$proxy_port"
    tls_proxy_port=$_port
}

_proxies=0
_start_proxy ()
{
    local kind=$1 listening=$2 fd line dir
    shift 2
    _proxies=$((_proxies + 1))
    dir=$tmp/proxy$_proxies
    mkdir "$dir"
    _log=$dir/$kind.log
    : > "$_log"
    exec {fd}< <(exec "$python" "$srcdir/proxy.py" "$kind" "$dir" "$@" 2>"$tmp/$kind.err")
    cleanup_fn _end_child $! "$fd" TERM "$kind"
    _await_line "$fd" "$kind"
    _port=${line#ready }
    await_text "$_log" "$listening"
}

# nbdkit.

# _split_options ARGS...: those before "--" into the array options, those after it (all, without one) into params.
_split_options ()
{
    local arg
    options=() params=()
    for arg; do
        if [ "$arg" = -- ] && [ ${#options[@]} -eq 0 ]; then
            options=("${params[@]}")
            params=()
        else
            params+=("$arg")
        fi
    done
}

# start_nbdkit [OPTIONS OF nbdkit... --] PARAMETERS OF THE PLUGIN...: in the background on a Unix socket; sets nbd_sock,
# nbd_uri, nbdkit_pid, nbdkit_err (its standard error).  At the end of the test, or with stop_nbdkit, it must end by
# SIGTERM with status 0.
_nbdkits=0
start_nbdkit ()
{
    local options params line
    _split_options "$@"
    _nbdkits=$((_nbdkits + 1))
    nbd_sock=$tmp/nbd$_nbdkits.sock
    nbd_uri="nbd+unix:///?socket=$nbd_sock"
    nbdkit_err=$tmp/nbdkit$_nbdkits.err
    # The pid file is the pipe: nbdkit writes it when it is listening.  Not as standard output, that it closes before.
    exec {_nbdkit_fd}< <(exec 9>&1
                         exec "$NBDKIT" -f -P /dev/fd/9 -U "$nbd_sock" "${options[@]}" "$PLUGIN" \
                              "${params[@]}" 2>"$nbdkit_err" </dev/null)
    nbdkit_pid=$!
    cleanup_fn _stop_nbdkit "$nbdkit_pid" "$_nbdkit_fd" "$nbdkit_err"
    _await_line "$_nbdkit_fd" nbdkit
}

# stop_nbdkit [SECONDS]: end the nbdkit started last, now; it must end within so many seconds (usually 10).
stop_nbdkit ()
{
    _stop_nbdkit "$nbdkit_pid" "$_nbdkit_fd" "$nbdkit_err" "$@"
}

_stop_nbdkit ()
{
    local pid=$1 fd=$2 err=$3
    if [[ " ${_stopped-} " = *" $pid "* ]]; then return; fi
    _stopped="${_stopped-} $pid"
    _end_child "$pid" "$fd" TERM nbdkit "${@:4}"
    if [ "$child_status" -ne 0 ]; then
        complain "nbdkit ended with status $child_status: $(tail -n 20 "$err")"
    fi
}

# run_nbdkit COMMAND [OPTIONS OF nbdkit... --] PARAMETERS...: captive; COMMAND is for --run and uses "$uri".
# Its status is nbdkit's; the standard error of nbdkit also goes to $nbdkit_err.
run_nbdkit ()
{
    local options params run=$1 status=0 sock=$tmp/run-nbdkit.$BASHPID.sock
    shift
    _split_options "$@"
    nbdkit_err=$tmp/run-nbdkit.err
    rm -f "$sock"
    # Not "-U -": when nbdkit 1.32 does not get to serve, it leaves the folder that it made in /tmp.
    "$NBDKIT" -U "$sock" "${options[@]}" "$PLUGIN" "${params[@]}" --run "$run" 2>"$nbdkit_err" || status=$?
    cat "$nbdkit_err" >&2
    return $status
}

# slow_net [VARIABLE=VALUE...]: nbdkits started from now on find names and connections as slow as these variables of
# slow-net.c say; without any, as they are.
slow_net ()
{
    requires g++
    if [ ! -e "$tmp/slow-net.so" ]; then
        g++ -x c -shared -fPIC -o "$tmp/slow-net.so" "$srcdir/slow-net.c" -ldl
        _usual_preload=${NBDKIT_PRELOAD-}
    fi
    unset SLOW_DNS_S NO_DNS FAKE_TRIP_US LOG_SOCKOPT
    export NBDKIT_PRELOAD="$_usual_preload"
    if [ $# -gt 0 ]; then
        export "$@"
        NBDKIT_PRELOAD="${_usual_preload:+$_usual_preload }$tmp/slow-net.so"
    fi
}

# kib_of PID KEY: a figure of /proc/PID/status, such as VmHWM, in KiB.
kib_of ()
{
    sed -n "s/^$2:[[:space:]]*\([0-9]*\) kB$/\1/p" "/proc/$1/status"
}

# client [ARGS...] < SCRIPT: run this Python, after "from client import *" (client.py), on $nbd_uri.
client ()
{
    _client_script
    "$python" "$tmp/client$_clients.py" "$@"
}

# start_client [ARGS...] < SCRIPT: the same in the background; sets client_pid, to be waited for.
start_client ()
{
    _client_script
    "$python" "$tmp/client$_clients.py" "$@" &
    client_pid=$!
    cleanup_fn kill_client "$client_pid"
}

# kill_client PID: end it at once, as a client that crashes.
kill_client ()
{
    { kill -KILL "$1" && wait "$1"; } 2>/dev/null || true
}

_clients=0
_client_script ()
{
    requires python:nbd
    _clients=$((_clients + 1))
    export NBD_URI=$nbd_uri TIME_FACTOR=$time_factor
    { echo "from client import *"; cat; } > "$tmp/client$_clients.py"
}

# Images.  All are made without root and come out the same each time, but for what mkfs and tar put in of the time.

# make_random FILE SIZE [SEED]: SIZE bytes (or 64K, 5M) that do not compress.
make_random ()
{
    "$python" - "$@" << 'END'
import random, sys
from origin.objects import parse_size
name, size = sys.argv[1], parse_size(sys.argv[2])
rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
with open(name, "wb") as file:
    while size:
        piece = rng.randbytes(min(size, 1 << 20))
        size -= file.write(piece)
END
}

# make_pattern FILE SIZE: the bytes of the origin's /pattern/SIZE.
make_pattern ()
{
    "$python" - "$@" << 'END'
import sys
from origin.objects import parse_size, pattern
size = parse_size(sys.argv[2])
with open(sys.argv[1], "wb") as file:
    for offset in range(0, size, 1 << 20):
        file.write(pattern(offset, min(size - offset, 1 << 20)))
END
}

# make_disk FILE [MEGABYTES]: a raw image with an ext4 filesystem in it, half full: some files compress, some do not,
# and there are holes.
make_disk ()
{
    local file=$1 mib=${2:-32} tree=$tmp/tree
    requires mkfs.ext4
    mkdir -p "$tree/some/where"
    make_random "$tree/random" $((mib / 4))M
    seq 1 $((mib * 16000)) > "$tree/some/numbers"
    cp "$srcdir/functions.sh" "$tree/some/where/"
    truncate -s "${mib}M" "$file"
    mkfs.ext4 -q -F -d "$tree" "$file"
    rm -r "$tree"
}

# make_qcow2 RAW FILE [OPTIONS OF qemu-img convert, such as -c]
make_qcow2 ()
{
    local raw=$1 file=$2
    shift 2
    qemu-img convert -f raw -O qcow2 "$@" "$raw" "$file"
}

# make_iso FILE SOURCE...
make_iso ()
{
    local file=$1
    shift
    requires genisoimage
    genisoimage -quiet -J -R -o "$file" "$@"
}

# tar_offset TAR MEMBER: prints "OFFSET SIZE" of the member's bytes.
tar_offset ()
{
    "$python" -c 'import sys, tarfile; m = tarfile.open(sys.argv[1]).getmember(sys.argv[2])
print(m.offset_data, m.size)' "$@"
}
