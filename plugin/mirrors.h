// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// mirrors.h - the places that the object is at, and which of them is asked next.
//
// url= and each mirror= name one place.  Each has its own way there, with its redirects
// and its troubles (route.h), a link that is measured by itself (flow.h), and
// a validator of its own, for servers make ETags as they like.  With url= alone there
// is one, which is never left.
//
// Work is spread by what the links are seen to do: prefetch goes to the mirror with the
// least in flight of what its link can use, so that each brings what it can; demand to
// the one that should bring it soonest.  Connections are shared out evenly.
//
// A mirror that fails, is silent for long or holds readers up is *set aside*: it is not
// asked while another may be.  A check (mirror_checks.h) brings it back, first after
// kFirstAside, each time after twice as long unless it has served meanwhile, and not
// before its Retry-After.  Only when all are aside are they asked nevertheless, each as
// route.h allows.
//
// A mirror is *known* once it was seen to have the object, and is not asked before.
//
// Pure but for warnings and trace lines: the time is passed in.  Threads: none (the engine's).
// Errors: none of its own.
#ifndef HTTPCACHE_MIRRORS_H
#define HTTPCACHE_MIRRORS_H

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>

#include "clock.h"
#include "error.h"
#include "flow.h"
#include "object.h"
#include "retry.h"
#include "route.h"

namespace httpcache {

struct Mirror {
  Mirror(const std::string &configured, const RetryPolicy &policy, uint32_t block_size,
         unsigned connections)
      : url(configured), route(configured, configured, policy), flow(block_size, connections) {}

  const std::string url;  // as it was configured: secret
  ObjectInfo object;      // of the size that all have, and with the validator it has here
  Route route;
  Flow flow;
  size_t running = 0;     // transfers
  uint64_t in_flight = 0; // bytes asked for that have not come
  double pace_s = 0;      // what a transfer takes, of late; 0: none has ended
  double connect_s = 0;   // until a new connection's first request is sent; 0: not seen
  TimePoint last_heard{}; // when bytes came last, or, with nothing to come, it was asked
  bool known = false;
  size_t samples = 0;    // that were as they should be, of one that is not known
  bool changed = false;  // it has another version now
  bool left_out = false; // it has another object
  bool warned = false;   // of trouble, which has not ended yet
  TimePoint next_warning{};
  std::string trouble;   // what it said last, when it failed

  // The parts of being aside.
  bool aside = false;
  TimePoint check_at{};         // when it, or one that is not known, is to be checked
  Duration next_aside{};        // for how long, the next time
  TimePoint aside_since{}, back_since{};
  unsigned answers = 0; // good ones, since it was back
  unsigned overtaken = 0; // transfers in a row
};

class Mirrors {
public:
  static constexpr size_t kMost = 16;
  using Set = uint32_t; // of mirrors, a bit each

  // A few lost seconds are a restart.
  static constexpr Duration kFirstAside = std::chrono::seconds(1);
  static constexpr Duration kMaxAside = std::chrono::seconds(60);
  // Who has given so many good answers is worth asking again soon, for all its failures:
  // or of two servers that fail now and then one would always be aside, for a minute.
  static constexpr unsigned kGoodAnswers = 32;
  // No more than one warning in that time about each.
  static constexpr Duration kWarningPause = std::chrono::minutes(1);
  // So many transfers in a row that were not waited for to the end show a slow mirror.
  static constexpr unsigned kSlowTransfers = 3;

  // URLS are at most kMost; that at FIRST has OBJECT, and decides what the others must
  // have.  CONNECTIONS are for all together.
  Mirrors(std::span<const std::string> urls, size_t first, const ObjectInfo &object,
          const RetryPolicy &policy, uint32_t block_size, unsigned connections);

  size_t size() const { return mirrors_.size(); }
  Mirror &first() { return mirrors_[first_]; }
  auto begin() { return mirrors_.begin(); }
  auto end() { return mirrors_.end(); }
  auto begin() const { return mirrors_.begin(); }
  auto end() const { return mirrors_.end(); }

  Set bit(const Mirror &mirror) const;
  // Those that were seen to have the object.
  Set known() const;
  bool healthy(const Mirror &mirror) const { return mirror.known && !mirror.aside; }
  // Is there one that is, besides NOT_THOSE?
  bool other_healthy(Set not_those) const;

  // May any be asked, but NOT_THOSE?  If not, not before then, unless something ends.
  bool may_ask(TimePoint now, Set not_those = 0) const;
  TimePoint not_before() const;
  // When one more may be.
  TimePoint next_may_ask(TimePoint now) const;
  // Any number of times?
  bool clear(TimePoint now) const;

  // Whom to ask for BYTES that somebody waits for, but NOT_THOSE; null: nobody now.
  Mirror *soonest(uint64_t bytes, TimePoint now, Set not_those = 0);
  // How long MIRROR would take to bring them; nothing: it was not measured of late.  By
  // its rate, or, while too little was asked of it for that, as others took.
  std::optional<double> expected_s(const Mirror &mirror, uint64_t bytes, TimePoint now) const;
  // Whom to ask for what nobody waits for yet; null: enough is in flight, or no
  // connection free beside those for demand.
  Mirror *least_busy(TimePoint now);

  // Transfers that may begin, of those and of all.
  size_t free_connections(const Mirror &mirror) const;
  size_t free_connections() const;
  // What prefetch leaves to demand, of them.
  size_t reserved_connections(const Mirror &mirror) const { return reserve(share(mirror)); }
  size_t reserved_connections() const { return reserve(connections_); }

  // Over those that are healthy.
  uint64_t limit() const;
  uint64_t transfer_bytes() const;
  uint64_t ahead_bytes() const;
  uint64_t in_flight() const;
  void keep_queue_short(bool wanted);
  bool queue_is_short() const { return mirrors_.front().flow.queue_is_short(); }

  // A transfer begins, or ends; BYTES are those it wants, or does not bring any more.
  void began(Mirror &mirror, uint64_t bytes, TimePoint now);
  void ended(Mirror &mirror, uint64_t bytes, TimePoint now);
  void arrived(Mirror &mirror, uint64_t bytes, TimePoint now);
  // A transfer took so long.
  void took(Mirror &mirror, Duration time);

  // Not if there is no other.  RETRY_AFTER_S as in check_later().
  void set_aside(Mirror &mirror, const std::string &trouble, TimePoint now,
                 std::optional<uint32_t> retry_after_s = std::nullopt);
  // Its next check is twice as far off as the last was, and not before it wishes
  // (Retry-After, up to kMaxAside).
  void check_later(Mirror &mirror, TimePoint now, std::optional<uint32_t> retry_after_s);
  // It has trouble: is the user to be warned, who is then told when that has ended?
  bool to_be_told(Mirror &mirror, TimePoint now);
  // It has the object, and is asked from now on.
  void bring_back(Mirror &mirror, TimePoint now);
  // An answer to an attempt that began at BEGUN is good; a transfer came to its end,
  // or was asked of another since that is faster: then, true shows that it is slow.
  void answered(Mirror &mirror, TimePoint begun, TimePoint now);
  void delivered(Mirror &mirror) { mirror.overtaken = 0; }
  bool overtaken(Mirror &mirror) { return ++mirror.overtaken >= kSlowTransfers; }

  // Memory ran out: nothing is under way any more.
  void all_dropped();
  void nobody_waits(TimePoint now, double random01);

private:
  bool candidate(const Mirror &mirror, Set not_those) const;
  size_t share(const Mirror &mirror) const;
  size_t reserve(size_t connections) const;
  size_t running() const;

  const size_t connections_;
  const size_t first_;
  std::deque<Mirror> mirrors_; // they stay where they are
};

} // namespace httpcache

#endif
