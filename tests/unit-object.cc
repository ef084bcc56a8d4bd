// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-object.cc - which answers are the object's bytes, and which are not.
#include "object.h"

#include "catch.h"
#include "redact.h"

using namespace httpcache;

namespace {

constexpr std::string_view kUrl = "https://host/disk.qcow2";
constexpr ByteSpan kAsked{0, 99};

ResponseHead answer(long status,
                    std::initializer_list<std::string_view> lines = {}) {
  ResponseHead head;
  head.add_line("HTTP/1.1 " + std::to_string(status), 0);
  for (std::string_view line : lines)
    head.add_line(line, 0);
  head.add_line("", 0);
  return head;
}

// 206 of bytes 0-99 of 1000, with these lines too.
ResponseHead part(std::initializer_list<std::string_view> lines = {}) {
  ResponseHead head = answer(206);
  head.complete = false;
  head.add_line("Content-Range: bytes 0-99/1000", 0);
  for (std::string_view line : lines)
    head.add_line(line, 0);
  return head;
}

ObjectInfo object(Validator validator = {"\"a\"", false, ""}) {
  return {1000, std::move(validator), ""};
}

bool says(const Error &error, std::string_view text) {
  return error.what.find(text) != error.what.npos;
}

Error probe_error(const ResponseHead &head, ByteSpan asked = kAsked) {
  Result<ObjectInfo> result = object_from_probe(head, asked, kUrl);
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().err == EIO);
  CHECK(result.error().http_status == head.status);
  CHECK(says(result.error(), "GET https://host/disk.qcow2 bytes "));
  return result.error();
}

Error answer_error(const ObjectInfo &info, const ResponseHead &head,
                   ByteSpan asked = kAsked) {
  Result<ByteSpan> result = check_answer(info, head, asked, kUrl);
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().err == EIO);
  CHECK(result.error().http_status == head.status);
  CHECK(says(result.error(), "GET https://host/disk.qcow2 bytes "));
  return result.error();
}

} // namespace

// --- The first answer -------------------------------------------------------

TEST_CASE("a 206 makes the object known", "[object]") {
  Result<ObjectInfo> result = object_from_probe(
      part({"ETag: \"a\"", "Last-Modified: yesterday", "Content-Length: 100"}),
      kAsked, kUrl);
  REQUIRE(result.ok());
  CHECK(result.value().size == 1000);
  CHECK(result.value().validator == Validator{"\"a\"", false, "yesterday"});
  CHECK(result.value().validator.strong());
}

TEST_CASE("sizes from one byte to 2^63 - 1 are fine", "[object]") {
  for (std::string_view total :
       {"1", "511", "5497558138880", "9223372036854775807"}) {
    ResponseHead head = answer(206);
    head.complete = false;
    head.add_line("Content-Range: bytes 0-0/" + std::string(total), 0);
    Result<ObjectInfo> result = object_from_probe(head, kAsked, kUrl);
    REQUIRE(result.ok());
    CHECK(result.value().size == std::stoull(std::string(total)));
    CHECK(result.value().validator.none());
    CHECK(check_answer(result.value(), head, kAsked, kUrl).value() ==
          ByteSpan{0, 0});
  }
}

TEST_CASE("a file of no bytes is an object of size 0", "[object]") {
  // nginx answers 416, Apache 200.
  for (const ResponseHead &head :
       {answer(416, {"Content-Range: bytes */0"}),
        answer(200, {"Content-Length: 0", "ETag: \"a\""})}) {
    Result<ObjectInfo> result = object_from_probe(head, kAsked, kUrl);
    REQUIRE(result.ok());
    CHECK(result.value().size == 0);
    Error error = probe_error(head, {512, 611});
    CHECK(says(error, "offset=512 lies beyond the end of the file, which has "
                      "0 bytes"));
  }
}

TEST_CASE("an offset beyond the end is told with the size", "[object]") {
  ResponseHead head = answer(416, {"Content-Range: bytes */1000"});
  Error error = probe_error(head, {4096, 4195});
  CHECK(error.kind == ErrorKind::Permanent);
  CHECK_FALSE(error.cache_suspected);
  CHECK(says(error, "offset=4096 lies beyond the end of the file, which has "
                    "1000 bytes"));
  CHECK(says(probe_error(head, {1000, 1099}),
             "offset=1000 lies at the end of the file, which has 1000 bytes"));
}

TEST_CASE("a first 416 that no end explains may be a cache's", "[object]") {
  auto suspected = [](const ResponseHead &head, ByteSpan asked) {
    Error error = probe_error(head, asked);
    CHECK(error.kind == ErrorKind::Permanent);
    CHECK(error.cache_suspected);
    return error;
  };
  CHECK(says(suspected(answer(416, {"Content-Range: bytes */1000"}), {999, 1000}),
             "server answered 416 Range Not Satisfiable, though it says that "
             "the file has 1000 bytes"));
  CHECK(says(suspected(answer(416), {4096, 4195}),
             "without telling the size of the file (is offset="));
  CHECK(says(suspected(answer(416), kAsked), "without telling the size"));
  CHECK(says(suspected(answer(416, {"Content-Range: bytes */-1"}), kAsked),
             "malformed Content-Range 'bytes */-1'"));
}

TEST_CASE("a server that ignores ranges is named, and what to do", "[object]") {
  for (const ResponseHead &head :
       {answer(200), answer(200, {"Content-Length: 1000"}),
        answer(200, {"Content-Length: 0", "Content-Encoding: gzip"}),
        answer(200, {"Content-Length: 0", "Content-Length: 5"}),
        answer(200, {"Content-Range: bytes 0-99/1000"})}) {
    Error error = probe_error(head);
    CHECK(error.kind == ErrorKind::Permanent);
    CHECK(says(error, "ignores range requests"));
    CHECK(says(error, "200 OK"));
    CHECK(says(error, "download"));
    CHECK_FALSE(says(error, "Accept-Ranges"));
  }
  CHECK(says(probe_error(answer(200, {"Accept-Ranges: none"})),
             "Accept-Ranges: none"));
}

TEST_CASE("a web page or a folder is not taken for a server without ranges", "[object]") {
  Error page = probe_error(answer(200, {"Content-Type: text/html; charset=utf-8"}));
  CHECK(page.kind == ErrorKind::Permanent);
  CHECK(says(page, "is the URL that of the disk image itself?"));
  CHECK_FALSE(says(page, "ignores range requests"));
  for (long status : {200, 403}) {
    Result<ObjectInfo> folder = object_from_probe(answer(status), kAsked, "https://host/disks/");
    REQUIRE_FALSE(folder.ok());
    CHECK(says(folder.error(), status == 200 ? "is the URL that of the disk image itself?"
                                             : "is a folder's"));
  }
}

TEST_CASE("plain HTTP to a port that wants TLS", "[object]") {
  Result<ObjectInfo> plain = object_from_probe(answer(400), kAsked, "http://host:443/disk");
  REQUIRE_FALSE(plain.ok());
  CHECK(says(plain.error(), "https://"));
  CHECK_FALSE(says(probe_error(answer(400)), "https://?"));
}

TEST_CASE("a first answer without the size is refused", "[object]") {
  Error error = probe_error(answer(206, {"Content-Range: bytes 0-99/*"}));
  CHECK(error.kind == ErrorKind::Permanent);
  CHECK(says(error, "does not tell the size of the file"));
}

// --- Any answer -------------------------------------------------------------

TEST_CASE("statuses have kinds, and names in the message", "[object]") {
  const struct {
    long status;
    ErrorKind kind;
    std::string_view text;
  } cases[] = {
      {204, ErrorKind::Permanent, "204 No Content"},
      {301, ErrorKind::Permanent, "301 Moved Permanently"},
      {304, ErrorKind::Permanent, "304 Not Modified"},
      {400, ErrorKind::Permanent, "400 Bad Request"},
      {401, ErrorKind::Permanent, "401 Unauthorized (are user= and"},
      {403, ErrorKind::Permanent, "403 Forbidden (not allowed"},
      {404, ErrorKind::Permanent, "404 Not Found ("},
      {407, ErrorKind::Permanent, "407 Proxy Authentication Required"},
      {408, ErrorKind::Transient, "408 Request Timeout"},
      {410, ErrorKind::Permanent, "410 Gone"},
      {412, ErrorKind::Permanent, "412 Precondition Failed"},
      {418, ErrorKind::Permanent, "server answered 418"},
      {425, ErrorKind::Transient, "425 Too Early"},
      {429, ErrorKind::Transient, "429 Too Many Requests"},
      {500, ErrorKind::Transient, "500 Internal Server Error"},
      {501, ErrorKind::Permanent, "501 Not Implemented"},
      {502, ErrorKind::Transient, "502 Bad Gateway"},
      {503, ErrorKind::Transient, "server answered 503 Service Unavailable"},
      {504, ErrorKind::Transient, "504 Gateway Timeout"},
      {505, ErrorKind::Permanent, "505 HTTP Version Not Supported"},
      {599, ErrorKind::Transient, "server answered 599"},
      {600, ErrorKind::Permanent, "server answered 600"},
      {999, ErrorKind::Permanent, "server answered 999"},
      {100, ErrorKind::Permanent, "server answered 100"},
  };
  for (const auto &c : cases) {
    INFO(c.status);
    for (const Error &error : {probe_error(answer(c.status)),
                               answer_error(object(), answer(c.status))}) {
      CHECK(error.kind == c.kind);
      CHECK(says(error, c.text));
    }
  }
}

TEST_CASE("the text of an error is one sentence about one request",
          "[object]") {
  CHECK(answer_error(object(), answer(503), {262144, 524287}).what ==
        "GET https://host/disk.qcow2 bytes 262144-524287: server answered 503 "
        "Service Unavailable");
}

TEST_CASE("a redirect that was not followed says why", "[object]") {
  CHECK(says(probe_error(answer(301, {"Location: https://host/elsewhere"})),
             "301 Moved Permanently (a redirect to https://host/elsewhere, which followlocation=false "
             "forbids to follow)"));
  CHECK_FALSE(says(probe_error(answer(304)), "redirect"));
}

TEST_CASE("an answer's Retry-After goes along", "[object]") {
  CHECK(probe_error(answer(503, {"Retry-After: 7"})).retry_after_s == 7u);
  CHECK(answer_error(object(), answer(429, {"Retry-After: 9"})).retry_after_s ==
        9u);
  CHECK_FALSE(probe_error(answer(503)).retry_after_s);
  CHECK(says(probe_error(answer(503, {"Retry-After: 7"})), "not to be asked again for 7 s"));
  CHECK_FALSE(says(probe_error(answer(503)), "asked again"));
}

TEST_CASE("no head at all is transient", "[object]") {
  CHECK(probe_error(ResponseHead()).kind == ErrorKind::Transient);
  CHECK(says(answer_error(object(), ResponseHead()), "no HTTP answer"));
}

TEST_CASE("the bytes that were asked for are taken", "[object]") {
  CHECK(check_answer(object(), part({"ETag: \"a\""}), kAsked, kUrl).value() ==
        kAsked);
  CHECK(check_answer(object(), part({"ETag: \"a\"", "Content-Length: 100"}),
                     kAsked, kUrl)
            .ok());
}

TEST_CASE("fewer or more bytes than asked for are told", "[object]") {
  auto with = [](std::string_view range) {
    return check_answer(
        object(),
        answer(206, {"Content-Range: " + std::string(range), "ETag: \"a\""}),
        {500, 599}, kUrl);
  };
  CHECK(with("bytes 500-500/1000").value() == ByteSpan{500, 500});
  CHECK(with("bytes 500-598/1000").value() == ByteSpan{500, 598});
  CHECK(with("bytes 500-600/1000").value() == ByteSpan{500, 600});
  CHECK(with("bytes 500-999/1000").value() == ByteSpan{500, 999});
}

TEST_CASE("other bytes are refused", "[object]") {
  for (std::string_view range :
       {"bytes 0-99/1000", "bytes 499-599/1000", "bytes 501-599/1000",
        "bytes 0-999/1000", "bytes 600-699/1000", "bytes 900-999/1000"}) {
    Error error = answer_error(
        object(),
        answer(206, {"Content-Range: " + std::string(range), "ETag: \"a\""}),
        {500, 599});
    CHECK(error.kind == ErrorKind::Permanent);
    CHECK(says(error, "other bytes"));
  }
  CHECK(says(probe_error(answer(206, {"Content-Range: bytes 1-99/1000"})),
             "other bytes, 1-99"));
}

TEST_CASE("a 206 that says not what it holds is refused", "[object]") {
  const struct {
    ResponseHead head;
    std::string_view text;
  } cases[] = {
      {answer(206), "without a Content-Range"},
      {answer(206, {"Content-Range: bytes */1000"}),
       "without a Content-Range that says"},
      {answer(206, {"Content-Range: bytes 0-99/-5"}),
       "malformed head: Content-Range 'bytes 0-99/-5'"},
      {answer(206, {"Content-Range: bytes 0-99999999999999999999/*"}),
       "malformed"},
      {part({"Content-Length: 99"}), "contradicts itself"},
      {part({"Content-Length: 101"}), "contradicts itself"},
      {part({"Content-Length: 1", "Content-Length: 100"}), "malformed"},
      {part({"Content-Encoding: gzip"}), "Content-Encoding 'gzip'"},
      {part({"Content-Type: multipart/byteranges; boundary=x"}),
       "multipart/byteranges"},
  };
  for (const auto &c : cases) {
    INFO(c.text);
    for (const Error &error :
         {probe_error(c.head), answer_error(object({}), c.head)}) {
      CHECK(error.kind == ErrorKind::Permanent);
      CHECK(says(error, c.text));
    }
  }
}

TEST_CASE("words of the server are escaped and shortened", "[object]") {
  Error error = probe_error(
      part({"Content-Encoding: \x1b[31m" + std::string(5000, 'x')}));
  CHECK(says(error, "\\x1b[31m"));
  CHECK(error.what.size() < 400);
  CHECK(describe({std::string(5000, 'x'), true, ""}).size() < 120);
}

// --- The same version? ------------------------------------------------------

TEST_CASE("another size is a change, from what to what", "[object]") {
  ResponseHead head =
      answer(206, {"Content-Range: bytes 0-99/2000", "ETag: \"a\""});
  Error error = answer_error(object(), head);
  CHECK(error.kind == ErrorKind::Changed);
  CHECK(says(error, "has changed, from 1000 bytes to 2000 bytes"));
  CHECK(says(error, "restart nbdkit"));
}

TEST_CASE("validators are compared where both sides have them", "[object]") {
  enum { Same, Changed, CannotTell };
  const struct {
    Validator was;
    Validator is;
    int verdict;
  } cases[] = {
      {{"\"a\"", false, ""}, {"\"a\"", false, ""}, Same},
      {{"\"a\"", false, ""}, {"\"b\"", false, ""}, Changed},
      // Strong ETags settle it, whatever the dates of a farm's nodes.
      {{"\"a\"", false, "mon"}, {"\"a\"", false, "tue"}, Same},
      {{"\"a\"", false, "mon"}, {"\"b\"", false, "mon"}, Changed},
      // Weak ones are compared, and the dates as well.
      {{"\"a\"", true, ""}, {"\"a\"", true, ""}, Same},
      {{"\"a\"", true, ""}, {"\"b\"", true, ""}, Changed},
      {{"\"a\"", true, "mon"}, {"\"a\"", true, "mon"}, Same},
      {{"\"a\"", true, "mon"}, {"\"a\"", true, "tue"}, Changed},
      // Servers make weak of strong and strong of weak.
      {{"\"a\"", true, ""}, {"\"a\"", false, ""}, Same},
      {{"\"a\"", false, ""}, {"\"a\"", true, ""}, Same},
      {{"\"a\"", false, ""}, {"\"b\"", true, ""}, Changed},
      {{"\"a\"", false, "mon"}, {"\"a\"", true, "tue"}, Changed},
      // Dates alone.
      {{"", false, "mon"}, {"", false, "mon"}, Same},
      {{"", false, "mon"}, {"", false, "tue"}, Changed},
      // One side lacks an ETag: the dates, if there are.
      {{"\"a\"", false, "mon"}, {"", false, "mon"}, Same},
      {{"\"a\"", false, "mon"}, {"", false, "tue"}, Changed},
      {{"", false, "mon"}, {"\"a\"", false, "mon"}, Same},
      {{"\"a\"", false, "mon"}, {"\"a\"", false, ""}, Same},
      // Nothing in common.
      {{"\"a\"", false, ""}, {"", false, ""}, CannotTell},
      {{"\"a\"", false, "mon"}, {"", false, ""}, CannotTell},
      {{"", false, "mon"}, {"", false, ""}, CannotTell},
      {{"", false, "mon"}, {"\"a\"", false, ""}, CannotTell},
      {{"\"a\"", false, ""}, {"", false, "mon"}, CannotTell},
      // Nothing to begin with: the size alone.
      {{"", false, ""}, {"", false, ""}, Same},
      {{"", false, ""}, {"\"a\"", false, "mon"}, Same},
  };
  for (const auto &c : cases) {
    INFO(describe(c.was) << " then " << describe(c.is));
    ResponseHead head = part();
    head.etag = c.is.etag;
    head.etag_weak = c.is.etag_weak;
    head.last_modified = c.is.last_modified;
    Result<ByteSpan> result = check_answer(object(c.was), head, kAsked, kUrl);
    CHECK(result.ok() == (c.verdict == Same));
    if (c.verdict == Changed)
      CHECK(result.error().kind == ErrorKind::Changed);
    if (c.verdict == CannotTell)
      CHECK(result.error().kind == ErrorKind::Transient);
  }
}

TEST_CASE("a change names what changed, from what to what", "[object]") {
  CHECK(says(answer_error(object(), part({"ETag: W/\"b\""})),
             "from ETag \"a\" to ETag W/\"b\""));
  CHECK(says(answer_error(object({"\"a\"", true, "mon"}),
                          part({"ETag: W/\"a\"", "Last-Modified: tue"})),
             "from Last-Modified mon to Last-Modified tue"));
  CHECK(says(answer_error(object({"\"a\"", true, "mon"}), part()),
             "server sent no validator where the first answer had ETag"));
}

TEST_CASE("a change explains a range that does not fit", "[object]") {
  CHECK(
      answer_error(object(),
                   answer(206, {"Content-Range: bytes 0-9/10", "ETag: \"b\""}),
                   {500, 599})
          .kind == ErrorKind::Changed);
  // But an encoding explains another size and ETag.
  CHECK(says(answer_error(object(), answer(206, {"Content-Range: bytes 0-9/10",
                                                 "Content-Encoding: gzip",
                                                 "ETag: \"a-gzip\""})),
             "Content-Encoding"));
}

TEST_CASE("a later answer may leave out the size if a validator agrees",
          "[object]") {
  ResponseHead head =
      answer(206, {"Content-Range: bytes 0-99/*", "ETag: \"a\""});
  CHECK(check_answer(object(), head, kAsked, kUrl).ok());
  CHECK(answer_error(object({}), head).kind == ErrorKind::Permanent);
  CHECK(says(answer_error(object(), answer(206, {"Content-Range: bytes "
                                                 "0-1000/*",
                                                 "ETag: \"a\""})),
             "does not tell the size"));
}

TEST_CASE("a later 416 is a change, or the server's fault", "[object]") {
  Error error = answer_error(
      object(), answer(416, {"Content-Range: bytes */50"}), {500, 599});
  CHECK(error.kind == ErrorKind::Changed);
  CHECK(error.cache_suspected);
  CHECK(says(error, "from 1000 bytes to 50 bytes"));

  error = answer_error(object(), answer(416, {"Content-Range: bytes */1000"}),
                       {500, 599});
  CHECK(error.kind == ErrorKind::Permanent);
  CHECK(error.cache_suspected);
  CHECK(says(error, "416 Range Not Satisfiable, though the file has 1000 "
                    "bytes, as that answer says too"));
  error = answer_error(object(), answer(416), {500, 599});
  CHECK(error.kind == ErrorKind::Permanent);
  CHECK(error.cache_suspected);
  CHECK(says(error, "bytes, without telling a size"));
}

TEST_CASE("what fails past caches too is told with what came before", "[object]") {
  Error first = answer_error(object(), answer(416), {500, 599});
  Error second = answer_error(object(), answer(416, {"Content-Range: bytes */1000"}), {500, 599});
  Error both = failed_past_caches(first, second);
  CHECK(both.kind == ErrorKind::Permanent);
  CHECK(both.what.starts_with(first.what + "; asked once more past caches, with Cache-Control: "
                                           "no-cache: server answered 416"));
  CHECK(says(both, "as that answer says too (does a cache "));

  first = answer_error(object(), answer(416, {"Content-Range: bytes */50"}), {500, 599});
  both = failed_past_caches(first, first);
  CHECK(both.kind == ErrorKind::Changed);
  CHECK(says(both, "no-cache: the file on the server has changed, from"));

  // Of another URL, which is named.
  both = failed_past_caches(first, {ErrorKind::Transient, EIO, 0, "GET http://b bytes 0-9: no", {}});
  CHECK(both.kind == ErrorKind::Transient);
  CHECK(both.what == first.what + "; asked once more past caches, with Cache-Control: no-cache: "
                                  "GET http://b bytes 0-9: no");
}

TEST_CASE("a later 200 is a change, or a bad day", "[object]") {
  auto kind = [](std::initializer_list<std::string_view> lines) {
    return answer_error(object(), answer(200, lines)).kind;
  };
  CHECK(kind({}) == ErrorKind::Transient);
  CHECK(kind({"ETag: \"a\"", "Content-Length: 1000"}) == ErrorKind::Transient);
  CHECK(kind({"ETag: \"b\"", "Content-Length: 1000"}) == ErrorKind::Changed);
  CHECK(kind({"ETag: \"a\"", "Content-Length: 999"}) == ErrorKind::Changed);
  CHECK(kind({"Content-Length: 999", "Content-Encoding: gzip"}) ==
        ErrorKind::Transient);
  // A page to log in at, instead of the file, which may be of that type.
  CHECK(kind({"Content-Type: text/html", "ETag: \"b\"", "Content-Length: 999"}) ==
        ErrorKind::Transient);
  CHECK(kind({"Content-Length: 999"}) == ErrorKind::Transient);
  Error page = answer_error(object(), answer(200, {"Content-Type: text/html"}));
  CHECK(says(page, "with a page, not with the part of the file"));
  ObjectInfo bare = object(); // its size is all that there is to compare
  bare.validator = {};
  CHECK(answer_error(bare, answer(200, {"Content-Length: 999"})).kind == ErrorKind::Changed);
  CHECK(kind({"Content-Type: text/html", "ETag: \"a\"", "Content-Length: 1000"}) ==
        ErrorKind::Transient);
}

TEST_CASE("of an answer from elsewhere it is told what led there, and who gets logins", "[object]") {
  ResponseHead head = answer(401);
  head.redirected_from = "http://home/disk";
  head.elsewhere = true;
  Error error = answer_error(object(), head);
  CHECK(says(error, "401 Unauthorized (logins are sent to the scheme, host and port of url= only"));
  CHECK(says(error, " (http://home/disk redirects there)"));
  head = answer(400);
  CHECK(says(probe_error(head), "does it want a certificate of the client, sslcert=?"));
  head.certificate = true;
  CHECK(says(probe_error(head), "does it not accept the certificate of sslcert=?"));
}

TEST_CASE("what the server refuses by now it may have had", "[object]") {
  CHECK(says(answer_error(object(), answer(404)), "it was there before"));
  CHECK(says(probe_error(answer(404)), "is the URL right?"));
  CHECK_FALSE(says(answer_error(object(), answer(400)), "does "));
  CHECK(says(answer_error(object(), answer(400)), "expired"));
}

TEST_CASE("a server that says secrets again is not quoted", "[object]") {
  register_secret("hunter2-object");
  CHECK(describe({"\"hunter2-object\"", false, ""}) == "ETag \"***\"");
  ResponseHead head = answer(206, {"Content-Range: hunter2-object"});
  CHECK_FALSE(says(answer_error(object(), head), "hunter2"));
}

TEST_CASE("only who has no validator is warned of", "[object]") {
  ObjectInfo none = object();
  none.validator = {};
  CHECK(warning_of_no_validator(none, false, "http://h/d").starts_with(
      "http://h/d: the server sends neither ETag nor Last-Modified"));
  CHECK(warning_of_no_validator(none, true, "http://h/d").starts_with(
      "http://h/d: the server sends no Last-Modified"));
  CHECK(warning_of_no_validator(object(), false, "http://h/d").empty());
  none.size = 0;
  CHECK(warning_of_no_validator(none, false, "http://h/d").empty());
}

TEST_CASE("validators are described", "[object]") {
  CHECK(describe({"\"a\"", false, "mon"}) == "ETag \"a\"");
  CHECK(describe({"\"a\"", true, "mon"}) == "ETag W/\"a\"");
  CHECK(describe({"", false, "mon"}) == "Last-Modified mon");
  CHECK(describe({}) == "no validator");
}
