// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "http_engine.h"

#include <algorithm>
#include <cassert>
#include <csignal>
#include <ctime>
#include <system_error>

#include <pthread.h>
#include <strings.h>
#include <unistd.h>

#include <curl/curl.h>
#include <fmt/format.h>

#include "http_errors.h"
#include "log.h"
#include "url.h"

namespace httpcache {

namespace {

// Of one connection's receive buffer.  libcurl hands over at most 16 KiB at a
// time whatever this is; more saves few system calls and costs memory for
// each connection.
constexpr long kReceiveBuffer = 128 << 10;

constexpr unsigned kMaxRedirects = 10; // curl's own limit is 50, or none before 8.3

constexpr uint32_t kForever_s = 7 * 24 * 60 * 60;

// The body of an answer that is refused, such as a 503's page, is read if it is
// no longer than this: a new connection would cost more.
constexpr uint64_t kSmallBody = 16 << 10;

// How often attempts are looked at for lack of progress.
constexpr Duration kProgressTick = std::chrono::milliseconds(250);

CURLM *as_multi(void *p) { return static_cast<CURLM *>(p); }
CURLSH *as_share(void *p) { return static_cast<CURLSH *>(p); }
curl_slist *as_list(void *p) { return static_cast<curl_slist *>(p); }

Error no_memory(const char *what) {
  return {ErrorKind::LocalIo, ENOMEM, 0, fmt::format("{} failed: out of memory?", what), {}};
}

bool has_header(const std::vector<std::string> &headers, std::string_view name) {
  return std::any_of(headers.begin(), headers.end(), [&](const std::string &h) {
    return h.size() > name.size() && (h[name.size()] == ':' || h[name.size()] == ';') &&
           strncasecmp(h.data(), name.data(), name.size()) == 0;
  });
}

bool has_default_ca_file() {
  const char *file = curl_version_info(CURLVERSION_NOW)->cainfo;
  return file != nullptr && access(file, R_OK) == 0;
}

} // namespace

struct HttpEngine::Attempt {
  ~Attempt() {
    if (easy != nullptr)
      curl_easy_cleanup(easy);
  }

  HttpEngine *engine = nullptr;
  CURL *easy = nullptr;
  char error_text[CURL_ERROR_SIZE] = "";

  // Of the request under way.
  AttemptId id = 0;
  HttpReceiver *receiver = nullptr;
  std::string url; // of this hop
  ByteSpan range;
  bool follow = true;     // redirects
  unsigned redirects = 0; // followed so far
  long opened = 0;        // connections, in all hops
  ResponseHead head;
  bool judged = false;  // on_head() was called
  bool stopped = false; // the receiver wants no more
  bool discarding = false; // and what is left of the body is little
  std::optional<Error> own_error;
  uint64_t body_bytes = 0;
  uint64_t skipped_bytes = 0; // of a redirect's body
  TimePoint started, hop_started, last_progress;

  std::string request() const { return request_text(redact_url(url), range); }
  void count_connections() {
    long n = 0;
    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &n);
    opened += std::max(0L, n);
  }
  bool is_redirect() const {
    return follow && head.status >= 300 && head.status < 400 && !head.location.empty();
  }
  // False: end the transfer.
  bool judge() {
    judged = true;
    stopped = !receiver->on_head(head, url);
    discarding = stopped && head.content_length.value_or(UINT64_MAX) <= kSmallBody;
    return !stopped || discarding;
  }
  // Is this the head that counts?  Not an interim one, a redirect to follow, or
  // a refusal that libcurl may answer with credentials.
  bool head_is_final() const {
    return head.status >= 400 ? head.status != 401 && head.status != 407
                              : head.status >= 200 && head.status < 300;
  }
};

// Return values other than those asked for make libcurl end the transfer.
// Nothing may be thrown through libcurl.
struct HttpEngine::Callbacks {
  static size_t header(char *data, size_t size, size_t n, void *opaque) {
    auto &attempt = *static_cast<Attempt *>(opaque);
    size_t bytes = size * n;
    try {
      attempt.last_progress = now();
      attempt.head.add_line({data, bytes}, std::time(nullptr));
      if (attempt.head.too_long()) {
        attempt.own_error =
            Error{ErrorKind::Permanent, EIO, attempt.head.status,
                  fmt::format("{}: server sent more than {} bytes of headers",
                              attempt.request(), kMaxHeadBytes),
                  {}};
        return 0;
      }
      if (attempt.head.complete && attempt.head_is_final() && !attempt.judged && !attempt.judge())
        return 0;
      return bytes;
    } catch (const std::exception &) {
      attempt.own_error = no_memory("receiving headers");
      return 0;
    }
  }

  static size_t body(char *data, size_t size, size_t n, void *opaque) {
    auto &attempt = *static_cast<Attempt *>(opaque);
    size_t bytes = size * n;
    try {
      attempt.last_progress = now();
      if (attempt.is_redirect()) // its body is a page for people
        return (attempt.skipped_bytes += bytes) <= kSmallBody ? bytes : bytes + 1;
      if (!attempt.judged && !attempt.judge())
        return bytes + 1;
      if (attempt.discarding)
        return bytes;
      attempt.body_bytes += bytes;
      attempt.engine->stats_.bytes_fetched.add(bytes);
      if (!attempt.receiver->on_body({data, bytes})) {
        attempt.stopped = true;
        return bytes + 1;
      }
      return bytes;
    } catch (const std::exception &) {
      attempt.own_error = no_memory("receiving data");
      return bytes + 1;
    }
  }

  static int debug(CURL *, curl_infotype type, char *data, size_t size, void *opaque) {
    const auto &attempt = *static_cast<Attempt *>(opaque);
    const char *mark = type == CURLINFO_TEXT         ? "*"
                       : type == CURLINFO_HEADER_IN  ? "<"
                       : type == CURLINFO_HEADER_OUT ? ">"
                                                     : nullptr;
    if (mark == nullptr)
      return 0;
    try {
      std::string_view text(data, size);
      while (!text.empty()) {
        size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end);
        while (!line.empty() && (line.back() == '\n' || line.back() == '\r'))
          line.remove_suffix(1);
        if (!line.empty())
          log(LogArea::Verbose, "#{} {} {}", attempt.id, mark,
              type == CURLINFO_TEXT ? redact_text(line) : redact_header_line(line));
      }
    } catch (const std::exception &) { // a line of trace is lost
    }
    return 0;
  }
};

HttpEngine::HttpEngine(const Config &config, Stats &stats) : config_(config), stats_(stats) {}

Result<std::unique_ptr<HttpEngine>> HttpEngine::create(const Config &config, Stats &stats) {
  std::unique_ptr<HttpEngine> engine(new HttpEngine(config, stats));
  if (Result<void> ok = engine->set_up(); !ok)
    return std::move(ok).error();
  return engine;
}

Result<void> HttpEngine::set_up() {
  multi_ = curl_multi_init();
  if (multi_ == nullptr)
    return no_memory("curl_multi_init");
  long connections = static_cast<long>(config_.connections);
  curl_multi_setopt(as_multi(multi_), CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
  curl_multi_setopt(as_multi(multi_), CURLMOPT_MAXCONNECTS, connections);

  // One TLS session cache for all handles, or each would do a full handshake.
  // One thread at a time uses it, so it needs no lock functions.
  share_ = curl_share_init();
  if (share_ == nullptr)
    return no_memory("curl_share_init");
  curl_share_setopt(as_share(share_), CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);

  std::vector<std::string> lines = config_.headers;
  if (!has_header(lines, "Accept-Encoding")) // proxies compress unasked, else
    lines.push_back("Accept-Encoding: identity");
  for (const std::string &line : lines)
    if (!append(header_list_, line))
      return no_memory("curl_slist_append");
  if (!append(bare_header_list_, "Accept-Encoding: identity"))
    return no_memory("curl_slist_append");
  return {};
}

bool HttpEngine::append(void *&list, const std::string &line) {
  curl_slist *longer = curl_slist_append(as_list(list), line.c_str());
  if (longer != nullptr)
    list = longer;
  return longer != nullptr;
}

HttpEngine::~HttpEngine() {
  stop();
  for (auto &attempt : active_)
    curl_multi_remove_handle(as_multi(multi_), attempt->easy);
  active_.clear();
  idle_.clear();
  if (multi_ != nullptr)
    curl_multi_cleanup(as_multi(multi_));
  if (share_ != nullptr)
    curl_share_cleanup(as_share(share_));
  curl_slist_free_all(as_list(header_list_));
  curl_slist_free_all(as_list(bare_header_list_));
  times_.show();
}

// All that stays the same from one request to the next.
Result<void> HttpEngine::set_up_handle(Attempt &attempt) {
  CURL *c = attempt.easy;
  CURLcode first_failure = CURLE_OK;
  auto set = [&](CURLoption option, auto value) {
    CURLcode r = curl_easy_setopt(c, option, value);
    if (r != CURLE_OK && first_failure == CURLE_OK)
      first_failure = r;
  };
  set(CURLOPT_PRIVATE, &attempt);
  set(CURLOPT_ERRORBUFFER, attempt.error_text);
  set(CURLOPT_SHARE, as_share(share_));
  set(CURLOPT_NOSIGNAL, 1L);
  // A name look-up is a thread of libcurl's; without this the end of a handle
  // waits for it, and with it the whole engine or nbdkit's exit: 14 s with a
  // name server that takes 15.  (The plugin is linked to stay mapped, for the
  // thread's sake.)
  set(CURLOPT_QUICK_EXIT, 1L);
  set(CURLOPT_BUFFERSIZE, kReceiveBuffer);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_HEADERFUNCTION, &Callbacks::header);
  set(CURLOPT_HEADERDATA, &attempt);
  set(CURLOPT_WRITEFUNCTION, &Callbacks::body);
  set(CURLOPT_WRITEDATA, &attempt);
  if (!sockets_.attach(c))
    return no_memory("curl_easy_setopt");
  if (log_on(LogArea::Verbose)) {
    set(CURLOPT_VERBOSE, 1L);
    set(CURLOPT_DEBUGFUNCTION, &Callbacks::debug);
    set(CURLOPT_DEBUGDATA, &attempt);
  }

  set(CURLOPT_PROTOCOLS_STR, "http,https");
  // Bulk transfers go faster over several connections than as streams of one
  // (a prototype: 1.11 times the wire's time against 1.12 to 1.95).
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_HTTP09_ALLOWED, 0L);
  set(CURLOPT_HTTP_CONTENT_DECODING, 0L); // an encoded body is refused anyway
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  // 0 would be libcurl's default of five minutes.
  set(CURLOPT_CONNECTTIMEOUT,
      static_cast<long>(config_.timeout_s > 0 ? config_.timeout_s : kForever_s));
  if (!config_.user_agent.empty())
    set(CURLOPT_USERAGENT, config_.user_agent.c_str());
  if (!config_.unix_socket_path.empty())
    set(CURLOPT_UNIX_SOCKET_PATH, config_.unix_socket_path.c_str());

  set(CURLOPT_SSL_VERIFYPEER, config_.sslverify ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, config_.sslverify ? 2L : 0L);
  if (config_.cainfo)
    set(CURLOPT_CAINFO, config_.cainfo->empty() ? nullptr : config_.cainfo->c_str());
  // Beside a file of CAs, a folder of them only keeps libcurl from parsing the
  // file once and not for every connection (28 ms each time with Debian's); and
  // who names a CA file means no others.
  if (config_.capath)
    set(CURLOPT_CAPATH, config_.capath->empty() ? nullptr : config_.capath->c_str());
  else if (config_.cainfo ? !config_.cainfo->empty() : has_default_ca_file())
    set(CURLOPT_CAPATH, static_cast<const char *>(nullptr));

  if (first_failure != CURLE_OK)
    return Error{
        ErrorKind::LocalIo, first_failure == CURLE_OUT_OF_MEMORY ? ENOMEM : EINVAL, 0,
        fmt::format("this libcurl refuses an option: {}", curl_easy_strerror(first_failure)), {}};
  return {};
}

Result<std::unique_ptr<HttpEngine::Attempt>> HttpEngine::take_handle() {
  if (!idle_.empty()) {
    std::unique_ptr<Attempt> attempt = std::move(idle_.back());
    idle_.pop_back();
    return attempt;
  }
  auto attempt = std::make_unique<Attempt>();
  attempt->engine = this;
  attempt->easy = curl_easy_init();
  if (attempt->easy == nullptr)
    return no_memory("curl_easy_init");
  if (Result<void> ok = set_up_handle(*attempt); !ok)
    return std::move(ok).error();
  return attempt;
}

Result<HttpEngine::AttemptId> HttpEngine::start(const std::string &url, ByteSpan range,
                                                HttpReceiver &receiver, bool follow_redirects) {
  Result<std::unique_ptr<Attempt>> taken = take_handle();
  if (!taken)
    return std::move(taken).error();
  std::unique_ptr<Attempt> attempt = std::move(taken).value();
  attempt->id = ++last_id_;
  attempt->receiver = &receiver;
  attempt->url = url;
  attempt->range = range;
  attempt->follow = follow_redirects;
  attempt->redirects = 0;
  attempt->opened = 0;
  attempt->started = now();
  if (Result<void> sent = send(*attempt); !sent)
    return std::move(sent).error();
  AttemptId id = attempt->id;
  active_.push_back(std::move(attempt));
  stats_.requests.add();
  stats_.peak_active.raise_to(active_.size());
  log(LogArea::Http, "#{} start bytes={}-{} active={}", id, range.first, range.last,
      active_.size());
  return id;
}

// Asks for attempt->url, with secrets only if it is of the configured origin.
Result<void> HttpEngine::send(Attempt &attempt) {
  attempt.head = {};
  attempt.skipped_bytes = 0;
  attempt.judged = attempt.stopped = attempt.discarding = false;
  attempt.own_error.reset();
  attempt.body_bytes = 0;
  attempt.error_text[0] = '\0';
  attempt.hop_started = attempt.last_progress = now();
  std::string asked = fmt::format("{}-{}", attempt.range.first, attempt.range.last);
  CURL *c = attempt.easy;
  bool trusted = same_origin(attempt.url, config_.url);
  auto secret = [&](const std::string &text) {
    return trusted && !text.empty() ? text.c_str() : nullptr;
  };
  if (curl_easy_setopt(c, CURLOPT_URL, attempt.url.c_str()) != CURLE_OK ||
      curl_easy_setopt(c, CURLOPT_RANGE, asked.c_str()) != CURLE_OK ||
      curl_easy_setopt(c, CURLOPT_USERNAME, secret(config_.user)) != CURLE_OK ||
      curl_easy_setopt(c, CURLOPT_PASSWORD, secret(config_.password)) != CURLE_OK ||
      curl_easy_setopt(c, CURLOPT_HTTPHEADER,
                       as_list(trusted ? header_list_ : bare_header_list_)) != CURLE_OK)
    return no_memory("curl_easy_setopt");
  if (curl_multi_add_handle(as_multi(multi_), attempt.easy) != CURLM_OK)
    return no_memory("curl_multi_add_handle");
  return {};
}

// The attempt at INDEX was answered with a redirect.  True: it goes on.
bool HttpEngine::follow_redirect(size_t index) {
  Attempt &attempt = *active_[index];
  char *target = nullptr;
  curl_easy_getinfo(attempt.easy, CURLINFO_REDIRECT_URL, &target);
  attempt.count_connections();
  std::string from = attempt.request();
  std::string next = target != nullptr ? target : "";
  if (next.empty() || ++attempt.redirects > kMaxRedirects) {
    attempt.own_error =
        Error{ErrorKind::Permanent, EIO, attempt.head.status,
              next.empty()
                  ? fmt::format("{}: redirected to a place that is no URL: {}", from,
                                escape_controls(redact_url(attempt.head.location)))
                  : fmt::format("{}: more than {} redirects; is it a loop?", from, kMaxRedirects),
              {}};
    return false;
  }
  log(LogArea::Http, "#{} redirect status={} to={}", attempt.id, attempt.head.status,
      redact_url(next));
  curl_multi_remove_handle(as_multi(multi_), attempt.easy);
  attempt.url = std::move(next);
  if (Result<void> sent = send(attempt); !sent) {
    attempt.own_error = std::move(sent).error();
    curl_multi_add_handle(as_multi(multi_), attempt.easy); // finish() removes it
    return false;
  }
  return true;
}

size_t HttpEngine::index_of(AttemptId id) const {
  size_t i = 0;
  while (i < active_.size() && active_[i]->id != id)
    ++i;
  return i;
}

std::unique_ptr<HttpEngine::Attempt> HttpEngine::remove(size_t index) {
  std::unique_ptr<Attempt> attempt = std::move(active_[index]);
  active_[index] = std::move(active_.back());
  active_.pop_back();
  curl_multi_remove_handle(as_multi(multi_), attempt->easy);
  attempt->receiver = nullptr;
  return attempt;
}

void HttpEngine::cancel(AttemptId id) {
  size_t index = index_of(id);
  if (index == active_.size())
    return;
  log(LogArea::Http, "#{} cancelled after {} bytes", id, active_[index]->body_bytes);
  idle_.push_back(remove(index));
}

void HttpEngine::hand_over(AttemptId id, HttpReceiver &receiver) {
  size_t index = index_of(id);
  assert(index < active_.size());
  active_[index]->receiver = &receiver;
}

// Waits first and acts then, so that what has come has been handed out when it
// returns.
void HttpEngine::turn(Duration most) {
  TimePoint until = std::min(next_turn_, now() + most);
  if (!active_.empty() && config_.timeout_s > 0)
    until = std::min(until, next_check_);
  // Rounded up, or the loop would spin through the last millisecond.
  int64_t wait_ms = std::max<int64_t>(0, (us_between(now(), until) + 999) / 1000);
  curl_multi_poll(as_multi(multi_), nullptr, 0, static_cast<int>(wait_ms), nullptr);

  int running = 0;
  curl_multi_perform(as_multi(multi_), &running);
  collect_finished();
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
    Attempt *attempt = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &attempt);
    CURLcode code = message->data.result; // gone once the handle is removed
    finish(index_of(attempt->id), code);
  }
}

void HttpEngine::finish(size_t index, int curl_code) {
  Attempt &ended = *active_[index];
  CURLcode code = static_cast<CURLcode>(curl_code);
  // CURLE_WRITE_ERROR: its page was too long to be read to the end.
  if (ended.is_redirect() && !ended.own_error &&
      (code == CURLE_OK || code == CURLE_WRITE_ERROR) && follow_redirect(index))
    return;
  // An answer without a body, or one that libcurl might have gone on from.
  if (code == CURLE_OK && !ended.judged && !ended.own_error)
    ended.judge();

  HttpOutcome outcome;
  outcome.body_bytes = ended.body_bytes;
  if (ended.own_error)
    outcome.error = std::move(ended.own_error);
  else if (code != CURLE_OK && !ended.stopped)
    outcome.error = error_from_curl(code, ended.error_text, ended.request(), config_.unix_socket_path);

  auto time_of = [&](CURLINFO info) {
    curl_off_t us = 0;
    curl_easy_getinfo(ended.easy, info, &us);
    return from_us(us);
  };
  ended.count_connections();
  outcome.new_connection = ended.opened > 0;
  stats_.connections.add(static_cast<uint64_t>(ended.opened));
  outcome.first_byte_time = time_of(CURLINFO_STARTTRANSFER_TIME_T);
  if (outcome.first_byte_time > Duration::zero())
    outcome.answer_time = outcome.first_byte_time - time_of(CURLINFO_PRETRANSFER_TIME_T);
  outcome.total_time = time_of(CURLINFO_TOTAL_TIME_T);
  Duration hops_before = ended.hop_started - ended.started;
  outcome.first_byte_time += hops_before;
  outcome.total_time += hops_before;
  if (log_on(LogArea::Http))
    trace(ended, outcome);
  times_.add(ended.easy, hops_before);

  HttpReceiver *receiver = ended.receiver;
  std::unique_ptr<Attempt> attempt = remove(index);
  // libcurl counts "connection died" over the life of a handle and gives up
  // at the sixth; a handle that has failed is not used again.
  if (code == CURLE_OK)
    idle_.push_back(std::move(attempt));
  else
    attempt.reset();
  receiver->on_done(outcome);
}

void HttpEngine::check_progress(TimePoint at) {
  if (config_.timeout_s == 0 || at < next_check_)
    return;
  next_check_ = at + kProgressTick;
  for (size_t i = 0; i < active_.size();) {
    Attempt &attempt = *active_[i];
    if (at - attempt.last_progress < std::chrono::seconds(config_.timeout_s)) {
      ++i;
      continue;
    }
    attempt.own_error = Error{
        ErrorKind::Transient, EIO, 0,
        fmt::format("{}: no byte for {} seconds, after {} of the body; a slow "
                    "server may need a larger timeout=",
                    attempt.request(), config_.timeout_s, attempt.body_bytes),
        {}};
    finish(i, CURLE_OPERATION_TIMEDOUT); // another has moved to place i
  }
}

void HttpEngine::trace(const Attempt &a, const HttpOutcome &outcome) const {
  curl_socket_t fd = CURL_SOCKET_BAD;
  curl_easy_getinfo(a.easy, CURLINFO_ACTIVESOCKET, &fd);
  std::optional<unsigned> number = sockets_.number_of(fd);
  std::string redirect;
  if (a.redirects > 0)
    redirect = fmt::format(" redirects={} to={}", a.redirects, redact_url(a.url));
  log(LogArea::Http,
      "#{} done bytes={}-{} status={} connection={}{}{} first_byte_ms={:.1f} "
      "total_ms={:.1f} received={} outcome={}",
      a.id, a.range.first, a.range.last, a.head.status,
      number ? std::to_string(*number) : "closed",
      outcome.new_connection                       ? " new"
      : outcome.first_byte_time > Duration::zero() ? " re-used"
                                                   : "",
      redirect, to_seconds(outcome.first_byte_time) * 1e3, to_seconds(outcome.total_time) * 1e3,
      a.body_bytes,
      outcome.error ? to_string(outcome.error->kind) + std::string(": ") + outcome.error->what
      : a.stopped   ? a.body_bytes == 0 ? "refused" : "stopped"
                    : "ok");
}

Result<void> HttpEngine::start_thread() {
  next_turn_ = {}; // at once: there is what was left to do before the fork
  // nbdkit's main thread handles signals.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Result<void> result;
  try {
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "httpcache");
  } catch (const std::system_error &e) {
    result = Error{ErrorKind::LocalIo, EAGAIN, 0,
                   fmt::format("cannot start the HTTP thread: {}", e.what()), {}};
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return result;
}

void HttpEngine::run() {
  while (!stopping_.load())
    turn(std::chrono::seconds(10));
}

void HttpEngine::stop() {
  if (!thread_.joinable())
    return;
  stopping_.store(true);
  curl_multi_wakeup(as_multi(multi_));
  thread_.join();
}

void HttpEngine::wake() {
  if (!woken_.exchange(true))
    curl_multi_wakeup(as_multi(multi_));
}

} // namespace httpcache
