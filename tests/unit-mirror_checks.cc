// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-mirror_checks.cc - which answers show that a mirror has the object, and who is
// asked when.
#include "mirror_checks.h"

#include <fmt/format.h>

#include "catch.h"
#include "curl_library.h"
#include "http_engine.h"
#include "web-server.h"

using namespace httpcache;

namespace {

constexpr ByteSpan kAsked{90, 99};
const std::string kSample = "0123456789";
const char *const kUrl = "http://b/x";

ResponseHead head_of(uint64_t total, const char *etag = "\"b\"") {
  ResponseHead head;
  head.status = 206;
  head.content_range = ContentRange{90, 99, total};
  head.etag = etag;
  head.complete = true;
  return head;
}

Mirror mirror_of(bool known) {
  Mirror mirror("http://b/x", {}, 65536, 4);
  mirror.object.size = 100;
  mirror.known = known;
  if (known)
    mirror.object.validator.etag = "\"b\"";
  return mirror;
}

Result<ObjectInfo> judge(bool known, const ResponseHead &head, std::string_view body,
                         bool ignore_etag = false) {
  return judge_check(mirror_of(known), head, kAsked, body, &kSample, ignore_etag, kUrl);
}

void check_other(const Result<ObjectInfo> &result, const char *what) {
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().kind == ErrorKind::Permanent);
  CHECK(result.error().http_status == 0);
  CHECK(result.error().what == fmt::format("GET http://b/x bytes 90-99: {}", what));
}

} // namespace

TEST_CASE("the samples are the end and the begin of the object", "[mirror_checks]") {
  CHECK(sample_count(1 << 20) == 2);
  CHECK(sample_span(1 << 20, 0) == ByteSpan{(1 << 20) - 65536, (1 << 20) - 1});
  CHECK(sample_span(1 << 20, 1) == ByteSpan{0, 65535});
  CHECK(sample_count(65537) == 2);
  CHECK(sample_count(65536) == 1);
  CHECK(sample_span(65536, 0) == ByteSpan{0, 65535});
  CHECK(sample_span(100, 0) == ByteSpan{0, 99});
  CHECK(sample_span(1, 0) == ByteSpan{0, 0});
  CHECK(sample_span(0, 0) == ByteSpan{0, 0}); // a range cannot be empty
  CHECK(sample_count(0) == 1);
}

TEST_CASE("same size and same sample: it has the object, under a validator of its own",
          "[mirror_checks]") {
  Result<ObjectInfo> object = judge(false, head_of(100, "\"other\""), kSample);
  REQUIRE(object.ok());
  CHECK(object.value().validator.etag == "\"other\"");
  object = judge(false, head_of(100, "\"other\""), kSample, true);
  REQUIRE(object.ok());
  CHECK(object.value().validator.etag.empty());
}

TEST_CASE("another size or sample is another object", "[mirror_checks]") {
  check_other(judge(false, head_of(101), kSample), "it has 101 bytes, the others 100");
  check_other(judge(false, head_of(100), "0123456X89"),
              "from byte 97 on it has other bytes than the others");
  ResponseHead beyond;
  beyond.status = 416;
  beyond.content_range = ContentRange{{}, {}, 50};
  check_other(judge(false, beyond, ""), "it has 50 bytes, the others 100");
}

TEST_CASE("what is no answer proves nothing", "[mirror_checks]") {
  ResponseHead missing;
  missing.status = 404;
  Result<ObjectInfo> object = judge(false, missing, "");
  REQUIRE_FALSE(object.ok());
  CHECK(object.error().http_status == 404);
  // It broke off.
  object = judge(false, head_of(100), "01234");
  REQUIRE_FALSE(object.ok());
  CHECK(object.error().kind == ErrorKind::Transient);
}

TEST_CASE("a shorter answer is compared as far as it goes", "[mirror_checks]") {
  ResponseHead head = head_of(100);
  head.content_range->last = 94;
  CHECK(judge(false, head, "01234").ok());
  check_other(judge(false, head, "0123X"), "from byte 94 on it has other bytes than the others");
}

TEST_CASE("a shorter sample is compared as far as it goes", "[mirror_checks]") {
  const std::string shorter = "01234";
  CHECK(judge_check(mirror_of(false), head_of(100), kAsked, "0123456789", &shorter, false, kUrl).ok());
  check_other(judge_check(mirror_of(false), head_of(100), kAsked, "0123X56789", &shorter, false, kUrl),
              "from byte 94 on it has other bytes than the others");
}

TEST_CASE("the second sample must be of the version that the first was of", "[mirror_checks]") {
  Mirror mirror = mirror_of(false);
  mirror.samples = 1;
  mirror.object.validator.etag = "\"b\"";
  CHECK(judge_check(mirror, head_of(100), kAsked, kSample, &kSample, false, kUrl).ok());
  Result<ObjectInfo> object =
      judge_check(mirror, head_of(100, "\"new\""), kAsked, kSample, &kSample, false, kUrl);
  REQUIRE_FALSE(object.ok());
  CHECK(object.error().kind == ErrorKind::Changed);
}

TEST_CASE("one that was aside must have the version that it had", "[mirror_checks]") {
  CHECK(judge(true, head_of(100), kSample).ok());
  Result<ObjectInfo> object = judge(true, head_of(100, "\"new\""), kSample);
  REQUIRE_FALSE(object.ok());
  CHECK(object.error().kind == ErrorKind::Changed);
  object = judge(true, head_of(101), kSample);
  REQUIRE_FALSE(object.ok());
  CHECK(object.error().kind == ErrorKind::Changed);
}

// The engine turns without rest when it is told of a time that has gone by.
TEST_CASE("who can only be checked by a sample waits until there is one", "[mirror_checks]") {
  REQUIRE(curl_library_start().ok());
  tests::Server server(100, [](const tests::Asked &) {
    tests::Answer answer;
    answer.status = "503 Service Unavailable\r\nRetry-After: 15";
    return answer;
  });
  Config config;
  config.url = server.url();
  Stats stats;
  Result<std::unique_ptr<HttpEngine>> engine = HttpEngine::create(config, stats);
  REQUIRE(engine.ok());
  std::vector<std::string> urls = {server.url(), server.url() + "2"};
  Mirrors mirrors(urls, 0, {100, {}, server.url()}, {}, 65536, 4);
  Mirror &first = mirrors.first();
  MirrorChecks checks(*engine.value(), mirrors, false);

  TimePoint at = now();
  for (checks.look(at); first.trouble.empty(); checks.look(at)) {
    CHECK(server.requests() <= 1);
    CHECK(checks.next_look() > at);
    engine.value()->turn(std::chrono::milliseconds(10));
    at = now();
  }
  CHECK(checks.next_look() == first.check_at);
  CHECK(first.check_at > at + std::chrono::seconds(10)); // no sooner than it wishes
}
