// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// http_engine.h - HTTP range requests: one attempt each, many at a time.
//
// Wraps libcurl's multi interface.  An *attempt* is one request and its answer
// with redirects followed (http_attempt.h); it succeeds or fails once, and
// whoever started it decides what then (fetcher.h).  Easy handles are kept and
// used again, so connections, TLS sessions and name look-ups stay warm.  The
// engine knows nothing of blocks.
//
// Threads.  One thread at a time drives the engine: before start_thread() the
// caller of turn() (the probe, on nbdkit's main thread, where errors still
// reach the user), afterwards the engine's own.  Everything is called on that
// thread, receivers and client too, except wake() and stop().  The one
// lock keeps wake() from a multi handle that is being replaced.  A receiver is
// called back until its on_done() or until cancel(), and
// may start and cancel attempts in on_done(), not in on_head() or on_body().
//
// With HTTP/2 requests share connections, four each at most.  libcurl's windows,
// 10 MiB or more for each request, hold none of them up; on a single connection a
// lost packet would hold up all.
//
// Requests that need what a script prints (renewal.h) wait for it without a connection;
// the thread goes on with all others, and the script's pipes are waited for as sockets
// are.  One that is answered 401 or 403 is repeated within its attempt.
//
// Nothing waits for ever: an attempt that brings neither header nor body, or less
// than kLeastRate, for `timeout` seconds ends with a Transient error, whatever
// libcurl thinks of it (7.88 can wait for ever on a header line that is one NUL).  While
// its connection is made `connect-timeout` is the limit, if it was given.  What does not
// matter of an answer, the page of a refusal or the end of a body that is all there, is
// waited for a second and no longer.
//
// No memory is no end either: where std::bad_alloc comes up in a turn, all attempts
// and connections are dropped, the client is told, and a moment later it goes on
// with a new multi handle.  start() and turn() throw it.
//
// Errors are made from libcurl's codes in http_errors.h, redacted.
#ifndef HTTPCACHE_HTTP_ENGINE_H
#define HTTPCACHE_HTTP_ENGINE_H

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "clock.h"
#include "config.h"
#include "error.h"
#include "http_attempt.h"
#include "http_options.h"
#include "http_sockets.h"
#include "http_times.h"
#include "mutex.h"
#include "object.h"
#include "stats.h"

namespace httpcache {

class HttpEngine {
public:
  class Client {
  public:
    // Once for each turn of the loop, after all that has come was handed out:
    // the time to start attempts.  Returns when to call again at the latest.
    virtual TimePoint on_turn(TimePoint now) = 0;
    // Memory ran out within a turn: all attempts are gone, without an on_done().
    virtual void on_no_memory() noexcept = 0;

  protected:
    ~Client() = default;
  };

  using AttemptId = uint64_t;

  static Result<std::unique_ptr<HttpEngine>> create(const Config &config,
                                                    Stats &stats);
  // Drops what is under way; receivers hear nothing.
  ~HttpEngine();
  HttpEngine(const HttpEngine &) = delete;

  // RECEIVER must live until its on_done() or cancel().
  Result<AttemptId> start(const HttpRequest &request, HttpReceiver &receiver);
  void cancel(AttemptId id);
  // From now on RECEIVER hears of attempt ID.
  void hand_over(AttemptId id, HttpReceiver &receiver);
  size_t active() const { return active_.size(); }
  // Made or being made; those that no attempt uses are free to be used again.
  size_t connections() const { return sockets_.open(); }
  // Does attempt ID share its connection with others, or may it (HTTP/2)?  False
  // until its head has come.
  bool multiplexed(AttemptId id) const;
  // When its request was sent; TimePoint::max() while it waits for a script.
  TimePoint asked_at(AttemptId id) const;

  // As HttpSockets says.
  std::optional<Duration> handshake_trip() const { return sockets_.handshake_trip(); }

  void set_client(Client &client) { client_ = &client; }

  // One turn of the loop: waits, at most MOST, for something to happen, and sees
  // to what has.
  void turn(Duration most);

  // To be called between the last turn() and a fork.
  void before_fork();
  Result<void> start_thread();
  // Ends the thread, if there is one, and a script that runs; any thread but it.
  void stop();
  // Ends the wait of the current turn, or of the next.  Any thread.
  void wake();

private:
  HttpEngine(std::unique_ptr<HttpOptions> options, Stats &stats);
  Result<void> make_multi();
  Result<std::unique_ptr<HttpAttempt>> take_handle();
  void spread_streams();
  size_t connections_for(bool multiplexed) const;
  size_t connections_for_checks() const;
  Result<void> send_or_wait(HttpAttempt &attempt);
  Result<void> send(HttpAttempt &attempt);
  void see_to_scripts(TimePoint now);
  bool go_on(HttpAttempt &attempt);
  size_t index_of(AttemptId id) const;
  std::unique_ptr<HttpAttempt> remove(size_t index);
  void collect_finished();
  void finish(size_t index, int curl_code);
  void drop_all() noexcept;
  void check_progress(TimePoint now);
  void cut_if_dead(const HttpAttempt &silent, TimePoint silent_since);
  void run();

  // Before what uses them, for they must outlive it.
  const std::unique_ptr<const HttpOptions> options_;
  HttpSockets sockets_;
  Stats &stats_;

  const uint32_t timeout_s_;
  Client *client_ = nullptr;
  HttpTimes times_;
  void *multi_ = nullptr;   // CURLM; the engine's thread writes it
  Mutex multi_mu_;          // under this, and wake() reads it so
  bool no_memory_ = false;  // multi_ is to be made anew
  std::vector<std::unique_ptr<HttpAttempt>> active_;
  std::vector<std::unique_ptr<HttpAttempt>> idle_; // handles to be used again
  AttemptId last_id_ = 0;
  TimePoint next_check_{};
  TimePoint next_turn_{}; // as the client wished

  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> woken_{false};
};

} // namespace httpcache

#endif
