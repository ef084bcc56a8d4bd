// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-url.cc - URLs as people write them, and what becomes of them.
#include "url.h"

#include "catch.h"

using namespace httpcache;

namespace {

std::string request_of(std::string_view text) {
  Result<Url> url = parse_url(text);
  INFO(text);
  REQUIRE(url.ok());
  return url.value().request;
}

std::string error_of(std::string_view text) {
  Result<Url> url = parse_url(text);
  INFO(text);
  REQUIRE_FALSE(url.ok());
  CHECK(url.error().kind == ErrorKind::Permanent);
  CHECK(url.error().err == EINVAL);
  return url.error().what;
}

bool has(const std::string &text, std::string_view part) {
  return text.find(part) != text.npos;
}

} // namespace

TEST_CASE("a URL is encoded for the request", "[url]") {
  const struct {
    std::string_view given;
    std::string_view request;
  } cases[] = {
      {"http://host/disk", "http://host/disk"},
      {"https://host:8443/a/b.img", "https://host:8443/a/b.img"},
      {"HTTPS://host/disk", "https://host/disk"},
      {"http://host", "http://host/"},
      {"http://host?a=b", "http://host/?a=b"},
      {"http://[::1]:8080/disk", "http://[::1]:8080/disk"},
      {"http://host/my disk.img", "http://host/my%20disk.img"},
      {" http://host/disk\r\n", "http://host/disk"},
      {"\thttp://host/my disk.img ", "http://host/my%20disk.img"},
      {"http://host/gr\xc3\xbc\xc3\x9f.img", "http://host/gr%C3%BC%C3%9F.img"},
      {"http://host/\xff", "http://host/%FF"},
      {"http://host/a%20b%2Fc%c3", "http://host/a%20b%2Fc%c3"},
      {"http://host/100%", "http://host/100%25"},
      {"http://host/100%.img", "http://host/100%25.img"},
      {"http://host/%4", "http://host/%254"},
      {"http://host/%4g", "http://host/%254g"},
      {"http://host/%%41", "http://host/%25%41"},
      {"http://host/\"<>\\^`{|}", "http://host/%22%3C%3E%5C%5E%60%7B%7C%7D"},
      {"http://host/a;b,c:d@e!$&'()*+=~", "http://host/a;b,c:d@e!$&'()*+=~"},
      {"http://host/d?a=1&b[]=2 3&c=%2B+",
       "http://host/d?a=1&b[]=2%203&c=%2B+"},
      {"http://host/d?url=http://x/y?z", "http://host/d?url=http://x/y?z"},
      {"http://host/d#part", "http://host/d"},
      {"http://host/d?q#part?no", "http://host/d?q"},
      {"http://user:pass@host/d", "http://host/d"},
      {"http://user@host:80/d", "http://host:80/d"},
  };
  for (const auto &c : cases) {
    INFO(c.given);
    CHECK(request_of(c.given) == c.request);
    // Encoding again changes nothing.
    CHECK(request_of(c.request) == c.request);
  }
}

TEST_CASE("the parts of a URL", "[url]") {
  Url url =
      parse_url("HTTPS://ann:p%40s%2Fs@Host.example:8443/a b?x=1 2#f").value();
  CHECK(url.scheme == "https");
  CHECK(url.host == "Host.example");
  CHECK(url.query == "x=1%202");
  CHECK(url.user == "ann");
  CHECK(url.password == "p@s/s");

  url = parse_url("http://[::1]/").value();
  CHECK(url.host == "[::1]");
  CHECK(url.query.empty());
  CHECK(url.user.empty());
  CHECK(url.password.empty());
}

TEST_CASE("only http and https", "[url]") {
  for (std::string_view text : {"ftp://host/x", "file:///etc/passwd",
                                "nbd://host", "httpx://host", "h://x"})
    CHECK(has(error_of(text), "only http:// and https:// URLs"));
  for (std::string_view text :
       {"disk.img", "/path/disk.img", "host/disk.img", "host:80/disk.img",
        "www.example.com", "http:host", "http:/host/x", "://host"})
    CHECK(has(error_of(text), "must begin with http:// or https://"));
}

TEST_CASE("malformed URLs are named", "[url]") {
  CHECK(has(error_of(""), "empty"));
  CHECK(has(error_of(" \n"), "empty"));
  CHECK(has(error_of("http://"), "no host"));
  CHECK(has(error_of("http:///disk"), "no host"));
  CHECK(has(error_of("http://?x"), "no host"));
  CHECK(has(error_of("http://host:99999/"), "malformed: "));
  CHECK(has(error_of("http://host:x/"), "malformed: "));
  CHECK(has(error_of("http://host:0/"), "port 0"));
  CHECK(has(error_of("http://[::1/"), "malformed: "));
  CHECK(has(error_of("http://a b/disk"), "malformed: "));
  CHECK(has(error_of("http://host/a\nb"), "control characters"));
  CHECK(has(error_of("http://host/a\x7f"), "control characters"));
  CHECK(has(error_of(std::string_view("http://host/\0", 13)),
            "control characters"));
}

TEST_CASE("errors show no secrets, and help with passwords", "[url]") {
  for (std::string_view text :
       {"ftp://ann:SECRET@host/x?sig=SECRET", "http://ann:SEC/SECRET@host/x",
        "http://ann:x@SECRET@host:bad/x", "http:/ann:SECRET@host",
        "http://ann:SECRET%0a@host/", "http://ann:SECRET@host:0/?SECRET",
        "http://ann:SECRET@ho st/#SECRET"})
    CHECK_FALSE(has(error_of(text), "SECRET"));
  CHECK(has(error_of("http://ann:pa/ss@host/x"), "'/' as %2F"));
  CHECK(has(error_of("http://ann:p@ss@host/x"), "'@' as %40"));
  CHECK_FALSE(has(error_of("http://ann:pass@host:x/y"), "%2F"));
}

TEST_CASE("encoding leaves the host alone", "[url]") {
  CHECK(percent_encode_url("http://h\xc3\xb6st/\xc3\xb6") ==
        "http://h\xc3\xb6st/%C3%B6");
  CHECK(percent_encode_url("http://host") == "http://host");
  CHECK(percent_encode_url("") == "");
  CHECK(percent_encode_url("a b/c d") == "a b/c%20d");
}

TEST_CASE("an origin is scheme, host and port") {
  REQUIRE(same_origin("http://h/a", "http://h/b?c"));
  REQUIRE(same_origin("http://h:80/a", "HTTP://H/"));
  REQUIRE(same_origin("https://h/a", "https://h:443/a"));
  REQUIRE_FALSE(same_origin("http://h/a", "https://h/a"));
  REQUIRE_FALSE(same_origin("http://h/a", "http://h:8080/a"));
  REQUIRE_FALSE(same_origin("http://h:8443/a", "https://h:8443/a"));
  REQUIRE_FALSE(same_origin("http://h/a", "http://h.evil/a"));
  REQUIRE_FALSE(same_origin("http://h/a", "http://evil/http://h/a"));
  REQUIRE_FALSE(same_origin("http://h@evil/a", "http://h/a"));
  REQUIRE(same_origin("http://[fe80::1%25eth0]/a", "http://[fe80::1%25eth0]:80/"));
  REQUIRE_FALSE(same_origin("http://[fe80::1%25eth0]/a", "http://[fe80::1%25eth1]/a"));
  REQUIRE_FALSE(same_origin("http://[fe80::1%25eth0]/a", "http://[fe80::1]/a"));
  REQUIRE_FALSE(same_origin("", ""));
  REQUIRE_FALSE(same_origin("nonsense", "nonsense"));
}

TEST_CASE("where a redirect leads", "[url]") {
  const struct {
    std::string_view reference;
    std::string_view url;
  } cases[] = {
      {"http://other/x?y#z", "http://other/x?y"},
      {"HTTPS://Other:8443/x", "https://Other:8443/x"},
      {"/x?y", "https://host:99/x?y"},
      {"x", "https://host:99/a/x"},
      {"../x", "https://host:99/x"},
      {"?y", "https://host:99/a/b?y"},
      {"//other/x", "https://other/x"},
      {"/a b/\xc3\xa9%20", "https://host:99/a%20b/%c3%a9%20"},
      {"http://other/a b/\xc3\xa9?c d", "http://other/a%20b/%c3%a9?c+d"},
      {"ftp://other/x", "ftp://other/x"},
      {"gopher://other/x", "gopher://other/x"},
      {"http://[bad", ""},
      {"http://", ""},
  };
  for (const auto &c : cases) {
    INFO(c.reference);
    CHECK(resolve_reference("https://host:99/a/b?c#d", c.reference) == c.url);
  }
  CHECK(resolve_reference("no URL", "/x").empty());
}

TEST_CASE("the host of a URL", "[url]") {
  CHECK(host_of("https://Example.COM:8443/x?y") == "example.com");
  CHECK(host_of("http://[::1]:80/") == "::1");
  CHECK(host_of("http://127.0.0.1") == "127.0.0.1");
  CHECK(host_of("nonsense://") == "");
}

TEST_CASE("url: what the Host header says") {
  CHECK(authority_of("https://Example.COM:8443/x?y") == "Example.COM:8443");
  CHECK(authority_of("http://example.com:80/") == "example.com");
  CHECK(authority_of("https://example.com:80/") == "example.com:80");
  CHECK(authority_of("http://me:secret@[::1]:81/") == "[::1]:81");
  CHECK(authority_of("nonsense://") == "");
}

TEST_CASE("a URL to be signed is in one form", "[url]") {
  const struct {
    const char *given, *canonical;
  } cases[] = {
      {"https://h/a/b.img", "https://h/a/b.img"},
      {"https://h", "https://h"},
      {"https://h?a=b", "https://h/?a=b"},
      {"https://h/a+b(1)~c,d=e@f", "https://h/a%2Bb%281%29~c%2Cd%3De%40f"},
      {"https://h/a%2fb%7ec%20d", "https://h/a%2Fb~c%20d"},
      {"https://h/x?versionId=q1", "https://h/x?versionId=q1"},
      {"https://h/x?b=2&a=1&&acl&a=0", "https://h/x?a=0&a=1&acl=&b=2"},
      {"https://h/x?k=a/b+c%3d", "https://h/x?k=a%2Fb%2Bc%3D"},
      {"https://h/x?", "https://h/x"},
      {"https://h/100%", "https://h/100%25"},
  };
  for (const auto &c : cases) {
    INFO(c.given);
    CHECK(canonical_for_signing(c.given) == c.canonical);
    CHECK(canonical_for_signing(c.canonical) == c.canonical);
  }
}
