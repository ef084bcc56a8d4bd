// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "transfer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "redact.h"

namespace httpcache {

namespace {

// An attempt that brought at least this much has made progress: the count of
// attempts starts again.  Less does not count, or a server that sends a byte
// and hangs up could be asked for ever.
constexpr uint64_t kProgressBytes = 16 << 10;

// So long a connection may double what it sends in each round trip.
constexpr double kSlowStartTrips = 3;

} // namespace

void Transfer::reset(std::span<Block *const> run, bool is_demand) {
  blocks.assign(run.begin(), run.end());
  pos = geometry_.start_of(run.front()->index());
  end_ = geometry_.start_of(run.back()->index()) + run.back()->length();
  done = 0;
  demand = is_demand;
  for_stream = false;
  running = false;
  warm = false;
  attempts = own_failures = 0;
  attempts_in_all = 0;
  refusals = 0;
  replacements = silences = 0;
  suspected_.reset();
  mirror = nullptr;
  refused = avoided = left = 0;
}

ByteSpan Transfer::ask(Mirror &of) {
  mirror = &of;
  avoided = 0;
  asked_ = wanted();
  coming_end_ = 0;
  verdict.reset();
  received = 0;
  return asked_;
}

bool Transfer::on_head(const ResponseHead &head, const std::string &effective_url) {
  redacted_url_ = redact_url(effective_url);
  Result<ByteSpan> judged = check_answer(mirror->object, head, asked_, redacted_url_);
  if (!judged) {
    verdict = std::move(judged).error();
    return false;
  }
  suspected_.reset();
  coming_end_ = std::min(judged.value().last, asked_.last) + 1;
  owner_.accepted(*this, effective_url);
  return true;
}

bool Transfer::on_body(std::span<const char> bytes) {
  // What its head promised of what was asked for.  A body without a length of
  // its own may go on: what comes then is nobody's.
  uint64_t room = coming_end_ - geometry_.object_offset(pos);
  bool enough = bytes.size() > room;
  if (enough)
    bytes = bytes.first(static_cast<size_t>(room));
  TimePoint at = now();
  if (received == 0)
    first_byte = at;
  received += bytes.size();
  owner_.arrived(*this, bytes.size(), at);
  while (!bytes.empty()) {
    Block &block = *blocks[done];
    uint64_t start = geometry_.start_of(block.index());
    uint32_t into = static_cast<uint32_t>(pos - start);
    size_t n = std::min<size_t>(bytes.size(), block.length() - into);
    if (cache_.deliver(block, into, bytes.first(n)))
      ++done; // the block is complete, and not ours any more
    pos += n;
    bytes = bytes.subspan(n);
  }
  return !enough;
}

bool Transfer::turn_past_caches(Error &error) {
  if (!suspected_ && error.cache_suspected) {
    suspected_ = error;
    return true;
  }
  if (suspected_)
    error = failed_past_caches(*suspected_, std::move(error));
  return false;
}

bool Transfer::credit_progress(TimePoint at) {
  if (received < kProgressBytes)
    return false;
  attempts = own_failures = refusals = silences = 0;
  refused = left = 0;
  first_attempt = at;
  return true;
}

void Transfer::shed_unwanted(const std::shared_ptr<const Error> &error) {
  while (!complete() && cache_.fail_unless_wanted(*blocks.back(), error))
    blocks.pop_back();
  if (!complete())
    end_ = geometry_.start_of(blocks.back()->index()) + blocks.back()->length();
}

bool Transfer::steady(TimePoint at, double trip_s) const {
  return received > 0 && to_seconds(at - first_byte) > kSlowStartTrips * trip_s;
}

double Transfer::left_s(TimePoint at, double trip_s) const {
  if (received == 0)
    return std::numeric_limits<double>::infinity();
  double rest = static_cast<double>(missing()) / static_cast<double>(received);
  if (steady(at, trip_s))
    return rest * to_seconds(at - first_byte);
  return trip_s * (warm ? 1 : std::log2(1 + rest));
}

} // namespace httpcache
