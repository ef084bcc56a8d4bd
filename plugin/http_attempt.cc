// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "http_attempt.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include <curl/curl.h>
#include <fmt/format.h>

#include "ascii.h"
#include "http_errors.h"
#include "log.h"
#include "url.h"

namespace httpcache {

namespace {

constexpr unsigned kMaxRedirects = 10; // curl's own limit is 50, or none before 8.3

// The body of an answer that is refused, such as a 503's page, is read if it is
// no longer than this: a new connection would cost more.
constexpr uint64_t kSmallBody = 16 << 10;

// More than this of headers is allowed (http_headers.h), but has to come in `timeout`.
constexpr size_t kOrdinaryHead = 16 << 10;

constexpr int kTooLarge = 100; // CURLE_TOO_LARGE of libcurl 8.6

CURL *as_easy(void *p) { return static_cast<CURL *>(p); }

} // namespace

// Return values other than those asked for make libcurl end the transfer.
// Nothing may be thrown through libcurl, so what ends for want of memory only notes it.
struct HttpAttempt::Callbacks {
  static size_t header(char *data, size_t size, size_t n, void *opaque) {
    auto &attempt = *static_cast<HttpAttempt *>(opaque);
    size_t bytes = size * n;
    try {
      // Those that go on for ever are no progress, however fast they come.
      attempt.heard(attempt.head_.head_bytes < kOrdinaryHead ? bytes : 0);
      attempt.head_.add_line({data, bytes}, std::time(nullptr));
      if (attempt.head_.too_long()) {
        attempt.own_error_ =
            Error{ErrorKind::Permanent, EIO, attempt.head_.status,
                  fmt::format("{}: server sent more than {} bytes of headers",
                              attempt.request(), kMaxHeadBytes),
                  {}};
        return 0;
      }
      if (attempt.head_.complete && attempt.head_.status >= 300 && !attempt.needless_since_)
        attempt.needless_since_ = attempt.last_heard_;
      if (attempt.head_.complete && !attempt.judged_)
        attempt.weigh_credentials();
      if (attempt.stale_refusal_)
        return attempt.head_.content_length.value_or(UINT64_MAX) <= kSmallBody ? bytes : 0;
      if (attempt.head_.complete && attempt.head_is_final() && !attempt.judged_) {
        attempt.last_progress_ = attempt.last_heard_;
        if (!attempt.judge())
          return 0;
      }
      return bytes;
    } catch (const std::exception &) {
      attempt.out_of_memory_ = true;
      return 0;
    }
  }

  static size_t body(char *data, size_t size, size_t n, void *opaque) {
    auto &attempt = *static_cast<HttpAttempt *>(opaque);
    size_t bytes = size * n;
    try {
      attempt.heard(bytes);
      // Of a redirect it is a page for people.
      bool unwanted = attempt.stale_refusal_ || attempt.is_redirect();
      if (!unwanted && !attempt.judged_ && !attempt.judge())
        return bytes + 1;
      // No more than it might have, whatever Content-Length said beside `chunked`.
      if (unwanted || attempt.discarding_)
        return (attempt.skipped_bytes_ += bytes) <= kSmallBody ? bytes : bytes + 1;
      attempt.body_bytes_ += bytes;
      attempt.stats_.bytes_fetched.add(bytes);
      if (!attempt.receiver_->on_body({data, bytes})) {
        attempt.stopped_ = true;
        return bytes + 1;
      }
      if (attempt.all_has_come())
        attempt.needless_since_ = attempt.last_heard_;
      return bytes;
    } catch (const std::exception &) {
      attempt.out_of_memory_ = true;
      return bytes + 1;
    }
  }

  static int debug(CURL *, curl_infotype type, char *data, size_t size, void *opaque) {
    const auto &attempt = *static_cast<HttpAttempt *>(opaque);
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
          log(LogArea::Verbose, "#{} {} {}", attempt.id_, mark,
              type == CURLINFO_TEXT ? redact_text(line) : redact_header_line(line));
      }
    } catch (const std::exception &) { // a line of trace is lost
    }
    return 0;
  }
};

HttpAttempt &HttpAttempt::of(void *easy) {
  HttpAttempt *attempt = nullptr;
  curl_easy_getinfo(as_easy(easy), CURLINFO_PRIVATE, &attempt);
  return *attempt;
}

Result<std::unique_ptr<HttpAttempt>>
HttpAttempt::create(const HttpOptions &options, HttpSockets &sockets, Stats &stats) {
  std::unique_ptr<HttpAttempt> attempt(new HttpAttempt(options, sockets, stats));
  if (Result<void> ok = attempt->set_up(); !ok)
    return std::move(ok).error();
  return attempt;
}

Result<void> HttpAttempt::set_up() {
  easy_ = curl_easy_init();
  if (easy_ == nullptr)
    return no_memory("curl_easy_init");
  if (Result<void> ok = options_.set_up(easy_); !ok)
    return ok;
  error_text_ = std::make_unique<char[]>(CURL_ERROR_SIZE);
  CURL *c = as_easy(easy_);
  bool ok = sockets_.attach(c, opener_);
  auto set = [&](CURLoption option, auto value) {
    ok = curl_easy_setopt(c, option, value) == CURLE_OK && ok;
  };
  set(CURLOPT_PRIVATE, this);
  set(CURLOPT_ERRORBUFFER, error_text_.get());
  set(CURLOPT_HEADERFUNCTION, &Callbacks::header);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, &Callbacks::body);
  set(CURLOPT_WRITEDATA, this);
  if (log_on(LogArea::Verbose)) {
    set(CURLOPT_VERBOSE, 1L);
    set(CURLOPT_DEBUGFUNCTION, &Callbacks::debug);
    set(CURLOPT_DEBUGDATA, this);
  }
  if (!ok)
    return no_memory("curl_easy_setopt");
  return {};
}

HttpAttempt::~HttpAttempt() {
  if (easy_ != nullptr)
    curl_easy_cleanup(as_easy(easy_));
}

void HttpAttempt::begin(uint64_t id, const HttpRequest &request, HttpReceiver &receiver) {
  id_ = id;
  receiver_ = &receiver;
  asked_ = request;
  redirects_ = 0;
  opened_ = 0;
  waiting_ = repeated_ = false;
  started_ = now();
  forget_answer();
}

void HttpAttempt::forget_answer() {
  head_ = {};
  skipped_bytes_ = 0;
  judged_ = stopped_ = discarding_ = stale_refusal_ = false;
  needless_since_.reset();
  opener_.error = 0;
  out_of_memory_ = false;
  own_error_.reset();
  body_bytes_ = 0;
  error_text_[0] = '\0';
  hop_started_ = last_heard_ = last_progress_ = now();
  since_progress_ = 0;
}

Result<void> HttpAttempt::ask() {
  forget_answer();
  if (waiting_)
    started_ += hop_started_ - waiting_since_; // not the server's time
  waiting_ = false;
  Result<HttpCredentials::Told> told = options_.ask(easy_, asked_);
  if (!told)
    return std::move(told).error();
  told_ = std::move(told).value();
  return {};
}

void HttpAttempt::wait() {
  waiting_ = true;
  waiting_since_ = now();
}

void HttpAttempt::heard(size_t bytes) {
  last_heard_ = now();
  since_progress_ += bytes;
  if (since_progress_ >= options_.config().timeout_s * kLeastRate) {
    last_progress_ = last_heard_;
    since_progress_ = 0;
  }
}

// Of a redirect that was followed, or had been before; else empty.
std::string HttpAttempt::redirected_from() const {
  bool led = !asked_.configured.empty() && asked_.configured != asked_.url;
  return led ? redact_url(asked_.configured) : "";
}

std::string HttpAttempt::request() const {
  return request_text(redact_url(asked_.url), asked_.range);
}

bool HttpAttempt::is_redirect() const {
  return asked_.follow_redirects && options_.config().follow_location && head_.status >= 300 &&
         head_.status < 400 && !head_.location.empty();
}

// The head is complete: does the server take what scripts gave?
void HttpAttempt::weigh_credentials() {
  if (script_round() == 0)
    return;
  Renewal &renewal = options_.renewal();
  head_.scripts = renewal.names();
  if (head_.status == 401 || head_.status == 403) {
    if (repeated_)
      renewal.refused_again(script_round());
    stale_refusal_ = !repeated_ && renewal.worth_renewing(script_round(), now());
  } else if (head_.status >= 200 && head_.status < 400)
    renewal.accepted(script_round());
}

// Is this the head that counts?  Not an interim one, a redirect to follow, or
// a refusal that libcurl may answer with credentials.
bool HttpAttempt::head_is_final() const {
  return head_.status >= 400 ? head_.status != 401 && head_.status != 407
                             : head_.status >= 200 && head_.status < 300;
}

// False: end the transfer.
bool HttpAttempt::judge() {
  judged_ = true;
  head_.elsewhere = !options_.trusted(asked_.url);
  head_.redirected_from = redirected_from();
  if (head_.status >= 400)
    head_.certificate = options_.asked_how(asked_.url).certificate;
  // In clear the proxy reads and answers requests itself.
  if (head_.status >= 400 && asked_.url.starts_with("http:"))
    head_.via = options_.asked_how(asked_.url).via.proxy;
  stopped_ = !receiver_->on_head(head_, asked_.url);
  discarding_ = stopped_ && head_.content_length.value_or(UINT64_MAX) <= kSmallBody;
  if (discarding_ && !needless_since_)
    needless_since_ = last_heard_;
  return !stopped_ || discarding_;
}

bool HttpAttempt::all_has_come() const {
  const auto &range = head_.content_range;
  return range && range->first && range->last &&
         body_bytes_ > std::min(*range->last, asked_.range.last) - *range->first;
}

bool HttpAttempt::connecting() const {
  curl_off_t us = 0;
  curl_easy_getinfo(as_easy(easy_), CURLINFO_PRETRANSFER_TIME_T, &us);
  return us == 0;
}

bool HttpAttempt::multiplexed() const {
  long version = 0;
  curl_easy_getinfo(as_easy(easy_), CURLINFO_HTTP_VERSION, &version);
  return version >= CURL_HTTP_VERSION_2_0;
}

void HttpAttempt::count_connections() {
  long n = 0;
  curl_easy_getinfo(as_easy(easy_), CURLINFO_NUM_CONNECTS, &n);
  opened_ += std::max(0L, n);
}

// Empty: the redirect to URL is followed.
std::string HttpAttempt::why_not_followed(const std::string &url) const {
  const Config &config = options_.config();
  if (url.empty())
    return fmt::format("redirected to a place that is no URL: {}",
                       escape_controls(redact_url(head_.location)));
  if (redirects_ == kMaxRedirects)
    return fmt::format("more than {} redirects; is it a loop?", kMaxRedirects);
  std::string scheme = to_lower(std::string_view(url).substr(0, url.find(':')));
  if (!protocol_allowed(config.protocols, scheme))
    return fmt::format("redirected to {}, which protocols={} does not allow", redact_url(url),
                       config.protocols);
  if (scheme == "http" && asked_.url.starts_with("https:") && !config.insecure_redirects)
    return fmt::format("redirected from https to {}, where anybody on the way could change what "
                       "is sent; insecure-redirects=true follows it all the same",
                       redact_url(url));
  return "";
}

std::optional<std::string> HttpAttempt::redirected_to() {
  // Whatever became of its page, which may be too long to be read to the end: then
  // libcurl tells no CURLINFO_REDIRECT_URL.
  if (!is_redirect() || own_error_ || !head_.complete)
    return std::nullopt;
  std::string next = resolve_reference(asked_.url, head_.location);
  if (std::string why = why_not_followed(next); !why.empty()) {
    own_error_ = Error{ErrorKind::Permanent, EIO, head_.status,
                       fmt::format("{}: {}", request(), why), {}};
    return std::nullopt;
  }
  log(LogArea::Http, "#{} redirect status={} to={}", id_, head_.status, redact_url(next));
  return next;
}

void HttpAttempt::go_on(std::string url) {
  count_connections();
  ++redirects_;
  if (asked_.configured.empty())
    asked_.configured = asked_.url;
  asked_.url = std::move(url);
}

void HttpAttempt::repeat() {
  count_connections();
  repeated_ = true;
}

HttpOutcome HttpAttempt::outcome(int curl_code) {
  if (waiting_) { // the handle's figures are of another request
    HttpOutcome unasked;
    unasked.error = std::move(own_error_);
    return unasked;
  }
  if (out_of_memory_)
    own_error_ = no_memory("receiving an answer");
  // An answer without a body, or one that libcurl might have gone on from.  One that
  // ends within its head is well in libcurl's eyes.
  if (curl_code == CURLE_OK && !judged_ && !own_error_) {
    if (head_.status != 0 && !head_.complete)
      own_error_ = Error{ErrorKind::Transient, EIO, 0,
                         fmt::format("{}: the connection ended within the head of the answer, "
                                     "after {} bytes",
                                     request(), head_.head_bytes),
                         {}};
    else
      judge();
  }

  auto time_of = [&](CURLINFO info) {
    curl_off_t us = 0;
    curl_easy_getinfo(as_easy(easy_), info, &us);
    return from_us(us);
  };
  // How libcurl calls a line that is longer than it takes.
  if ((curl_code == CURLE_OUT_OF_MEMORY || curl_code == kTooLarge) && !head_.complete &&
      !own_error_ && time_of(CURLINFO_STARTTRANSFER_TIME_T) > Duration::zero())
    own_error_ = Error{ErrorKind::Permanent, EIO, head_.status,
                       fmt::format("{}: server sent a header line of more than 100 KiB, or there "
                                   "was no memory for one",
                                   request()),
                       {}};

  HttpOutcome outcome;
  outcome.body_bytes = body_bytes_;
  if (own_error_)
    outcome.error = std::move(own_error_);
  else if (curl_code != CURLE_OK && !stopped_) {
    AskedHow how = options_.asked_how(asked_.url);
    curl_easy_getinfo(as_easy(easy_), CURLINFO_HTTP_CONNECTCODE, &how.connect_status);
    how.socket_error = opener_.error;
    outcome.error = error_from_curl(curl_code, error_text_.get(), request(), how);
    if (std::string from = redirected_from(); !from.empty())
      outcome.error->what += fmt::format(" ({} redirects there)", from);
  }

  count_connections();
  outcome.new_connection = opened_ > 0;
  stats_.connections.add(static_cast<uint64_t>(opened_));
  outcome.first_byte_time = time_of(CURLINFO_STARTTRANSFER_TIME_T);
  if (outcome.first_byte_time > Duration::zero())
    outcome.answer_time = outcome.first_byte_time - time_of(CURLINFO_PRETRANSFER_TIME_T);
  outcome.total_time = time_of(CURLINFO_TOTAL_TIME_T);
  // Refused, no route, no such host, and silence before all was set up.
  if (outcome.error && outcome.error->kind == ErrorKind::Transient &&
      time_of(CURLINFO_PRETRANSFER_TIME_T) == Duration::zero())
    outcome.error->unreachable = true;
  outcome.first_byte_time += time_of_redirects();
  outcome.total_time += time_of_redirects();
  return outcome;
}

void HttpAttempt::trace(const HttpOutcome &outcome) const {
  if (waiting_) {
    log(LogArea::Http, "#{} not sent: {}", id_, outcome.error ? outcome.error->what : "");
    return;
  }
  std::optional<unsigned> number = sockets_.number_of_ended(easy_);
  std::string redirect;
  if (redirects_ > 0)
    redirect = fmt::format(" redirects={} to={}", redirects_, redact_url(asked_.url));
  log(LogArea::Http,
      "#{} done bytes={}-{} status={} connection={}{}{}{} first_byte_ms={:.1f} "
      "total_ms={:.1f} received={} outcome={}",
      id_, asked_.range.first, asked_.range.last, head_.status,
      number ? std::to_string(*number) : "closed",
      outcome.new_connection                       ? " new"
      : outcome.first_byte_time > Duration::zero() ? " re-used"
                                                   : "",
      multiplexed() ? " http=2" : "", redirect, to_seconds(outcome.first_byte_time) * 1e3,
      to_seconds(outcome.total_time) * 1e3, body_bytes_,
      outcome.error ? to_string(outcome.error->kind) + std::string(": ") + outcome.error->what
      : stopped_    ? body_bytes_ == 0 ? "refused" : "stopped"
                    : "ok");
}

} // namespace httpcache
