// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// route.h - where requests go, and whether they may go now: what all transfers
// share of a server's redirects and of its troubles.
//
// Redirects.  The URL that the first answer came from, its *target*, is the one
// that is asked.  It may refuse later (400, 401, 403, 404, 410, a page with 200, or
// no connection): the URLs that stores sign expire after minutes, nodes go away.  Then one
// attempt asks the configured URL again while all others wait, and where its answer
// comes from is the target from then on.  That happens only to a target which has
// answered, so it cannot go round: what one that is found anew refuses at once is an
// error.  It may be about those bytes alone, so one more asks; if that is refused, too,
// it is the error of all that have waited.  A target that only fails (silence, 503) is
// not left for good: after each kFailures in a row one attempt asks the configured URL,
// for there may be a better one by now.  If there is not, be it that this URL refuses by
// now, the target is asked as before.
//
// Troubles.  After a failure that may pass, with no good answer since the attempt
// began, the server is *in doubt*: attempts are made one at a time, after waits that
// double (retry.h), whoever waits, until one is answered well.  So many readers of a
// server that is down ask it no more often than one does.  A server that goes on
// answering others is not in doubt.  Its Retry-After holds for all in any case.  An
// attempt in doubt that is not answered in kPatience lets the next one go: it may
// have met the one node of many that hangs.
//
// A Ticket is what an attempt begins with; it ends in answered(), failed(), or
// unheard.
//
// Pure: time and chance are passed in.  Threads: none (the engine's).  Errors: none
// of its own.
#ifndef HTTPCACHE_ROUTE_H
#define HTTPCACHE_ROUTE_H

#include <cstdint>
#include <string>

#include "clock.h"
#include "error.h"
#include "retry.h"

namespace httpcache {

class Route {
public:
  struct Ticket {
    uint64_t target = 0; // the number of the one it was asked of
    bool resolving = false;
    bool in_doubt = false;
    TimePoint begun{};
  };

  // What a failure means.
  enum class Fate {
    Own,     // nothing for others
    Refused, // by a target that is not asked any more: no failure, ask again
    Doubt,   // the server is in doubt: wait until it may be asked
    Shared,  // all that wait have failed with it
  };

  static constexpr Duration kPatience = std::chrono::seconds(5);
  static constexpr unsigned kFailures = 3;

  // URL as it was configured led to TARGET.
  Route(std::string url, std::string target, const RetryPolicy &policy)
      : url_(std::move(url)), target_(std::move(target)), policy_(policy) {}

  // A good answer that is not of a ticket's attempt came from TARGET: all begins anew.
  void begin_at(const std::string &target, TimePoint now);

  // May an attempt begin?  If not, not before then, unless something ends.
  bool may_ask(TimePoint now) const { return now >= not_before_; }
  TimePoint not_before() const { return not_before_; }
  // Any number of them?
  bool clear(TimePoint now) const { return !in_doubt() && may_ask(now); }

  // An attempt begins: what it is to ask, and its ticket.
  const std::string &url() const { return stale_ ? url_ : target_; }
  Ticket ask(TimePoint now);
  // Of an attempt that began before this knew of it, and may not have followed
  // redirects.
  Ticket ticket_of_probe(TimePoint now) const { return {UINT64_MAX, false, false, now}; }

  // A good answer has come, from EFFECTIVE_URL.  True: that is a new target.
  bool answered(const Ticket &ticket, const std::string &effective_url, TimePoint now);

  // It failed, with MOST_MS left until somebody's time is over.
  Fate failed(const Ticket &ticket, const Error &error, TimePoint now, uint64_t most_ms,
              double random01);

  // Nobody waits for the server any more: who comes next need not wait long.
  void nobody_waits(TimePoint now, double random01);

  // All attempts are gone, unheard: who waits for them need not.
  void attempts_dropped() { not_before_ = held_until_; }

  // For messages: what was asked and why, if the configured URL is asked again.
  std::string note() const;

private:
  bool in_doubt() const { return stale_ || failures_ > 0; }
  void leave_target(bool failing);
  Duration backoff(double random01) const;

  const std::string url_;
  std::string target_;
  const RetryPolicy policy_;
  uint64_t number_ = 0;     // of the target, or of the one being looked for
  bool stale_ = false;      // the target has refused, or
  bool failing_ = false;    // has only failed
  unsigned refusals_ = 0;   // of what was found since
  unsigned failures_ = 0;   // in doubt, in a row
  unsigned target_failures_ = 0; // of these the target's, since another was looked for
  bool hastened_ = false;   // not_before_ is the end of somebody's time
  TimePoint not_before_{};
  TimePoint held_until_{};  // by Retry-After
  TimePoint last_answer_{}; // a good one
};

} // namespace httpcache

#endif
