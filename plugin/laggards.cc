// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// laggards.cc - the part of fetcher.h that asks again, on another connection, for what
// comes too slowly on its own.

#include "fetcher.h"

#include <algorithm>

#include <fmt/format.h>

#include "log.h"

namespace httpcache {

namespace {

// A connection can be slow for as long as it lives (nixpkgs issue 8502; BBR does
// it too).  A transfer that has taken kSlowFactor times what it should, and this
// much more, is asked for again on another if that should end sooner; each time
// it is given twice the patience.  One at a time: when everything is slow, it is
// the link.
constexpr double kSlowFactor = 2;
constexpr double kSlowGrace_s = 0.5;
constexpr unsigned kMaxReplacements = 4;
// Such that asking anew, on a connection that waits with nothing to do, clearly
// wins: by this factor, when it has taken longer than a process waits for its turn.
constexpr double kLaggard = 1.5;
constexpr Duration kLaggardAge = std::chrono::milliseconds(100);
// Of a mirror that nothing is known of, or while there is something else to do.
constexpr Duration kMirrorAge = std::chrono::seconds(1);
// Without a first byte it may be the server that thinks (a cold object store, a
// cache that must ask elsewhere); asked again it would begin anew.
constexpr double kSlowAnswer_s = 10;
// With other mirrors there to be asked, of any: a server that thinks so long is the
// slower one.  And a lost packet may be sent for the third time by then.
constexpr Duration kSilence = std::chrono::seconds(2);
constexpr unsigned kMaxSilences = 5; // a minute, as long as `timeout` usually is
// A new connection's handshakes and slow start, in round trips.
constexpr double kStartTrips = 10;

} // namespace

// A transfer that another connection, or mirror, would end sooner.  While there is
// prefetch to do it does not matter, unless a mirror keeps somebody waiting; but when the
// window is fetched but for it, the readers will come to it, and the wire has nothing to
// do.
void Fetcher::overtake_laggards(TimePoint at) {
  bool hungry = hungry_.load();
  if (!hungry && mirrors_.size() == 1)
    return;
  size_t active = engine_.active();
  size_t unused = engine_.connections() - std::min(active, engine_.connections());
  for (const auto &transfer : transfers_) {
    if (!transfer->running || transfer->replacements >= kMaxReplacements ||
        at - transfer->this_attempt < (hungry ? kLaggardAge : kMirrorAge) ||
        (!hungry && !transfer->demand))
      continue;
    Mirror &mirror = *transfer->mirror;
    double trip = mirror.flow.round_trip_s();
    // The first of a mirror has ended none yet.  Until its first byte there was a trip,
    // at least.
    bool measured = trip > 0;
    if (!measured && transfer->received > 0)
      trip = to_seconds(transfer->first_byte - transfer->this_attempt);
    if (trip == 0 || !transfer->steady(at, trip) ||
        (!measured && at - transfer->this_attempt < kMirrorAge))
      continue;
    uint64_t missing = transfer->missing();
    double left_s = transfer->left_s(at, trip);
    Mirror *other = mirrors_.soonest(missing, at, mirrors_.bit(mirror) | transfer->refused);
    std::optional<double> other_s =
        other != nullptr ? mirrors_.expected_s(*other, missing, at) : std::nullopt;
    // What is not known of one with nothing to do is found out.
    bool hopeless = other != nullptr && !other_s && other->running == 0 &&
                    at - transfer->this_attempt >= kSilence && left_s > to_seconds(kSilence);
    if ((hopeless || (other_s && left_s > kLaggard * *other_s)) && mirrors_.healthy(*other)) {
      std::string late = fmt::format("{}: {} bytes in {:.1f} seconds, others are much faster",
                                     request_text(redact_url(mirror.url), transfer->asked()),
                                     transfer->received, to_seconds(at - transfer->this_attempt));
      ask_again(*transfer, at, mirrors_.bit(mirror));
      if (mirrors_.overtaken(mirror))
        mirrors_.set_aside(mirror, late, at);
      continue;
    }
    // Of one answer among others: a server may give each connection so much and no more.
    double rate = std::min(mirror.flow.bytes_per_second(), mirror.flow.answer_rate());
    if (!hungry || !measured || unused == 0 || rate == 0 || engine_.multiplexed(transfer->attempt_id))
      continue;
    // Others that are under way may be slowed down by the same.
    double others = static_cast<double>(mirror.in_flight - missing);
    if (others < mirror.flow.bytes_per_second() * trip / 2 &&
        left_s > kLaggard * (trip + static_cast<double>(missing) / rate)) {
      ask_again(*transfer, at);
      --unused;
    }
  }
}

// A mirror of which nothing has come for long, with others there to be asked.  Each time
// that a transfer is moved it is given twice the patience: they may all think so long
// about its bytes.
void Fetcher::leave_silent(TimePoint at) {
  if (mirrors_.size() == 1)
    return;
  for (Mirror &mirror : mirrors_) {
    Duration patience =
        kSilence + from_seconds(kStartTrips * mirror.flow.round_trip_s() + mirror.flow.think_s());
    if (mirror.in_flight == 0 || at - mirror.last_heard < patience ||
        !mirrors_.other_healthy(mirrors_.bit(mirror)))
      continue;
    std::string asked;
    bool sent = false;
    for (const auto &transfer : transfers_) {
      // What has all its bytes waits for the end of the answer, which may not come: there
      // is nothing left to ask for.
      if (!transfer->running || transfer->mirror != &mirror || transfer->complete() ||
          at - std::max(mirror.last_heard, transfer->this_attempt) <
              patience * (1 << std::min(transfer->silences, kMaxSilences)))
        continue;
      // It counts, or mirrors that are silent in turns would be asked for ever: when its
      // time or its attempts are over `timeout` ends it.
      bool over = transfer->attempts > policy_.retries && transfer->silences + 1 >= mirrors_.size();
      if (left_ms(*transfer, at) == 0 || over)
        continue;
      if (asked.empty())
        asked = request_text(redact_url(mirror.url), transfer->asked());
      if (engine_.asked_at(transfer->attempt_id) != TimePoint::max())
        sent = true;
      ask_again(*transfer, at, mirrors_.bit(mirror));
      ++transfer->attempts;
      ++transfer->silences;
    }
    if (!asked.empty())
      mirrors_.set_aside(
          mirror,
          fmt::format("{}: {} for {:.1f} seconds", asked, sent ? "no byte" : "waits for a script",
                      to_seconds(at - mirror.last_heard)),
          at);
  }
}

// Gives up the slowest connection if it is hopeless.
void Fetcher::replace_slow(TimePoint at) {
  if (at < next_slow_check_)
    return;
  next_slow_check_ = at + kLookTick;
  Transfer *worst = nullptr;
  double worst_late_s = 0;
  for (const auto &transfer : transfers_) {
    if (!transfer->running || transfer->replacements >= kMaxReplacements)
      continue;
    const Mirror &mirror = *transfer->mirror;
    double rate = mirror.flow.bytes_per_second(), trip = mirror.flow.round_trip_s();
    if (rate == 0 || trip == 0)
      continue;
    double share = rate / static_cast<double>(mirror.running);
    if (mirror.flow.answer_rate() > 0) // as in overtake_laggards()
      share = std::min(share, mirror.flow.answer_rate());
    // Another stream would be of the same connection, or of one that is as slow.
    if (engine_.multiplexed(transfer->attempt_id))
      continue;
    // Since it was sent: it may have waited for a script.
    TimePoint asked = std::max(transfer->this_attempt, engine_.asked_at(transfer->attempt_id));
    double age_s = to_seconds(at - asked);
    double missing = static_cast<double>(transfer->missing());
    double received = static_cast<double>(transfer->received);
    double should_s = kStartTrips * trip + (missing + received) / share;
    double grace_s = received == 0 ? kSlowAnswer_s : kSlowGrace_s;
    double late_s = age_s - (kSlowFactor * should_s + grace_s) * (1 << transfer->replacements);
    double left_s = received == 0 ? age_s : missing * age_s / received;
    if (left_s < kStartTrips * trip + missing / share)
      continue;
    if (late_s > worst_late_s) {
      worst = transfer.get();
      worst_late_s = late_s;
    }
  }
  if (worst == nullptr)
    return;
  double trip = worst->mirror->flow.round_trip_s();
  ask_again(*worst, at);
  next_slow_check_ = at + from_seconds(kStartTrips * trip + kSlowGrace_s);
}

// Gives up the connection; what is missing is asked for on another this turn, and not of
// AVOIDED.
void Fetcher::ask_again(Transfer &transfer, TimePoint at, Mirrors::Set avoided) {
  log(LogArea::Http, "#{} too slow: {} bytes in {:.0f} ms, asking again from byte {}",
      transfer.attempt_id, transfer.received, to_seconds(at - transfer.this_attempt) * 1e3,
      geometry_.object_offset(transfer.pos));
  engine_.cancel(transfer.attempt_id);
  // Or would have, at the rate at which it came.
  double took_s = to_seconds(at - transfer.this_attempt);
  if (transfer.received > 0)
    took_s += transfer.left_s(at, 0);
  mirrors_.took(*transfer.mirror, from_seconds(std::max(took_s, transfer.mirror->pace_s)));
  mirrors_.ended(*transfer.mirror, transfer.missing(), at);
  transfer.running = false;
  transfer.avoided = avoided;
  transfer.not_before = at;
  --transfer.attempts; // this one has not failed
  transfer.credit_progress(at);
  ++transfer.replacements;
  stats_.replaced.add();
}

} // namespace httpcache
