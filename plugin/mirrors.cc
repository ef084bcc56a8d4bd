// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "mirrors.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>

#include "log.h"

namespace httpcache {

namespace {

// Of the connections, prefetch leaves one in eight, at least one, to demand.
constexpr size_t kReservedShare = 8;

// Of the last transfer, in what they take.
constexpr double kPaceWeight = 0.25;

// What a link did longer ago tells nothing: it is tried again.
constexpr Duration kStale = std::chrono::seconds(30);

} // namespace

Mirrors::Mirrors(std::span<const std::string> urls, size_t first, const ObjectInfo &object,
                 const RetryPolicy &policy, uint32_t block_size, unsigned connections)
    : connections_(connections), first_(first) {
  unsigned each = std::max(1u, connections / static_cast<unsigned>(urls.size()));
  for (const std::string &url : urls) {
    Mirror &mirror = mirrors_.emplace_back(url, policy, block_size, each);
    mirror.object.size = object.size;
    mirror.next_aside = kFirstAside;
  }
  this->first().object = object;
  this->first().known = true;
  this->first().route.begin_at(object.effective_url, {});
}

Mirrors::Set Mirrors::bit(const Mirror &mirror) const {
  Set bit = 1;
  for (const Mirror &other : mirrors_) {
    if (&other == &mirror)
      return bit;
    bit <<= 1;
  }
  assert(false);
  return 0;
}

Mirrors::Set Mirrors::known() const {
  Set set = 0;
  for (const Mirror &mirror : mirrors_)
    if (mirror.known)
      set |= bit(mirror);
  return set;
}

bool Mirrors::other_healthy(Set not_those) const {
  return std::any_of(mirrors_.begin(), mirrors_.end(), [&](const Mirror &mirror) {
    return healthy(mirror) && (not_those & bit(mirror)) == 0;
  });
}

bool Mirrors::candidate(const Mirror &mirror, Set not_those) const {
  return mirror.known && (not_those & bit(mirror)) == 0 &&
         (!mirror.aside || !other_healthy(not_those));
}

bool Mirrors::may_ask(TimePoint now, Set not_those) const {
  return std::any_of(mirrors_.begin(), mirrors_.end(), [&](const Mirror &mirror) {
    return candidate(mirror, not_those) && mirror.route.may_ask(now);
  });
}

TimePoint Mirrors::not_before() const {
  TimePoint soonest = TimePoint::max();
  for (const Mirror &mirror : mirrors_)
    if (candidate(mirror, 0))
      soonest = std::min(soonest, mirror.route.not_before());
  return soonest;
}

TimePoint Mirrors::next_may_ask(TimePoint now) const {
  TimePoint next = TimePoint::max();
  for (const Mirror &mirror : mirrors_)
    if (mirror.known && !mirror.route.may_ask(now))
      next = std::min(next, mirror.route.not_before());
  return next;
}

bool Mirrors::clear(TimePoint now) const {
  return std::any_of(mirrors_.begin(), mirrors_.end(), [&](const Mirror &mirror) {
    return candidate(mirror, 0) && mirror.route.clear(now);
  });
}

size_t Mirrors::running() const {
  size_t all = 0;
  for (const Mirror &mirror : mirrors_)
    all += mirror.running;
  return all;
}

// Of the connections, for one that is asked.
size_t Mirrors::share(const Mirror &mirror) const {
  size_t among = 0;
  for (const Mirror &other : mirrors_)
    if (&other == &mirror || candidate(other, 0))
      ++among;
  return std::max<size_t>(1, connections_ / among);
}

size_t Mirrors::free_connections() const {
  return connections_ - std::min(connections_, running());
}

size_t Mirrors::free_connections(const Mirror &mirror) const {
  size_t mine = share(mirror);
  return std::min(mine - std::min(mine, mirror.running), free_connections());
}

size_t Mirrors::reserve(size_t connections) const {
  return connections == 1 ? 0 : std::max<size_t>(1, connections / kReservedShare);
}

std::optional<double> Mirrors::expected_s(const Mirror &mirror, uint64_t bytes,
                                          TimePoint now) const {
  double rate = mirror.flow.bytes_per_second();
  if (mirror.running == 0 && now - mirror.last_heard > kStale)
    return std::nullopt;
  if (rate <= 0)
    return mirror.pace_s > 0 ? std::optional(mirror.pace_s) : std::nullopt;
  return mirror.flow.round_trip_s() + mirror.flow.think_s() +
         static_cast<double>(mirror.in_flight + bytes) / rate;
}

// One that was not measured is tried, with one transfer at a time if others were.
Mirror *Mirrors::soonest(uint64_t bytes, TimePoint now, Set not_those) {
  Mirror *best = nullptr, *unknown = nullptr;
  double best_s = 0;
  for (Mirror &mirror : mirrors_) {
    if (!candidate(mirror, not_those) || !mirror.route.may_ask(now) ||
        free_connections(mirror) == 0)
      continue;
    if (std::optional<double> s = expected_s(mirror, bytes, now)) {
      if (best == nullptr || *s < best_s) {
        best = &mirror;
        best_s = *s;
      }
    } else if (unknown == nullptr || mirror.running < unknown->running) {
      unknown = &mirror;
    }
  }
  return unknown != nullptr && (best == nullptr || unknown->running == 0) ? unknown : best;
}

Mirror *Mirrors::least_busy(TimePoint now) {
  Mirror *best = nullptr;
  double best_share = 0;
  for (Mirror &mirror : mirrors_) {
    if (!candidate(mirror, 0) || !mirror.route.may_ask(now) ||
        free_connections(mirror) <= reserved_connections(mirror))
      continue;
    uint64_t limit = mirror.flow.limit();
    if (mirror.in_flight >= limit)
      continue;
    // A full transfer, or wait until there is room for one; but never wait with
    // nothing under way.
    if (limit - mirror.in_flight < std::min(mirror.flow.transfer_bytes(), limit) &&
        mirror.in_flight > 0)
      continue;
    double busy = static_cast<double>(mirror.in_flight) / static_cast<double>(limit);
    if (best == nullptr || busy < best_share) {
      best = &mirror;
      best_share = busy;
    }
  }
  return best;
}

uint64_t Mirrors::limit() const {
  uint64_t sum = 0;
  for (const Mirror &mirror : mirrors_)
    if (candidate(mirror, 0))
      sum += mirror.flow.limit();
  return sum;
}

uint64_t Mirrors::transfer_bytes() const {
  uint64_t most = 0;
  for (const Mirror &mirror : mirrors_)
    if (candidate(mirror, 0))
      most = std::max(most, mirror.flow.transfer_bytes());
  return most;
}

uint64_t Mirrors::ahead_bytes() const {
  uint64_t sum = 0;
  for (const Mirror &mirror : mirrors_)
    if (candidate(mirror, 0))
      sum += mirror.flow.ahead_bytes();
  return sum;
}

uint64_t Mirrors::in_flight() const {
  uint64_t sum = 0;
  for (const Mirror &mirror : mirrors_)
    sum += mirror.in_flight;
  return sum;
}

void Mirrors::keep_queue_short(bool wanted) {
  for (Mirror &mirror : mirrors_)
    mirror.flow.keep_queue_short(wanted);
}

void Mirrors::began(Mirror &mirror, uint64_t bytes, TimePoint now) {
  if (mirror.in_flight == 0)
    mirror.last_heard = now;
  ++mirror.running;
  mirror.in_flight += bytes;
  mirror.flow.in_flight(mirror.in_flight, now);
}

void Mirrors::ended(Mirror &mirror, uint64_t bytes, TimePoint now) {
  --mirror.running;
  mirror.in_flight -= bytes;
  mirror.flow.in_flight(mirror.in_flight, now);
}

void Mirrors::arrived(Mirror &mirror, uint64_t bytes, TimePoint now) {
  mirror.last_heard = now;
  mirror.in_flight -= bytes;
  mirror.flow.received(bytes, now);
}

void Mirrors::took(Mirror &mirror, Duration time) {
  double s = to_seconds(time);
  mirror.pace_s += (s - mirror.pace_s) * (mirror.pace_s == 0 ? 1 : kPaceWeight);
}

void Mirrors::set_aside(Mirror &mirror, const std::string &trouble, TimePoint now,
                        std::optional<uint32_t> retry_after_s) {
  mirror.trouble = trouble;
  if (size() == 1 || mirror.aside)
    return;
  // One that has served as long as it was to be aside begins again with the least.
  if (now - mirror.back_since > mirror.next_aside || mirror.answers >= kGoodAnswers)
    mirror.next_aside = kFirstAside;
  mirror.aside = true;
  mirror.aside_since = now;
  mirror.overtaken = 0;
  check_later(mirror, now, retry_after_s);
  if (to_be_told(mirror, now))
    warning(fmt::format("the mirror {} is set aside for a while: {}", redact_url(mirror.url),
                        trouble));
  else if (log_on(LogArea::Http))
    log(LogArea::Http, "mirror {} set aside: {}", redact_url(mirror.url), trouble);
}

bool Mirrors::to_be_told(Mirror &mirror, TimePoint now) {
  if (mirror.warned || now < mirror.next_warning)
    return false;
  mirror.warned = true;
  mirror.next_warning = now + kWarningPause;
  return true;
}

void Mirrors::check_later(Mirror &mirror, TimePoint now, std::optional<uint32_t> retry_after_s) {
  Duration wish = std::min<Duration>(std::chrono::seconds(retry_after_s.value_or(0)), kMaxAside);
  mirror.check_at = now + std::max(mirror.next_aside, wish);
  mirror.next_aside = std::min(2 * mirror.next_aside, kMaxAside);
  if (log_on(LogArea::Http))
    log(LogArea::Http, "mirror {} is checked in {:.0f} s", redact_url(mirror.url),
        to_seconds(mirror.check_at - now));
}

void Mirrors::bring_back(Mirror &mirror, TimePoint now) {
  if (std::exchange(mirror.warned, false))
    warning(fmt::format("the mirror {} is used again", redact_url(mirror.url)));
  if (healthy(mirror))
    return;
  mirror.known = true;
  mirror.aside = mirror.changed = false;
  mirror.trouble.clear();
  mirror.back_since = now;
  mirror.answers = 0;
  if (log_on(LogArea::Http))
    log(LogArea::Http, "mirror {} is asked from now on", redact_url(mirror.url));
}

// What was on its way when it was set aside does not bring it back.
void Mirrors::answered(Mirror &mirror, TimePoint begun, TimePoint now) {
  mirror.last_heard = now;
  ++mirror.answers;
  if (mirror.aside && begun >= mirror.aside_since)
    bring_back(mirror, now);
}

void Mirrors::all_dropped() {
  for (Mirror &mirror : mirrors_) {
    mirror.running = 0;
    mirror.in_flight = 0;
    mirror.route.attempts_dropped();
  }
}

void Mirrors::nobody_waits(TimePoint now, double random01) {
  for (Mirror &mirror : mirrors_)
    mirror.route.nobody_waits(now, random01);
}

} // namespace httpcache
