// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// http_attempt.h - one request on one easy handle of libcurl, and its answer.
//
// An *attempt* follows redirects, hop by hop, reads the head, has it judged once
// it is the final one, and passes the body on.  It knows nothing of other
// attempts: http_engine.h drives them.  The handle can be used for one request
// after the other.
//
// Redirects are followed here because libcurl by itself would send all headers
// but Authorization and Cookie on to another host (http_options.h).
//
// Where scripts give credentials (renewal.h) it may have to wait for one before it
// asks; and a 401 or 403 to credentials that can be renewed is no answer but a reason
// to repeat the request, once, with new ones.
//
// Threads: the one that drives the engine.  Errors are made from libcurl's codes
// in http_errors.h, redacted.
#ifndef HTTPCACHE_HTTP_ATTEMPT_H
#define HTTPCACHE_HTTP_ATTEMPT_H

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "clock.h"
#include "error.h"
#include "http_headers.h"
#include "http_options.h"
#include "http_sockets.h"
#include "object.h"
#include "stats.h"

namespace httpcache {

// A server that brings less than this is as silent as one that brings nothing: a
// reader would wait for days.  A modem of 1990 brings it ten times.
inline constexpr uint64_t kLeastRate = 256; // bytes a second

struct HttpOutcome {
  std::optional<Error> error; // of the transport; the answer itself was judged
                              // in on_head()
  bool new_connection = false;
  Duration answer_time{};     // from sending the request to the first byte
  Duration first_byte_time{}; // from the start; 0 when none came
  Duration total_time{};
  uint64_t body_bytes = 0;
};

class HttpReceiver {
public:
  // The final head has come; EFFECTIVE_URL is where it came from.  False: the
  // body is not wanted; on_done() follows, without an error.
  virtual bool on_head(const ResponseHead &head,
                       const std::string &effective_url) = 0;
  // The next bytes of the body.  False: enough.
  virtual bool on_body(std::span<const char> bytes) = 0;
  virtual void on_done(const HttpOutcome &outcome) = 0;

protected:
  ~HttpReceiver() = default;
};

class HttpAttempt {
public:
  // All must outlive it.
  static Result<std::unique_ptr<HttpAttempt>>
  create(const HttpOptions &options, HttpSockets &sockets, Stats &stats);
  ~HttpAttempt();
  HttpAttempt(const HttpAttempt &) = delete;

  // A new request, called ID in traces.  RECEIVER must live until the last
  // callback of libcurl's and the last function called here.
  void begin(uint64_t id, const HttpRequest &request, HttpReceiver &receiver);
  // Tells libcurl what to ask, of url().
  Result<void> ask();
  // Not yet: first a script must run.
  void wait();
  bool waiting() const { return waiting_; }

  // libcurl is done.  A redirect to follow?  If so and it can be followed, the URL; one
  // that cannot becomes an error.
  std::optional<std::string> redirected_to();
  // The next hop, to URL: to be asked.
  void go_on(std::string url);

  // Or: is it to be repeated with new credentials?
  bool is_stale_refusal() const { return stale_refusal_ && !own_error_; }
  // The round of renewal.h whose it was asked with; 0: none.
  uint64_t script_round() const { return told_.script ? told_.script->number : 0; }
  // To be asked again.
  void repeat();

  // Or it is over.  At most once, and then no more callbacks may come.
  HttpOutcome outcome(int curl_code);
  void trace(const HttpOutcome &outcome) const;

  // It ends with ERROR, whatever libcurl says.
  void fail(Error error) { own_error_ = std::move(error); }

  void *easy() const { return easy_; } // CURL*
  uint64_t id() const { return id_; }
  HttpReceiver &receiver() const { return *receiver_; }
  void hand_over(HttpReceiver &receiver) { receiver_ = &receiver; }
  uint64_t body_bytes() const { return body_bytes_; }
  // When it was asked, last; TimePoint::max() while it waits.
  TimePoint asked_at() const { return waiting_ ? TimePoint::max() : hop_started_; }
  // When it last began, had all of a head, or had brought kLeastRate for `timeout`.
  TimePoint last_progress() const { return last_progress_; }
  // Since when nothing that may still come of the answer matters: it is refused, leads
  // elsewhere, or has brought all the bytes that it told and were asked for.
  std::optional<TimePoint> needless_since() const { return needless_since_; }
  // Has a byte come since TIME?
  bool heard_since(TimePoint time) const {
    return last_heard_ > hop_started_ && last_heard_ >= time;
  }
  // The number of its connection; none while it has none, or a Unix socket.
  std::optional<unsigned> connection() const { return sockets_.number_of(easy_); }
  // Is its connection being made?  For that there is another limit.
  bool connecting() const;
  bool answered() const { return head_.status != 0; }
  long status() const { return head_.status; }
  const std::string &url() const { return asked_.url; }
  // Is it one of several on its connection, or could be: HTTP/2?  False until
  // the head has come.
  bool multiplexed() const;
  Duration time_of_redirects() const { return hop_started_ - started_; }
  std::string request() const; // as messages have it
  // Of EASY, a CURL*.
  static HttpAttempt &of(void *easy);

private:
  struct Callbacks; // libcurl's, which are C functions

  HttpAttempt(const HttpOptions &options, HttpSockets &sockets, Stats &stats)
      : options_(options), sockets_(sockets), stats_(stats) {}
  Result<void> set_up();
  void forget_answer();
  void weigh_credentials();
  bool is_redirect() const;
  std::string redirected_from() const;
  std::string why_not_followed(const std::string &url) const;
  bool head_is_final() const;
  bool judge();
  bool all_has_come() const;
  void count_connections();
  void heard(size_t bytes);

  const HttpOptions &options_;
  HttpSockets &sockets_;
  Stats &stats_;
  void *easy_ = nullptr;
  HttpSockets::Opener opener_{sockets_};
  std::unique_ptr<char[]> error_text_; // libcurl's words
  HttpCredentials::Told told_;         // for the handle's sake

  // Of the request under way.
  uint64_t id_ = 0;
  HttpReceiver *receiver_ = nullptr;
  HttpRequest asked_;      // of this hop
  unsigned redirects_ = 0; // followed so far
  long opened_ = 0;        // connections, in all hops
  ResponseHead head_;
  bool waiting_ = false;    // for a script, since then
  TimePoint waiting_since_;
  bool stale_refusal_ = false; // the head is one
  bool repeated_ = false;      // after one
  bool judged_ = false;     // on_head() was called
  bool stopped_ = false;    // the receiver wants no more
  bool discarding_ = false; // and what is left of the body is little
  std::optional<TimePoint> needless_since_;
  bool out_of_memory_ = false;
  std::optional<Error> own_error_;
  uint64_t body_bytes_ = 0;
  uint64_t skipped_bytes_ = 0; // of a body that nobody wants
  TimePoint started_, hop_started_, last_heard_, last_progress_;
  uint64_t since_progress_ = 0; // bytes
};

} // namespace httpcache

#endif
