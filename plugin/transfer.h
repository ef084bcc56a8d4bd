// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// transfer.h - a run of consecutive blocks on its way.
//
// Judges each attempt's head, puts its bytes into the cache's blocks in order, and
// knows what is still missing.  When to ask, again or at all, is the fetcher's
// (fetcher.h), to which the public state belongs.
//
// Threads: the engine's.  Ownership: the blocks from `done` on carry the fetcher's
// pin; all else outlives it.  Errors: a head that is refused is kept in `verdict`.
#ifndef HTTPCACHE_TRANSFER_H
#define HTTPCACHE_TRANSFER_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "block_cache.h"
#include "clock.h"
#include "error.h"
#include "geometry.h"
#include "http_engine.h"
#include "mirrors.h"
#include "object.h"
#include "route.h"

namespace httpcache {

class Transfer final : public HttpReceiver {
public:
  class Owner {
  public:
    // A head was found good, which came from EFFECTIVE_URL.
    virtual void accepted(Transfer &transfer, const std::string &effective_url) = 0;
    // BYTES of what was asked for have come.
    virtual void arrived(Transfer &transfer, uint64_t bytes, TimePoint now) = 0;
    // An attempt is over.
    virtual void ended(Transfer &transfer, const HttpOutcome &outcome) = 0;

  protected:
    ~Owner() = default;
  };

  Transfer(Owner &owner, BlockCache &cache, const Geometry &geometry)
      : owner_(owner), cache_(cache), geometry_(geometry) {}

  // Begins anew, with RUN.
  void reset(std::span<Block *const> run, bool is_demand);

  // What is still missing, as bytes of the object.
  ByteSpan wanted() const {
    return {geometry_.object_offset(pos), geometry_.object_offset(end_) - 1};
  }
  // An attempt asks OF for it now.
  ByteSpan ask(Mirror &of);
  const ByteSpan &asked() const { return asked_; }
  // "GET URL bytes FIRST-LAST", of an attempt whose head has come.
  std::string request() const { return request_text(redacted_url_, asked_); }

  bool on_head(const ResponseHead &head, const std::string &effective_url) override;
  bool on_body(std::span<const char> bytes) override;
  void on_done(const HttpOutcome &outcome) override { owner_.ended(*this, outcome); }

  bool complete() const { return done == blocks.size(); }
  // Bytes that have not come.
  uint64_t missing() const { return end_ - pos; }
  // Did the body end before what its own head promised?
  bool broke_off() const { return geometry_.object_offset(pos) < coming_end_; }

  // An attempt has failed with ERROR.  True: a cache may be to blame, so that the next
  // one is to ask past_caches(); if this one did, ERROR tells of the first answer, too.
  bool turn_past_caches(Error &error);
  bool past_caches() const { return suspected_.has_value(); }

  // If this attempt brought enough, the count of attempts starts again.
  bool credit_progress(TimePoint at);

  // Fails the blocks that nobody waits for, from the end; what then is left of
  // the run ends with one that somebody does.
  void shed_unwanted(const std::shared_ptr<const Error> &error);

  // Has it come for so long that its rate tells what is to be expected?
  bool steady(TimePoint at, double trip_s) const;
  // How long it will take.  Before it is steady() it doubles in each round trip on a
  // new connection, and comes in one on another.
  double left_s(TimePoint at, double trip_s) const;

  std::vector<Block *> blocks; // those from `done` on are ours
  size_t done = 0;             // blocks complete
  uint64_t pos = 0;            // next byte of the export to come
  bool demand = false;
  bool for_stream = false; // of demand: a stream waits, not a reader that jumps
  bool running = false; // else it waits for not_before
  bool warm = false;    // on a connection that was used before, most likely
  HttpEngine::AttemptId attempt_id = 0;
  Mirror *mirror = nullptr; // that the attempt asks, or asked last
  Route::Ticket ticket;     // of the attempt
  Mirrors::Set refused = 0; // by these for good
  Mirrors::Set avoided = 0; // these, next time: they were too slow, or failed
  Mirrors::Set left = 0;    // these failed since it last waited
  unsigned attempts = 0; // without progress, or made for it by others
  unsigned own_failures = 0; // of these, that concern it alone
  unsigned refusals = 0; // by targets that are not asked any more (route.h), in a row
  unsigned attempts_in_all = 0;
  unsigned replacements = 0; // of slow connections
  unsigned silences = 0;     // of mirrors, since there was progress
  TimePoint first_attempt{}, this_attempt{}, first_byte{}, not_before{};
  uint64_t received = 0;        // by this attempt
  uint64_t asked_with = 0;      // bytes in flight when it was asked for
  std::optional<Error> verdict; // of the answer's head

private:
  Owner &owner_;
  BlockCache &cache_;
  const Geometry &geometry_;
  std::string redacted_url_; // where the head came from
  std::optional<Error> suspected_; // a cache, of this; until an answer is good
  uint64_t end_ = 0;
  ByteSpan asked_;
  uint64_t coming_end_ = 0; // of the object; 0: no head accepted
};

} // namespace httpcache

#endif
