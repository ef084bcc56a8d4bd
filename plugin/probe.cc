// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "probe.h"

#include <algorithm>
#include <random>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "log.h"

namespace httpcache {

namespace {

// Below this a new connection is cheap.
constexpr Duration kLongTrip = std::chrono::milliseconds(5);

// How often, while nothing comes, the handshake is looked at.
constexpr Duration kLook = std::chrono::milliseconds(5);

} // namespace

Result<ObjectInfo> Probe::judge(const Arrival &first) const {
  std::string redacted = redact_url(first.effective_url());
  Result<ObjectInfo> object = object_from_probe(*first.head(), first.asked(), redacted);
  if (!object)
    return object;
  if (object.value().size > 0)
    if (Result<ByteSpan> body =
            check_answer(object.value(), *first.head(), first.asked(), redacted);
        !body)
      return std::move(body).error();
  object.value().effective_url = first.effective_url();
  return object;
}

void Probe::send_scouts(const HttpRequest &request, unsigned scouts, Found &found) {
  log(LogArea::Http, "long link: {} scouts", scouts);
  for (unsigned i = 1; i <= scouts; ++i) {
    uint64_t step = i * request.range.length();
    HttpRequest theirs = request;
    theirs.range = {request.range.first + step, request.range.last + step};
    // Not to where a redirect leads: a look-up of another host's name could be
    // under way when nbdkit forks, and libcurl's thread for it be gone then.
    theirs.follow_redirects = false;
    auto scout = std::make_unique<Arrival>(theirs);
    if (!scout->start(engine_))
      return;
    found.arrivals.push_back(std::move(scout));
  }
}

Result<Probe::Found> Probe::try_once(const HttpRequest &request, unsigned scouts) {
  Found found;
  found.arrivals.push_back(std::make_unique<Arrival>(request));
  Arrival &first = *found.arrivals.front();
  if (Result<void> started = first.start(engine_); !started)
    return std::move(started).error();
  while (!first.done() && !first.head()) {
    engine_.turn(scouts > 0 ? kLook : std::chrono::seconds(1));
    std::optional<Duration> trip;
    if (scouts > 0 && (trip = engine_.handshake_trip())) {
      if (*trip >= kLongTrip)
        send_scouts(request, scouts, found);
      scouts = 0;
    }
  }
  Result<ObjectInfo> object =
      first.head() ? judge(first)
                   : first.error().value_or(Error{ErrorKind::Transient, EIO, 0,
                                                  "the server's answer had no head", {}});
  if (object) {
    found.object = std::move(object).value();
    return found;
  }
  for (const auto &arrival : found.arrivals)
    if (!arrival->done())
      engine_.cancel(arrival->id());
  return std::move(object).error();
}

Result<Probe::Found> Probe::run(const std::string &url, ByteSpan asked, unsigned scouts,
                                const RetryPolicy &policy) {
  std::minstd_rand random(std::random_device{}());
  TimePoint begin = now();
  std::optional<Error> suspected; // a cache, of this
  for (unsigned attempts = 1;; ++attempts) {
    Result<Found> tried =
        try_once({.url = url, .range = asked, .past_caches = suspected.has_value()}, scouts);
    if (tried)
      return tried;
    double chance = std::uniform_real_distribution<double>(0, 1)(random);
    Error error = std::move(tried).error();
    if (suspected) {
      error = failed_past_caches(*suspected, std::move(error));
    } else if (error.cache_suspected) {
      log(LogArea::Http, "once more past caches: {}", error.what);
      suspected = std::move(error);
      continue;
    }
    std::optional<uint32_t> wait_ms =
        retry_wait_ms(policy, attempts, error,
                      static_cast<uint64_t>(ms_between(begin, now())), chance);
    if (!wait_ms) {
      if (attempts > 1)
        error.what += fmt::format(" (tried {} times in {:.1f} s)", attempts,
                                  to_seconds(now() - begin));
      return error;
    }
    stats_.retries.add();
    log(LogArea::Http, "retry in {} ms: {}", *wait_ms, error.what);
    if (attempts == 1)
      warning(fmt::format("{} (trying again)", error.what));
    std::this_thread::sleep_for(std::chrono::milliseconds(*wait_ms));
  }
}

} // namespace httpcache
