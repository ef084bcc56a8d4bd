// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-redact.cc - secrets in URLs, header lines and texts do not show.
//
// Registered secrets stay registered for the whole program, so each test has
// secrets that no other test mentions.
#include "redact.h"

#include <random>

#include "catch.h"

using namespace httpcache;

namespace {

struct Case {
  std::string_view given;
  std::string_view shown;
};

bool has(const std::string &text, std::string_view part) {
  return text.find(part) != text.npos;
}

} // namespace

TEST_CASE("a URL is shown without user info, query and fragment", "[redact]") {
  const Case cases[] = {
      {"https://host/disk.qcow2", "https://host/disk.qcow2"},
      {"https://host:8443/a/b", "https://host:8443/a/b"},
      {"https://user:pass@host/disk", "https://host/disk"},
      {"https://user@host:80/disk", "https://host:80/disk"},
      {"https://u:p@ss@host/disk", "https://host/disk"},
      {"https://host/disk?sig=abc", "https://host/disk?..."},
      {"https://host/disk#frag", "https://host/disk?..."},
      {"https://host?sig=abc", "https://host?..."},
      {"https://host/a?b#c?d", "https://host/a?..."},
      {"https://u:p@host/d?x=http://v:w@k/", "https://host/d?..."},
      {"http://[::1]:8080/disk", "http://[::1]:8080/disk"},
      {"http://u:p@[fe80::1%25eth0]:80/d", "http://[fe80::1%25eth0]:80/d"},
      // An '@' in a path is no user info...
      {"https://host/img@2/x", "https://host/img@2/x"},
      {"https://host:80/img@2/x", "https://host:80/img@2/x"},
      {"http://[::1]/img@2", "http://[::1]/img@2"},
      // ... unless what stands before can be no host.
      {"https://user:pa/ss@host/disk", "https://host/disk"},
      {"http://[::1/u:p@host/", "http://host/"},
      // A raw '?' or '#' in a password, and none.
      {"https://user:pa#ss@host/disk", "https://?..."},
      {"https://user:pa?ss@host/disk", "https://?..."},
      {"https://user:p/a#ss@host/disk", "https://?..."},
      {"user:pa#ss@host:80", "?..."},
      {"//user:pa#ss@host/disk", "?..."},
      {"https://host:80/disk?mail=a@b", "https://host:80/disk?..."},
      {"https://host?mail=a@b", "https://host?..."},
      {"/disk:1?mail=a@b", "/disk:1?..."},
      // Relative.
      {"/path/disk?sig=abc", "/path/disk?..."},
      {"//u:p@host/disk?sig=abc", "host/disk?..."},
      {"//host/disk", "//host/disk"},
      {"/img@2/disk", "/img@2/disk"},
      {"/u:p@host/disk", "host/disk"},
      {"disk?sig=abc", "disk?..."},
      {"?sig=abc", "?..."},
      // Garbage.
      {"", ""},
      {"   ", ""},
      {"@", ""},
      {"u:p@", ""},
      {"http:/u:p@host/x", "host/x"},
      {"http:u:p@host", "host"},
      {"://u:p@host/x", "host/x"},
      {"1http://u:p@host/x", "host/x"},
      {"http://", "http://"},
      {"http://@", "http://"},
      {"http://u:p@", "http://"},
      {" https://u:p@host/x\r\n", "https://host/x"},
      {"https://host/a\nb\x1b[0m", "https://host/a\\nb\\x1b[0m"},
  };
  for (const Case &c : cases) {
    INFO(c.given);
    CHECK(redact_url(c.given) == c.shown);
  }
}

TEST_CASE("no cut of a URL shows its secrets", "[redact]") {
  const std::string url = "https://alice:SECRET@host/disk?sig=SECRET#SECRET";
  for (size_t begin = 0; begin < url.find('@'); begin++) {
    std::string shown = redact_url(std::string_view(url).substr(begin));
    CHECK_FALSE(has(shown, "SECRET"));
    CHECK_FALSE(has(shown, "alice"));
  }
  for (size_t end = url.find('@') + 1; end <= url.size(); end++)
    CHECK_FALSE(
        has(redact_url(std::string_view(url).substr(0, end)), "SECRET"));
}

TEST_CASE("any bytes can be redacted", "[redact]") {
  std::mt19937 random(1);
  const std::string_view alphabet = "a:/@?#[]% \"'\n\x80\xff.http=";
  for (int i = 0; i < 20000; i++) {
    std::string text;
    for (size_t n = random() % 24; n > 0; n--)
      text += alphabet[random() % alphabet.size()];
    std::string url = redact_url(text);
    CHECK_FALSE(has(url, "\n"));
    CHECK(url.find('#') == url.npos);
    size_t query = url.find('?');
    CHECK((query == url.npos || url.substr(query) == "?..."));
    redact_text(text);
    redact_header_line(text);
  }
}

TEST_CASE("URLs within a text are redacted, the rest stays", "[redact]") {
  const Case cases[] = {
      {"Could not resolve host: example.com",
       "Could not resolve host: example.com"},
      {"Issue another request to this URL: 'https://u:p@host/d?sig=1'",
       "Issue another request to this URL: 'https://host/d?...'"},
      {"from http://a/?x to https://b:c@d/e, done",
       "from http://a/?... to https://d/e, done"},
      {"url=https://u:p@host/d?s", "url=https://host/d?..."},
      {"(see <http://u@h/?q>)", "(see <http://h/?...>)"},
      {"HTTP 401 for /disk?token=1", "HTTP 401 for /disk?..."},
      {"really? yes", "really? yes"},
      {"a\tb", "a\\tb"},
      {"", ""},
      // curl's way of showing the header fields of HTTP/2.
      {"h2h3 [:path: /disk?sig=1]", "h2h3 [:path: /disk?...]"},
      {"[HTTP/2] [1] [authorization: Basic dTpw]",
       "[HTTP/2] [1] [authorization: ***]"},
      {"[HTTP/2] [1] [cookie: a=[1]; b=2]", "[HTTP/2] [1] [cookie: ***]"},
      {"[HTTP/2] [1] [:authority: host]", "[HTTP/2] [1] [:authority: host]"},
      {"[HTTP/2] [1] OPENED stream for https://h/d?sig=1",
       "[HTTP/2] [1] OPENED stream for https://h/d?..."},
      {"Connected to ::1 ([::1]) port 80 (#0)",
       "Connected to ::1 ([::1]) port 80 (#0)"},
  };
  for (const Case &c : cases) {
    INFO(c.given);
    CHECK(redact_text(c.given) == c.shown);
  }
}

TEST_CASE("header lines keep names and lose secrets", "[redact]") {
  const Case cases[] = {
      {"GET /disk?sig=1 HTTP/1.1\r\n", "GET /disk?... HTTP/1.1"},
      {"GET /disk HTTP/1.1", "GET /disk HTTP/1.1"},
      {"GET http://u:p@h/disk?s HTTP/1.1", "GET http://h/disk?... HTTP/1.1"},
      {"GET /a b?c HTTP/1.1", "GET /a b?... HTTP/1.1"},
      {"GET /a?b HTTP/9 HTTP/1.1", "GET /a?... HTTP/1.1"},
      {"GET /disk?sig=1", "GET /disk?..."},
      {"CONNECT host:443 HTTP/1.1", "CONNECT host:443 HTTP/1.1"},
      {"HTTP/1.1 206 Partial Content\r\n", "HTTP/1.1 206 Partial Content"},
      {"Host: host:80", "Host: host:80"},
      {"Range: bytes=0-1", "Range: bytes=0-1"},
      {"Authorization: Basic dTpw", "Authorization: ***"},
      {"AUTHORIZATION:Bearer x", "AUTHORIZATION: ***"},
      {"authorization : Bearer x", "authorization : ***"},
      {"Proxy-Authorization: Basic dTpw", "Proxy-Authorization: ***"},
      {"Cookie: a=b", "Cookie: ***"},
      {"Set-Cookie: a=b; Path=/", "Set-Cookie: ***"},
      {" c=d; Path=/\r\n", " ***"}, // folded
      {"\tx", " ***"},
      {"X-Auth-Token: x", "X-Auth-Token: ***"},
      {"X-Amz-Security-Token: x", "X-Amz-Security-Token: ***"},
      {"PRIVATE-TOKEN: x", "PRIVATE-TOKEN: ***"},
      {"X-Api-Key: x", "X-Api-Key: ***"},
      {"Location: https://h/d?sig=1", "Location: https://h/d?..."},
      {"Location: /d?sig=1", "Location: /d?..."},
      {"location: d?sig=1", "location: d?..."},
      {"location: //u:p@h/d", "location: h/d"},
      {"Content-Location: /d?sig=1", "Content-Location: /d?..."},
      {"Link: </d?sig=1>; rel=x", "Link: </d?..."},
      {"X-Origin: https://u:p@h/d?sig=1 x", "X-Origin: https://h/d?... x"},
      {"ETag: \"5-6\"", "ETag: \"5-6\""},
      {"WWW-Authenticate: Basic realm=\"x\"",
       "WWW-Authenticate: Basic realm=\"x\""},
      {":path: /d?sig=1", ":path: /d?..."},
      {"Empty:", "Empty:"},
      {"no colon at all", "no colon at all"},
      {"", ""},
      {"\r\n", ""},
      {"a: b\x01\r\n", "a: b"},
      {"a: b\x01z\r\n", "a: b\\x01z"},
  };
  for (const Case &c : cases) {
    INFO(c.given);
    CHECK(redact_header_line(c.given) == c.shown);
  }
}

TEST_CASE("a registered secret shows nowhere", "[redact]") {
  register_secret("hunter2-redact");
  CHECK(redact_text("password hunter2-redact, hunter2-redact") ==
        "password ***, ***");
  CHECK(redact_header_line("X-Echo: <hunter2-redact>") == "X-Echo: <***>");
  CHECK(redact_header_line("hunter2-redact") == "***");
  CHECK(redact_text("https://h/hunter2-redact/x") == "https://h/***/x");
}

TEST_CASE("of secrets within one another the longer goes first", "[redact]") {
  register_secret("inner-part");
  register_secret("whole-inner-part-whole");
  register_secret("whole-inner-part-whole");
  CHECK(redact_text("whole-inner-part-whole inner-part") == "*** ***");
}

TEST_CASE("short words are no secrets", "[redact]") {
  register_secret("");
  register_secret("abc");
  CHECK(redact_text("abc") == "abc");
}

TEST_CASE("a login is hidden as Basic sends it, for any padding", "[redact]") {
  register_login("ulla", "pw-one-1");   // 13 bytes: "=="
  register_login("ulla", "pw-two-22");  // 14 bytes: "="
  register_login("ulla", "pw-tri-333"); // 15 bytes: none
  CHECK(redact_text("x dWxsYTpwdy1vbmUtMQ== x") == "x *** x");
  CHECK(redact_text("x dWxsYTpwdy10d28tMjI= x") == "x *** x");
  CHECK(redact_text("x dWxsYTpwdy10cmktMzMz x") == "x *** x");
  CHECK(redact_text("pw-two-22") == "***");
  register_login("no-password-given", "");
  CHECK(redact_text("no-password-given") == "no-password-given");
}

TEST_CASE("a login in what is no URL is hidden", "[redact]") {
  register_user_info("http://anna:pass@word-4@host:99999");
  CHECK(redact_text("'anna:pass@word-4@host:99999'") == "'***@host:99999'");
  CHECK(redact_text("pass@word-4") == "***");
  register_user_info("token-without-name@");
  CHECK(redact_text("token-without-name") == "***");
  register_user_info("host:99999");
  CHECK(redact_text("host:99999") == "host:99999");
}

TEST_CASE("a query is hidden whole, and its long values", "[redact]") {
  register_query("X-Sig=0123456789abcdefREDACT&flag=true");
  CHECK(redact_text("X-Sig=0123456789abcdefREDACT&flag=true") == "***");
  CHECK(redact_text("got 0123456789abcdefREDACT") == "got ***");
  CHECK(redact_text("flag=true") == "flag=true");
  register_query("");
  register_query("&&==");
}

TEST_CASE("a header that the user gave is hidden", "[redact]") {
  CHECK_FALSE(is_secret_header("X-House"));
  register_header("X-House", " number-seventeen ");
  CHECK(is_secret_header("x-house"));
  CHECK(redact_header_line("x-HOUSE: number-seventeen") == "x-HOUSE: ***");
  CHECK(redact_text("[x-house: number-seventeen]") == "[x-house: ***]");

  register_header("Authorization", "Bearer eyJhbGciOi");
  CHECK(redact_text("got eyJhbGciOi, Bearer eyJhbGciOi") == "got ***, ***");
  register_header("X-Auth", "Token joe:s3cret");
  CHECK(redact_text("no joe:s3cret") == "no ***");
  register_header("Cookie", "a=1; session=deadbeef77");
  CHECK(redact_text("deadbeef77") == "***");
}

TEST_CASE("a passing secret is hidden while somebody holds it", "[redact]") {
  const std::string text = "x passing-one passing-two passing-for-good short";
  register_secret("passing-for-good");
  CHECK(redact_text(text) == "x passing-one passing-two *** short");
  {
    PassingSecrets first;
    first.add_header("X-Passing", " Bearer passing-one,passing-two;short ");
    first.add("passing-for-good");
    CHECK(redact_text(text) == "x *** *** *** short");
    CHECK(redact_header_line("X-Passing: abc") == "X-Passing: ***");
    PassingSecrets json;
    json.add(R"({"token":"passing-json","list":[1,"passing-list"]})");
    CHECK(redact_text("no passing-json, passing-list") == "no ***, ***");
    {
      PassingSecrets second;
      second.add("passing-two");
      PassingSecrets moved(std::move(second));
      CHECK(redact_text(text) == "x *** *** *** short");
    }
    CHECK(redact_text(text) == "x *** *** *** short");
  }
  CHECK(redact_text(text) == "x passing-one passing-two *** short");
  CHECK(is_secret_header("x-passing"));
}

TEST_CASE("control characters and broken UTF-8 are escaped", "[redact]") {
  const Case cases[] = {
      {"plain \\ text", "plain \\ text"},
      {std::string_view("a\0b", 3), "a\\x00b"},
      {"\t\r\n\x7f", "\\t\\r\\n\\x7f"},
      {"\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\xa7",
       "\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\xa7"},
      {"\xc3", "\\xc3"},                            // cut
      {"\xe2\x82", "\\xe2\\x82"},                   // cut
      {"\x80z", "\\x80z"},                          // begins nothing
      {"\xc0\xaf", "\\xc0\\xaf"},                   // overlong '/'
      {"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},          // overlong '/'
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          // surrogate
      {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, // beyond Unicode
      {"\xc2\x9b"
       "31m",
       "\\xc2\\x9b"
       "31m"}, // C1: starts an escape sequence
  };
  for (const Case &c : cases)
    CHECK(escape_controls(c.given) == c.shown);
}

TEST_CASE("curl tells of cookies without their values", "[redact]") {
  CHECK(redact_text("Added cookie id=\"CRUMB\" for domain host, path /, expire 0") ==
        "Added cookie id=\"***\" for domain host, path /, expire 0");
  CHECK(redact_text("Replaced cookie id=\"CR\"UMB\" for domain host, path /, expire 0") ==
        "Replaced cookie id=\"***\" for domain host, path /, expire 0");
  CHECK(redact_text("a cookie is=\"") == "a cookie is=\"");
}
