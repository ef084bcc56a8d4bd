# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# setup.sh - what ./quickstart, ./run-tests, .ci/run and tests/bench/run share;
# they source it.
#
#   need GROUP...             install what is missing of these groups of needs
#   build_plugin FOLDER ARG... configure (with ARGs) and make in build/FOLDER,
#                             which becomes $builddir
#
# A need is met by what does the job, not by a package's name: a nbdkit or a
# libcurl that the user built is as good as the distribution's. When all is
# there no package manager is called.

# shellcheck shell=bash

topdir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# mkfs and nginx are in the sbin folders, which an ordinary user's PATH lacks.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

say() { printf '%s\n' "$*" >&2; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# The distribution's python3 has libnbd's module; another may come first in PATH.
system_python() {
  if [ -x /usr/bin/python3 ]; then
    echo /usr/bin/python3
  else
    command -v python3
  fi
}

# --- What is needed ---------------------------------------------------------

# GROUP | TEST | Debian's packages | Fedora's packages
#
# TEST is: the name of a program; lib:MODULE >= VERSION of pkg-config;
# file:PATH[:PATH...] of which one exists; or do:COMMAND that succeeds.
needs='
build | g++                 | g++                  | gcc-c++
build | make                | make                 | make
build | autoconf            | autoconf             | autoconf
build | automake            | automake             | automake
build | libtoolize          | libtool              | libtool
build | pkg-config          | pkg-config           | pkgconf-pkg-config
build | pod2man             | perl                 | perl-podlators
build | podchecker          | perl                 | perl-Pod-Checker
build | lib:nbdkit >= 1.32  | nbdkit-plugin-dev    | nbdkit-devel
build | lib:libcurl >= 7.88 | libcurl4-openssl-dev | libcurl-devel
build | lib:fmt >= 9        | libfmt-dev           | fmt-devel
run   | nbdkit              | nbdkit               | nbdkit
run   | qemu-img            | qemu-utils           | qemu-img
run   | python3             | python3              | python3
run   | file:/etc/ssl/certs/ca-certificates.crt:/etc/pki/tls/certs/ca-bundle.crt | ca-certificates | ca-certificates
demo  | mkfs.ext4           | e2fsprogs            | e2fsprogs
tests | file:/usr/include/catch2/catch.hpp:/usr/include/catch2/catch_all.hpp | catch2 | catch2-devel
tests | nginx               | nginx-light          | nginx
tests | nbdcopy             | libnbd-bin           | libnbd
tests | nbdinfo             | libnbd-bin           | libnbd
tests | do:python_has_nbd   | python3-libnbd       | python3-libnbd
tests | nbdsh               | python3-libnbd       | nbdsh
tests | qemu-io             | qemu-utils           | qemu-img
tests | do:fio_has_nbd      | fio                  | fio fio-engine-nbd
tests | curl                | curl                 | curl
tests | openssl             | openssl              | openssl
tests | mkfs.ext4           | e2fsprogs            | e2fsprogs
tests | tinyproxy           | tinyproxy-bin        | tinyproxy
tests | stunnel             | stunnel4             | stunnel
tests | xz                  | xz-utils             | xz
tests | genisoimage         | genisoimage          | genisoimage
tests | tar                 | tar                  | tar
tests | jq                  | jq                   | jq
tests | sfdisk              | fdisk                | util-linux
tests | ip                  | iproute2             | iproute
tests | ps                  | procps               | procps-ng
tests | setarch             | util-linux           | util-linux
tests | do:nbdkit_has_filters | nbdkit             | nbdkit-basic-filters nbdkit-tar-filter nbdkit-xz-filter nbdkit-basic-plugins
bench | aria2c              | aria2                | aria2
bench | rclone              | rclone               | rclone
bench | fusermount3         | fuse3                | fuse3
bench | gnuplot             | gnuplot-nox          | gnuplot-minimal
bench | do:qemu_has_curl    | qemu-block-extra     | qemu-block-curl
bench | lib:benchmark >= 1.5 | libbenchmark-dev    | google-benchmark-devel
valgrind | valgrind         | valgrind             | valgrind
sanitizers | do:links_with_sanitizers | g++        | libasan libubsan libtsan
clang | clang++             | clang                | clang
trixie | debootstrap        | debootstrap          | debootstrap
'

python_has_nbd() { "$(system_python)" -c 'import nbd'; }
fio_has_nbd() { fio --enghelp | grep -qw nbd; }
qemu_has_curl() {
  ! qemu-img info 'json:{"driver": "raw", "file": {"driver": "http", "url": "http://127.0.0.1:1/"}}' 2>&1 |
    grep -q 'nknown driver'
}
nbdkit_has_filters() {
  local filter
  for filter in cow tar xz partition; do
    nbdkit --dump-plugin --filter="$filter" memory 1M || return 1
  done
}
links_with_sanitizers() {
  local sanitizer
  for sanitizer in address undefined thread; do
    echo 'int main() {}' |
      g++ -x c++ -fsanitize=$sanitizer -o /dev/null - || return 1
  done
}

met() {
  local path paths
  case $1 in
    lib:*) pkg-config --exists "${1#lib:}" ;;
    do:*) "${1#do:}" ;;
    file:*)
      IFS=: read -r -a paths <<<"${1#file:}"
      for path in "${paths[@]}"; do
        [ ! -e "$path" ] || return 0
      done
      return 1
      ;;
    *) command -v "$1" ;;
  esac
} >/dev/null 2>&1

# unmet COLUMN GROUP...: that column of the needs that are not met.
unmet() {
  local column=$1 group test debian fedora
  shift
  while IFS='|' read -r group test debian fedora; do
    read -r group <<<"$group"
    [[ " $* " == *" $group "* ]] || continue
    read -r test <<<"$test"
    if ! met "$test"; then
      case $column in
        test) echo "${test#*:}" ;;
        debian) echo "$debian" ;;
        fedora) echo "$fedora" ;;
      esac
    fi
  done <<<"$needs"
}

# --- Installing -------------------------------------------------------------

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

need() {
  local column packages missing log nginx_was_there=no
  missing=$(unmet test "$@")
  [ -n "$missing" ] || return 0

  if command -v apt-get >/dev/null; then
    column=debian
  elif command -v dnf >/dev/null; then
    column=fedora
  else
    die "these are missing, and there is neither apt-get nor dnf to install them:
$missing"
  fi
  # shellcheck disable=SC2046  # one word a package
  packages=$(printf '%s\n' $(unmet $column "$@") | sort -u | tr '\n' ' ')
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    die "these packages are missing: $packages
Install them as root, or install sudo, and run this again."
  fi

  say "installing $packages"
  mkdir -p "$topdir/build"
  log=$topdir/build/packages.log
  if command -v nginx >/dev/null; then nginx_was_there=yes; fi
  # shellcheck disable=SC2086  # one word a package
  if [ $column = debian ]; then
    # An update that fails in part may still do: the install tells.
    as_root apt-get -q update >"$log" 2>&1 || :
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
      --no-install-recommends install $packages >>"$log" 2>&1 </dev/null
  else
    as_root dnf -q -y --setopt=install_weak_deps=False install $packages \
      >"$log" 2>&1 </dev/null
  fi || {
    tail -n 15 "$log" >&2
    die "could not install the packages above (all of it is in $log)"
  }

  # Debian starts a web server that it installs; the tests only want the program.
  if [ $nginx_was_there = no ] && command -v nginx >/dev/null &&
    [ -d /run/systemd/system ]; then
    as_root systemctl disable --now nginx >>"$log" 2>&1 || :
  fi

  missing=$(unmet test "$@")
  [ -z "$missing" ] || die "installed $packages, but this is still missing or too old:
$missing"
}

# --- Building ---------------------------------------------------------------

# What was last done in builddir is in its log; shown only if it fails.
logged() {
  local what=$1
  shift
  if ! "$@" >>"$build_log" 2>&1; then
    tail -n 40 "$build_log" >&2
    die "$what failed (all of it is in $build_log)"
  fi
}

build_plugin() {
  local arguments
  builddir=$topdir/build/$1
  shift
  mkdir -p "$builddir"
  build_log=$builddir/build.log
  # Two builds at once would run autoreconf in one source tree.
  exec 8>"$topdir/build/lock"
  if command -v flock >/dev/null; then flock 8; fi
  : >"$build_log"

  if [ -e "$topdir/config.status" ]; then
    # Make refuses to build a tree elsewhere that was configured in place, and
    # would take objects from there.
    die "this source tree is configured in place, and would spoil a build elsewhere: run \
'make distclean' first (its own tests are run by 'make check')"
  fi
  arguments=$(printf '%s\n' "$@" "CXX=${CXX:-}" "CXXFLAGS=${CXXFLAGS:-}")
  if [ ! -e "$topdir/configure" ] || [ ! -e "$topdir/Makefile.in" ] ||
    [ ! -e "$topdir/plugin/Makefile.in" ] || [ ! -e "$topdir/tests/Makefile.in" ]; then
    say "autoreconf"
    logged autoreconf autoreconf -i "$topdir"
  fi
  if [ ! -e "$builddir/config.status" ] ||
    [ "$(cat "$builddir/arguments" 2>/dev/null)" != "$arguments" ]; then
    say "configure"
    rm -f "$builddir/arguments"
    (cd "$builddir" && logged configure "$topdir/configure" "$@")
    printf '%s\n' "$arguments" >"$builddir/arguments"
  fi
  say "make"
  logged make make -C "$builddir" -j "$(nproc)"
  exec 8>&-
}
