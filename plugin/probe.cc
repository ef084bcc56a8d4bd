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

// With mirrors to ask instead; a TCP handshake's second packet is sent by then.
constexpr Duration kPatience = std::chrono::seconds(5);

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

Result<Probe::Found> Probe::try_once(const HttpRequest &request, unsigned scouts,
                                     Duration most) {
  TimePoint begin = now();
  Found found;
  found.arrivals.push_back(std::make_unique<Arrival>(request));
  Arrival &first = *found.arrivals.front();
  if (Result<void> started = first.start(engine_); !started)
    return std::move(started).error();
  while (!first.done() && !first.head()) {
    engine_.turn(scouts > 0 ? kLook : std::chrono::seconds(1));
    if (now() - begin > most)
      break;
    std::optional<Duration> trip;
    if (scouts > 0 && (trip = engine_.handshake_trip())) {
      if (*trip >= kLongTrip)
        send_scouts(request, scouts, found);
      scouts = 0;
    }
  }
  Result<ObjectInfo> object =
      first.head()   ? judge(first)
      : first.done() ? first.error().value_or(Error{ErrorKind::Transient, EIO, 0,
                                                    "the server's answer had no head", {}})
                     : Error{ErrorKind::Transient, EIO, 0,
                             fmt::format("{}: no answer for {:.0f} seconds",
                                         request_text(redact_url(request.url), request.range),
                                         to_seconds(most)),
                             {}};
  if (object) {
    found.object = std::move(object).value();
    return found;
  }
  for (const auto &arrival : found.arrivals)
    if (!arrival->done())
      engine_.cancel(arrival->id());
  return std::move(object).error();
}

Result<Probe::Found> Probe::run(std::span<const std::string> urls, ByteSpan asked,
                                unsigned scouts, const RetryPolicy &policy) {
  struct Place {
    std::optional<Error> suspected; // a cache, of this
    std::optional<Error> error;     // the last
    bool given_up = false;
  };
  std::vector<Place> places(urls.size());
  std::minstd_rand random(std::random_device{}());
  TimePoint begin = now();
  Duration most = urls.size() > 1 ? kPatience : Duration::max();
  size_t at = 0;
  for (unsigned rounds = 1;;) {
    Place &place = places[at];
    Result<Found> tried = try_once(
        {.url = urls[at], .range = asked, .past_caches = place.suspected.has_value()}, scouts,
        most);
    if (tried) {
      tried.value().place = at;
      return tried;
    }
    Error error = std::move(tried).error();
    if (place.suspected) {
      error = failed_past_caches(*place.suspected, std::move(error));
      place.suspected.reset();
    } else if (error.cache_suspected) {
      log(LogArea::Http, "once more past caches: {}", error.what);
      place.suspected = std::move(error);
      continue;
    }
    place.error = error;
    place.given_up = error.kind != ErrorKind::Transient;

    size_t next = at;
    do
      next = (next + 1) % urls.size();
    while (places[next].given_up && next != at);
    if (next > at && !places[next].given_up) {
      if (rounds == 1)
        warning(fmt::format("{} (trying its mirror)", error.what));
      at = next;
      continue;
    }
    double chance = std::uniform_real_distribution<double>(0, 1)(random);
    std::optional<uint32_t> wait_ms;
    if (!places[next].given_up)
      wait_ms = retry_wait_ms(policy, rounds, *places[next].error,
                              static_cast<uint64_t>(ms_between(begin, now())), chance);
    if (!wait_ms) {
      if (rounds > 1)
        error.what += fmt::format(" (tried {} times in {:.1f} s)", rounds,
                                  to_seconds(now() - begin));
      for (size_t i = 0; i < urls.size(); ++i)
        if (i != at)
          error.what += fmt::format("; and {}", places[i].error->what);
      return error;
    }
    stats_.retries.add();
    log(LogArea::Http, "retry in {} ms: {}", *wait_ms, error.what);
    if (rounds++ == 1)
      warning(fmt::format("{} (trying again)", error.what));
    std::this_thread::sleep_for(std::chrono::milliseconds(*wait_ms));
    at = next;
  }
}

} // namespace httpcache
