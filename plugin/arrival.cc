// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "arrival.h"

#include <algorithm>

namespace httpcache {

Result<void> Arrival::start(HttpEngine &engine) {
  Result<HttpEngine::AttemptId> started = engine.start(request_, *this);
  if (!started)
    return std::move(started).error();
  id_ = started.value();
  done_ = false;
  return {};
}

// Stops at a head that says no to everything; what it says of the bytes is
// judged by whoever knows the object.
bool Arrival::on_head(const ResponseHead &head, const std::string &effective_url) {
  head_ = head;
  effective_url_ = effective_url;
  return head.status == 206;
}

bool Arrival::on_body(std::span<const char> bytes) {
  uint64_t room = asked().length() - bytes_.size();
  size_t n = static_cast<size_t>(std::min<uint64_t>(room, bytes.size()));
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(n));
  return n == bytes.size();
}

void Arrival::on_done(const HttpOutcome &outcome) {
  done_ = true;
  error_ = outcome.error;
}

} // namespace httpcache
