// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// log.h - debug flags, trace lines and warnings.
//
// Trace lines.  `nbdkit -D httpcache.NAME=1` sets the int httpcache_debug_NAME
// below (nbdkit finds it with dlsym, so it must stay visible and extern "C").
// log() then writes one line
//
//     nbdkit: debug: httpcache: AREA: TEXT
//
// that looks like one of nbdkit_debug's, with one write(2) to stderr under the lock
// that nbdkit holds for a message, so lines never mix.  nbdkit_debug itself is not
// used: it prints only under `nbdkit -v`, and -v prints several lines per NBD request,
// in which ours would drown.  Control characters in TEXT are escaped (\n, \x1b),
// so one call is always one line.  With the flag off, log() costs one load:
// no formatting, no allocation.  (With nbdkit in the background stderr is
// /dev/null, as for nbdkit_debug: trace with -f.)
//
// Nothing secret may be in TEXT: redact.h, included here, makes it fit.
//
// Threads: all functions may be called from any thread at any time.
// Errors: none; what cannot be written is lost.  Memory: text is copied.
#ifndef HTTPCACHE_LOG_H
#define HTTPCACHE_LOG_H

#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "redact.h"

extern "C" {
#define HTTPCACHE_DEBUG_FLAG extern __attribute__((visibility("default"))) int
HTTPCACHE_DEBUG_FLAG httpcache_debug_http;
HTTPCACHE_DEBUG_FLAG httpcache_debug_cache;
HTTPCACHE_DEBUG_FLAG httpcache_debug_readahead;
HTTPCACHE_DEBUG_FLAG httpcache_debug_verbose;
HTTPCACHE_DEBUG_FLAG httpcache_debug_times;
HTTPCACHE_DEBUG_FLAG httpcache_debug_stats;
#undef HTTPCACHE_DEBUG_FLAG
}

namespace httpcache {

enum class LogArea {
  Http,      // each transfer and its outcome
  Cache,     // each block's life
  Readahead, // what the planner saw and decided
  Verbose,   // libcurl's own talk
  Times,     // libcurl's times of each transfer
  Stats,     // sums, at the end
};

// Is the flag of AREA set?
inline bool log_on(LogArea area) {
  switch (area) {
  case LogArea::Http:
    return httpcache_debug_http != 0;
  case LogArea::Cache:
    return httpcache_debug_cache != 0;
  case LogArea::Readahead:
    return httpcache_debug_readahead != 0;
  case LogArea::Verbose:
    return httpcache_debug_verbose != 0;
  case LogArea::Times:
    return httpcache_debug_times != 0;
  case LogArea::Stats:
    return httpcache_debug_stats != 0;
  }
  return false;
}

// Writes one trace line whether or not the flag is set; use log().
void write_log_line(LogArea area, std::string_view text) noexcept;
void vlog(LogArea area, fmt::string_view format,
          fmt::format_args args) noexcept;

// One trace line, if AREA's flag is set.  TEXT must hold no secrets.  The
// arguments are evaluated even when the flag is off: guard costly ones, such
// as redact_url(), with log_on().
template <typename... A>
void log(LogArea area, fmt::format_string<A...> format, A &&...args) {
  if (log_on(area)) [[unlikely]]
    vlog(area, format, fmt::make_format_args(args...));
}

// Tells the user, through nbdkit_error with "warning: " before the text, which
// is where nbdkit sends errors: stderr, or syslog in the background (nbdkit
// has no level between error and debug).  Control characters are escaped.
void warning(std::string_view text) noexcept;

} // namespace httpcache

#endif
