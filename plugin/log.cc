// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "log.h"

#include <cstdio>
#include <string>

#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

int httpcache_debug_http;
int httpcache_debug_cache;
int httpcache_debug_readahead;
int httpcache_debug_verbose;
int httpcache_debug_times;
int httpcache_debug_stats;

namespace httpcache {

namespace {

const char *area_name(LogArea area) {
  switch (area) {
  case LogArea::Http:
    return "http";
  case LogArea::Cache:
    return "cache";
  case LogArea::Readahead:
    return "readahead";
  case LogArea::Verbose:
    return "verbose";
  case LogArea::Times:
    return "times";
  case LogArea::Stats:
    return "stats";
  }
  return "?";
}

} // namespace

void write_log_line(LogArea area, std::string_view text) noexcept {
  try {
    std::string line = "nbdkit: debug: httpcache: ";
    line += area_name(area);
    line += ": ";
    line += escape_controls(text);
    line += '\n';
    // Once: a trace is not worth blocking for, and the rest of a line that was
    // cut short would only mix with others.
    // Between nbdkit's messages, which it writes in parts, under this lock.
    flockfile(stderr);
    [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
    funlockfile(stderr);
  } catch (...) {
    // No memory for a trace line: go without.
  }
}

void vlog(LogArea area, fmt::string_view format,
          fmt::format_args args) noexcept {
  try {
    write_log_line(area, fmt::vformat(format, args));
  } catch (...) {
    // As above.
  }
}

void warning(std::string_view text) noexcept {
  try {
    nbdkit_error("warning: %s", escape_controls(text).c_str());
  } catch (...) {
    nbdkit_error("warning: (no memory to say which)");
  }
}

} // namespace httpcache
