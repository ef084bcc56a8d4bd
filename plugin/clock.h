// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// clock.h - the one clock: steady, for durations and deadlines.
//
// Modules that decide by time (readahead, retry, mirrors) take it as an
// argument so that tests can pass it in; now() is called at their edges.
//
// Threads: any.  Units are in the names.  Wall-clock time appears nowhere but
// in http_headers (Retry-After as a date), where it too is passed in.
#ifndef HTTPCACHE_CLOCK_H
#define HTTPCACHE_CLOCK_H

#include <chrono>
#include <cstdint>

namespace httpcache {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;

inline TimePoint now() { return Clock::now(); }

// Rounded down.  May be negative.
inline int64_t to_us(Duration d) {
  return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
}
inline int64_t to_ms(Duration d) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}
inline double to_seconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}

inline Duration from_seconds(double s) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(s));
}
inline Duration from_ms(int64_t ms) { return std::chrono::milliseconds(ms); }
inline Duration from_us(int64_t us) { return std::chrono::microseconds(us); }

// From EARLIER to LATER.  Negative when they are the other way round.
inline int64_t us_between(TimePoint earlier, TimePoint later) {
  return to_us(later - earlier);
}
inline int64_t ms_between(TimePoint earlier, TimePoint later) {
  return to_ms(later - earlier);
}

} // namespace httpcache

#endif
