// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "targets.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "config.h"
#include "http_headers.h"
#include "object.h"
#include "redact.h"
#include "url.h"

#include "../nbdkit-stubs.h"

namespace httpcache::fuzz {

namespace {

constexpr uint64_t kMost = INT64_MAX; // of sizes and offsets
constexpr int64_t kNow = 1'700'000'000;

void expect(bool holds, const char *what) {
  if (!holds)
    broken(what);
}

// Takes off up to the next NEWLINE, that included.
std::string_view take_line(std::string_view &text) {
  size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end);
  return line;
}

bool is_plain(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
}

void check_error(const Error &error) {
  expect(!error.what.empty(), "an error without words");
  expect(is_plain(error.what), "control characters in a message");
  expect(error.what.size() < 4096, "an endless message");
}

void check_head(const ResponseHead &head) {
  expect(head.content_length.value_or(0) <= kMost, "Content-Length beyond 2^63");
  expect(is_plain(head.malformed), "control characters of the server's in a message");
  const auto &range = head.content_range;
  if (!range)
    return;
  expect(range->first.has_value() == range->last.has_value(), "half a range");
  expect(range->first || range->total, "a Content-Range of nothing");
  expect(range->total.value_or(0) <= kMost, "a total beyond 2^63");
  if (range->first)
    expect(*range->first <= *range->last && *range->last < kMost, "a range that ends before it begins");
  if (range->first && range->total)
    expect(*range->last < *range->total, "a range beyond the total");
}

} // namespace

void answer(std::string_view bytes) {
  if (bytes.size() < 3)
    return;
  auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  uint64_t first = uint64_t{byte(0)} << (byte(1) % 56);
  ByteSpan asked{first, first + (uint64_t{1} << byte(1) / 8) - 1};
  ObjectInfo object;
  object.size = std::max<uint64_t>(asked.last + 1, uint64_t{byte(2)} << (byte(1) % 48));
  if ((byte(2) & 1) != 0)
    object.validator = {"\"abc\"", (byte(2) & 2) != 0, ""};
  if ((byte(2) & 4) != 0)
    object.validator.last_modified = "Tue, 14 Nov 2023 22:13:20 GMT";
  bytes.remove_prefix(3);

  std::string_view line = bytes.substr(0, bytes.find('\n'));
  ResponseHead head;
  while (!bytes.empty() && !head.too_long()) {
    head.add_line(take_line(bytes), kNow);
    check_head(head);
  }
  // A wait gets shorter as time goes by, whatever it is written in.
  auto wait = parse_retry_after(line, kNow), later = parse_retry_after(line, kNow + 10);
  expect(wait.has_value() == later.has_value() && later.value_or(0) <= wait.value_or(0),
         "a Retry-After that depends on when it is read");
  constexpr std::string_view kUrl = "https://host/disk";

  Result<ObjectInfo> probed = object_from_probe(head, asked, kUrl);
  if (!probed)
    check_error(probed.error());
  else
    expect(probed.value().size <= kMost, "an object beyond 2^63");

  Result<ByteSpan> judged = check_answer(object, head, asked, kUrl);
  if (!judged) {
    check_error(judged.error());
    return;
  }
  // What passes as data must say that it is what was asked for, of this object.
  expect(head.status == 206, "data with another status");
  expect(judged.value().first == asked.first, "data from another place");
  expect(judged.value().last >= asked.first && judged.value().last < object.size, "data beyond the end");
  const auto &range = head.content_range;
  expect(range && range->first == judged.value().first && range->last == judged.value().last,
         "data that the server does not vouch for");
  expect(!range->total || *range->total == object.size, "data of another size of object");
  expect(object.validator.etag.empty() || head.etag.empty() || object.validator.etag == head.etag,
         "data of another version");
  expect(!head.is_encoded() && !head.is_transfer_coded() && !head.is_multipart_byteranges(),
         "data that is encoded");
  expect(!head.content_length || *head.content_length == judged.value().length(), "data of another length");
}

void config(std::string_view bytes) {
  // Not names of files that are there: what they hold is no part of the input.
  ConfigDraft draft;
  while (!bytes.empty()) {
    std::string line(take_line(bytes));
    while (!line.empty() && (line.back() == '\n' || line.back() == '\0'))
      line.pop_back();
    size_t equals = line.find('=');
    if (equals == line.npos)
      continue;
    std::string key = line.substr(0, equals), value = line.substr(equals + 1);
    // nbdkit gives C strings; +FILE, -FD and - would read what is not the input.
    if (value.find('\0') != value.npos || value.starts_with('+') || value.starts_with('-'))
      continue;
    if (Result<void> set = config_set(draft, key, value.c_str()); !set) {
      check_error(set.error());
      if (key == "password" && value.size() >= 8)
        expect(set.error().what.find(value) == std::string::npos, "a password in a message");
      return; // and so would nbdkit
    }
  }
  Result<Config> finished = config_finish(std::move(draft), uint64_t{8} << 30);
  nbdkit_stubs::take_errors();
  nbdkit_stubs::take_debug();
  if (!finished) {
    check_error(finished.error());
    return;
  }
  const Config &made = finished.value();
  expect(made.url.starts_with("http://") || made.url.starts_with("https://"), "another scheme");
  expect(made.offset <= kMost && made.size.value_or(0) <= kMost, "an offset or size beyond 2^63");
  expect(made.blocksize >= kMinBlockSize && made.blocksize <= kMaxBlockSize &&
             (made.blocksize & (made.blocksize - 1)) == 0,
         "a blocksize that is none");
  expect(made.cache_blocks >= kMinCacheBlocks, "a cache too small to read from");
  expect(made.connections >= 1 && made.connections <= kMaxConnections, "no connections");
}

void url(std::string_view bytes) {
  Result<Url> parsed = parse_url(bytes);
  if (parsed) {
    const Url &u = parsed.value();
    expect(u.scheme == "http" || u.scheme == "https", "another scheme");
    expect(!u.host.empty(), "no host");
    // A host name in Unicode is left to libcurl.
    std::string_view path = std::string_view(u.request).substr(u.request.find('/', u.scheme.size() + 3));
    expect(std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < 0x7f; }),
           "a request that is not percent-encoded");
    expect(same_origin(u.request, u.request), "an origin that is not its own");
    Result<Url> again = parse_url(u.request);
    expect(again && again.value().request == u.request, "encoded twice");
    expect(redact_url(u.request).find('?') == std::string::npos ||
               redact_url(u.request).ends_with("?..."),
           "a query is shown");
  } else {
    check_error(parsed.error());
  }
  expect(is_plain(redact_url(bytes)), "control characters in a URL that is shown");
  expect(is_plain(redact_text(bytes)), "control characters in a text that is shown");
  expect(is_plain(redact_header_line(bytes)), "control characters in a header that is shown");
  // A secret stays one wherever it stands.
  register_secret("s3cret-word");
  std::string around = std::string(bytes) + "s3cret-word" + std::string(bytes);
  for (const std::string &shown : {redact_text(around), redact_header_line(around)})
    expect(shown.find("s3cret-word") == std::string::npos, "a secret is shown");
}

void broken(const char *what) {
  fprintf(stderr, "what must hold does not: %s\n", what);
  abort();
}

} // namespace httpcache::fuzz
