// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// arrival.h - an answer that is on its way before anybody knows the object.
//
// Gathers what has come of one attempt, head and bytes, until its bytes can be
// judged and have a block to go to: the probe starts it, Fetcher::adopt() goes
// on with it.
//
// Threads: the one that drives the engine.  Ownership: must outlive its attempt,
// unless that is handed over or cancelled.  Errors: kept, for whoever asks.
#ifndef HTTPCACHE_ARRIVAL_H
#define HTTPCACHE_ARRIVAL_H

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "error.h"
#include "http_engine.h"
#include "http_headers.h"
#include "object.h"

namespace httpcache {

class Arrival final : public HttpReceiver {
public:
  explicit Arrival(HttpRequest request) : request_(std::move(request)) {}

  // Asks for it.  Before this it is done() with nothing.
  Result<void> start(HttpEngine &engine);

  const ByteSpan &asked() const { return request_.range; }
  HttpEngine::AttemptId id() const { return id_; }
  bool done() const { return done_; }
  const std::optional<ResponseHead> &head() const { return head_; }
  const std::string &effective_url() const { return effective_url_; }
  const std::vector<char> &bytes() const { return bytes_; } // at most asked()
  const std::optional<Error> &error() const { return error_; }

private:
  bool on_head(const ResponseHead &head, const std::string &effective_url) override;
  bool on_body(std::span<const char> bytes) override;
  void on_done(const HttpOutcome &outcome) override;

  const HttpRequest request_;
  HttpEngine::AttemptId id_ = 0;
  bool done_ = true;
  std::optional<ResponseHead> head_;
  std::string effective_url_;
  std::vector<char> bytes_;
  std::optional<Error> error_; // of the transport
};

} // namespace httpcache

#endif
