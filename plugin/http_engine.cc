// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "http_engine.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <csignal>
#include <system_error>
#include <utility>

#include <pthread.h>

#include <curl/curl.h>
#include <fmt/format.h>

#include "http_errors.h"
#include "log.h"
#include "renewal.h"

namespace httpcache {

namespace {

// HTTP/2's requests at a time on each connection when as many as may be are
// under way.  Over 120 ms and 200 Mbit/s with cubic a convert of 488 MB took
// 24.4 s with all on one connection, 22.6 with four on each, 24.1 with two, 24.9
// with one; where packets are lost, one connection is the worst.
constexpr size_t kStreams = 4;

// Without memory; or the loop would spin.
constexpr Duration kNoMemoryPause = std::chrono::milliseconds(50);

// How often attempts are looked at for lack of progress.
constexpr Duration kProgressTick = std::chrono::milliseconds(250);

// How long to wait for the end of an answer that does not matter, for the sake of its
// connection: another costs less than that on most links.  Chunks need not end, and of
// a refusal's page the rest may not come.
constexpr Duration kPatienceForEnd = std::chrono::seconds(1);

CURLM *as_multi(void *p) { return static_cast<CURLM *>(p); }

} // namespace

HttpEngine::HttpEngine(std::unique_ptr<HttpOptions> options, Stats &stats)
    : options_(std::move(options)), stats_(stats), timeout_s_(options_->config().timeout_s) {}

Result<std::unique_ptr<HttpEngine>> HttpEngine::create(const Config &config, Stats &stats) {
  Result<std::unique_ptr<HttpOptions>> options = HttpOptions::create(config);
  if (!options)
    return std::move(options).error();
  std::unique_ptr<HttpEngine> engine(new HttpEngine(std::move(options).value(), stats));
  if (Result<void> ok = engine->make_multi(); !ok)
    return std::move(ok).error();
  return engine;
}

Result<void> HttpEngine::make_multi() {
  CURLM *multi = curl_multi_init();
  if (multi == nullptr)
    return no_memory("curl_multi_init");
  const Config &config = options_->config();
  long connections = static_cast<long>(config.connections);
  curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                    connections + static_cast<long>(connections_for_checks()));
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections);
  void *old = multi_;
  {
    MutexLock lock(multi_mu_);
    multi_ = multi;
  }
  if (old != nullptr)
    curl_multi_cleanup(as_multi(old));
  return {};
}

HttpEngine::~HttpEngine() {
  stop();
  for (auto &attempt : active_)
    curl_multi_remove_handle(as_multi(multi_), attempt->easy());
  active_.clear();
  idle_.clear();
  if (multi_ != nullptr)
    curl_multi_cleanup(as_multi(multi_));
  times_.show();
}

Result<std::unique_ptr<HttpAttempt>> HttpEngine::take_handle() {
  if (idle_.empty())
    return HttpAttempt::create(*options_, sockets_, stats_);
  std::unique_ptr<HttpAttempt> attempt = std::move(idle_.back());
  idle_.pop_back();
  return attempt;
}

Result<HttpEngine::AttemptId> HttpEngine::start(const HttpRequest &request,
                                                HttpReceiver &receiver) {
  Result<std::unique_ptr<HttpAttempt>> taken = take_handle();
  if (!taken)
    return std::move(taken).error();
  std::unique_ptr<HttpAttempt> attempt = std::move(taken).value();
  AttemptId id = ++last_id_;
  spread_streams();
  attempt->begin(id, request, receiver);
  if (Result<void> sent = send_or_wait(*attempt); !sent)
    return std::move(sent).error();
  active_.push_back(std::move(attempt));
  stats_.requests.add();
  stats_.peak_active.raise_to(active_.size());
  log(LogArea::Http, "#{} start bytes={}-{} active={}{}", id, request.range.first,
      request.range.last, active_.size(), request.past_caches ? " past caches" : "");
  return id;
}

// libcurl puts a request on the first connection that has room for a stream, and
// opens another only when none has.  So that the connections are used alike, the
// room is what the next request needs and no more.
void HttpEngine::spread_streams() {
  size_t room = active_.size() / connections_for(true) + 1;
  curl_multi_setopt(as_multi(multi_), CURLMOPT_MAX_CONCURRENT_STREAMS, static_cast<long>(room));
}

// Each place of the object may be asked if it is well beside the transfers, and one that
// is not may be silent for long.  What waits here for a connection would seem silent too.
size_t HttpEngine::connections_for_checks() const {
  const std::vector<std::string> &mirrors = options_->config().mirrors;
  return mirrors.empty() ? 0 : mirrors.size() + 1;
}

size_t HttpEngine::connections_for(bool multiplexed) const {
  size_t requests = options_->config().connections;
  return multiplexed ? (requests + kStreams - 1) / kStreams : requests;
}

Result<void> HttpEngine::send_or_wait(HttpAttempt &attempt) {
  if (!options_->must_wait(attempt.url(), now()))
    return send(attempt);
  log(LogArea::Http, "#{} waits for {}", attempt.id(), options_->renewal().names());
  attempt.wait();
  return {};
}

// libcurl refuses a handle for want of memory only, and from then on, it was seen,
// perhaps every one: the multi handle must be made anew.
Result<void> HttpEngine::send(HttpAttempt &attempt) {
  if (Result<void> asked = attempt.ask(); !asked)
    return asked;
  if (curl_multi_add_handle(as_multi(multi_), attempt.easy()) != CURLM_OK)
    throw std::bad_alloc();
  return {};
}

// ATTEMPT was answered.  True: it goes on, where a redirect leads or with new credentials.
bool HttpEngine::go_on(HttpAttempt &attempt) {
  if (attempt.is_stale_refusal()) {
    log(LogArea::Http, "#{} refused status={}, asks again with new credentials", attempt.id(),
        attempt.status());
    options_->renewal().refused(attempt.script_round());
    attempt.repeat();
  } else if (std::optional<std::string> next = attempt.redirected_to()) {
    attempt.go_on(*std::move(next));
  } else {
    return false;
  }
  curl_multi_remove_handle(as_multi(multi_), attempt.easy());
  Result<void> sent = send_or_wait(attempt);
  if (sent)
    return true;
  attempt.fail(std::move(sent).error());
  return false;
}

// Once the scripts have run, those that wait for them ask, or fail.
void HttpEngine::see_to_scripts(TimePoint at) {
  std::optional<Result<void>> ended = options_->renewal().tend(at);
  if (!ended)
    return;
  std::vector<AttemptId> waiting; // receivers start and cancel others
  for (const auto &attempt : active_)
    if (attempt->waiting())
      waiting.push_back(attempt->id());
  for (AttemptId id : waiting) {
    size_t index = index_of(id);
    if (index == active_.size())
      continue;
    HttpAttempt &attempt = *active_[index];
    if (ended->ok()) {
      Result<void> sent = send(attempt);
      if (sent)
        continue;
      attempt.fail(std::move(sent).error());
    } else {
      Error error = ended->error();
      if (attempt.status() >= 400)
        error.add_context(fmt::format("server answered {}, and then", attempt.status()));
      attempt.fail(std::move(error.add_context(attempt.request())));
    }
    finish(index, CURLE_OK);
  }
}

size_t HttpEngine::index_of(AttemptId id) const {
  size_t i = 0;
  while (i < active_.size() && active_[i]->id() != id)
    ++i;
  return i;
}

// libcurl takes it well if a handle that was not added is removed.
std::unique_ptr<HttpAttempt> HttpEngine::remove(size_t index) {
  std::unique_ptr<HttpAttempt> attempt = std::move(active_[index]);
  active_[index] = std::move(active_.back());
  active_.pop_back();
  curl_multi_remove_handle(as_multi(multi_), attempt->easy());
  return attempt;
}

void HttpEngine::cancel(AttemptId id) {
  size_t index = index_of(id);
  if (index == active_.size())
    return;
  log(LogArea::Http, "#{} cancelled after {} bytes", id, active_[index]->body_bytes());
  idle_.push_back(remove(index));
}

void HttpEngine::hand_over(AttemptId id, HttpReceiver &receiver) {
  size_t index = index_of(id);
  assert(index < active_.size());
  active_[index]->hand_over(receiver);
}

TimePoint HttpEngine::asked_at(AttemptId id) const {
  size_t index = index_of(id);
  return index < active_.size() ? active_[index]->asked_at() : TimePoint::max();
}

bool HttpEngine::multiplexed(AttemptId id) const {
  size_t index = index_of(id);
  return index < active_.size() && active_[index]->multiplexed();
}

// Waits first and acts then, so that what has come has been handed out when it
// returns.
void HttpEngine::turn(Duration most) {
  const Renewal &renewal = options_->renewal();
  TimePoint until = std::min({next_turn_, now() + most, renewal.next_look()});
  if (!active_.empty())
    until = std::min(until, next_check_);
  // Rounded up, or the loop would spin through the last millisecond.
  int64_t wait_ms = std::max<int64_t>(0, (us_between(now(), until) + 999) / 1000);
  std::array<curl_waitfd, 2> pipes{};
  unsigned open = 0;
  for (int fd : renewal.descriptors())
    if (fd >= 0)
      pipes[open++] = {fd, CURL_WAIT_POLLIN, 0};
  curl_multi_poll(as_multi(multi_), pipes.data(), open, static_cast<int>(wait_ms), nullptr);

  int running = 0;
  curl_multi_perform(as_multi(multi_), &running);
  collect_finished();
  see_to_scripts(now());
  check_progress(now());
  woken_.store(false);
  TimePoint at = now();
  next_turn_ = client_ != nullptr ? client_->on_turn(at) : at + most;
}

void HttpEngine::collect_finished() {
  int left = 0;
  while (CURLMsg *message = curl_multi_info_read(as_multi(multi_), &left)) {
    if (message->msg != CURLMSG_DONE)
      continue;
    CURLcode code = message->data.result; // gone once the handle is removed
    finish(index_of(HttpAttempt::of(message->easy_handle).id()), code);
  }
}

void HttpEngine::finish(size_t index, int curl_code) {
  HttpAttempt &ended = *active_[index];
  if (go_on(ended))
    return;
  HttpOutcome outcome = ended.outcome(curl_code);
  // While connections are made libcurl would open more than HTTP/2 is to have.
  if (ended.answered())
    curl_multi_setopt(as_multi(multi_), CURLMOPT_MAX_HOST_CONNECTIONS,
                      static_cast<long>(connections_for(ended.multiplexed()) +
                                        connections_for_checks()));
  if (log_on(LogArea::Http))
    ended.trace(outcome);
  if (!ended.waiting())
    times_.add(ended.easy(), ended.time_of_redirects());

  HttpReceiver &receiver = ended.receiver();
  std::unique_ptr<HttpAttempt> attempt = remove(index);
  // libcurl counts "connection died" over the life of a handle and gives up
  // at the sixth; a handle that has failed is not used again.
  if (curl_code == CURLE_OK)
    idle_.push_back(std::move(attempt));
  else
    attempt.reset();
  receiver.on_done(outcome);
}

void HttpEngine::check_progress(TimePoint at) {
  if (at < next_check_)
    return;
  next_check_ = at + kProgressTick;
  for (size_t i = 0; i < active_.size();) { // finish() moves another to place i
    HttpAttempt &attempt = *active_[i];
    if (!attempt.waiting() && attempt.needless_since() &&
        at - *attempt.needless_since() >= kPatienceForEnd) {
      finish(i, CURLE_OK);
      continue;
    }
    bool other_limit = options_->config().connect_timeout_s && attempt.connecting();
    if (timeout_s_ == 0 || attempt.waiting() || other_limit ||
        at - attempt.last_progress() < std::chrono::seconds(timeout_s_)) {
      ++i;
      continue;
    }
    attempt.fail(Error{
        ErrorKind::Transient, EIO, 0,
        fmt::format("{}: {} for {} seconds, after {} of the body; a slow "
                    "server may need a larger timeout=",
                    attempt.request(),
                    attempt.heard_since(at - std::chrono::seconds(timeout_s_))
                        ? fmt::format("fewer than {} bytes a second", kLeastRate)
                        : "no byte",
                    timeout_s_, attempt.body_bytes()),
        {}});
    cut_if_dead(attempt, at - std::chrono::seconds(timeout_s_));
    finish(i, CURLE_OPERATION_TIMEDOUT);
  }
}

// An attempt that is ended takes its connection with it, but not if that carries
// others (HTTP/2): then the next attempts would be put on it, and on a dead one
// all would wait out the timeout again.
void HttpEngine::cut_if_dead(const HttpAttempt &silent, TimePoint silent_since) {
  std::optional<unsigned> connection = silent.connection();
  if (!connection)
    return;
  for (const auto &attempt : active_)
    if (attempt->heard_since(silent_since) && attempt->connection() == connection)
      return; // it lives: only this answer hangs
  sockets_.cut(*connection);
}

void HttpEngine::before_fork() { options_->renewal().abandon(); }

Result<void> HttpEngine::start_thread() {
  next_turn_ = {}; // at once: there is what was left to do before the fork
  // nbdkit's main thread handles signals.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "httpcache");
  } catch (const std::exception &e) { // no thread, or no memory
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return Error{ErrorKind::LocalIo, EAGAIN, 0,
                 fmt::format("cannot start the HTTP thread: {}", e.what()), {}};
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return {};
}

void HttpEngine::run() {
  while (!stopping_.load())
    try {
      if (no_memory_ && !make_multi()) {
        std::this_thread::sleep_for(kNoMemoryPause);
        continue;
      }
      no_memory_ = false;
      turn(std::chrono::seconds(10));
    } catch (const std::bad_alloc &) {
      drop_all();
    }
}

void HttpEngine::drop_all() noexcept {
  for (auto &attempt : active_)
    curl_multi_remove_handle(as_multi(multi_), attempt->easy());
  active_.clear();
  no_memory_ = true;
  next_turn_ = now() + kNoMemoryPause;
  if (client_ != nullptr)
    client_->on_no_memory();
}

void HttpEngine::stop() {
  if (thread_.joinable()) {
    stopping_.store(true);
    {
      MutexLock lock(multi_mu_);
      curl_multi_wakeup(as_multi(multi_));
    }
    thread_.join();
  }
  options_->renewal().abandon();
}

void HttpEngine::wake() {
  if (woken_.exchange(true))
    return;
  MutexLock lock(multi_mu_);
  curl_multi_wakeup(as_multi(multi_));
}

} // namespace httpcache
