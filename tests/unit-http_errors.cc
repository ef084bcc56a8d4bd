// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "http_errors.h"

#include <curl/curl.h>

#include "catch.h"

using namespace httpcache;

namespace {
bool has(const Error &error, const char *text) {
  return error.what.find(text) != std::string::npos;
}
} // namespace

TEST_CASE("what may go away by itself is transient", "[http_errors]") {
  for (CURLcode code :
       {CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT,
        CURLE_PARTIAL_FILE, CURLE_OPERATION_TIMEDOUT, CURLE_GOT_NOTHING, CURLE_SEND_ERROR,
        CURLE_RECV_ERROR, CURLE_SSL_CONNECT_ERROR, CURLE_HTTP2, CURLE_HTTP2_STREAM,
        CURLE_WEIRD_SERVER_REPLY}) {
    CAPTURE(code);
    CHECK(error_from_curl(code, "", "GET u").kind == ErrorKind::Transient);
  }
}

TEST_CASE("bytes behind an answer are no answer, which may pass", "[http_errors]") {
  CHECK(error_from_curl(CURLE_UNSUPPORTED_PROTOCOL, "Received HTTP/0.9 when not allowed", "GET u").kind ==
        ErrorKind::Transient);
}

TEST_CASE("no socket is not the server's fault", "[http_errors]") {
  Error e = error_from_curl(CURLE_COULDNT_CONNECT, "Couldn't connect to server", "GET u", {.socket_error = EMFILE});
  CHECK(e.kind == ErrorKind::Transient);
  CHECK(has(e, "GET u: no socket: Too many open files; nbdkit may open no more files"));
  CHECK_FALSE(has(e, "check that the server runs"));
  // IPv6 that this system has not says nothing of IPv4, which could not be connected to.
  e = error_from_curl(CURLE_COULDNT_CONNECT, "", "GET u", {.socket_error = EAFNOSUPPORT});
  CHECK(has(e, "check that the server runs"));
}

TEST_CASE("what will not is told at once", "[http_errors]") {
  for (CURLcode code : {CURLE_PEER_FAILED_VERIFICATION, CURLE_TOO_MANY_REDIRECTS,
                        CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT, CURLE_SSL_CERTPROBLEM,
                        CURLE_LOGIN_DENIED}) {
    CAPTURE(code);
    CHECK(error_from_curl(code, "", "GET u").kind == ErrorKind::Permanent);
  }
}

TEST_CASE("this machine's troubles are its own", "[http_errors]") {
  CHECK(error_from_curl(CURLE_OUT_OF_MEMORY, "", "GET u").kind == ErrorKind::LocalIo);
  CHECK(error_from_curl(CURLE_OUT_OF_MEMORY, "", "GET u").err == ENOMEM);
  CHECK(error_from_curl(CURLE_RECV_ERROR, "", "GET u").err == EIO);
}

TEST_CASE("the text has the request, curl's words, its detail, and what to do", "[http_errors]") {
  Error e = error_from_curl(CURLE_COULDNT_CONNECT, "Failed to connect to h port 1", "GET http://h/x bytes 0-9");
  CHECK(has(e, "GET http://h/x bytes 0-9: "));
  CHECK(has(e, curl_easy_strerror(CURLE_COULDNT_CONNECT)));
  CHECK(has(e, "Failed to connect to h port 1"));
  CHECK(has(e, "port in the URL"));
  CHECK(has(error_from_curl(CURLE_COULDNT_CONNECT, "", "GET u", {.unix_socket = "/run/s"}), "unix-socket-path=/run/s"));
  CHECK(has(error_from_curl(CURLE_PEER_FAILED_VERIFICATION, "unable to get local issuer", "GET u"), "cainfo="));
  CHECK(has(error_from_curl(CURLE_HTTP2, "", "GET u", {.only_http2 = true}), "2-prior-knowledge"));
  CHECK_FALSE(has(error_from_curl(CURLE_HTTP2, "", "GET u"), "http-version"));
  CHECK_FALSE(has(error_from_curl(CURLE_PEER_FAILED_VERIFICATION,
                                  "SSL: no alternative certificate subject name matches target "
                                  "host name 'h'",
                                  "GET u"),
                  "sslverify"));
}

TEST_CASE("TLS to a port that does not speak it", "[http_errors]") {
  for (const char *words : {"error:0A00010B:SSL routines::wrong version number",
                            "gnutls_handshake() failed: An unexpected TLS packet was received."}) {
    Error e = error_from_curl(CURLE_SSL_CONNECT_ERROR, words, "GET u");
    CHECK(e.kind == ErrorKind::Permanent);
    CHECK(has(e, "http://?"));
  }
  CHECK_FALSE(has(error_from_curl(CURLE_SSL_CONNECT_ERROR, "unexpected eof", "GET u"), "http://"));
}

TEST_CASE("of a Unix socket the host and port are not named", "[http_errors]") {
  Error e = error_from_curl(CURLE_COULDNT_CONNECT, "Failed to connect to h port 1", "GET u",
                            {.unix_socket = "/run/s"});
  CHECK_FALSE(has(e, "port 1"));
}

TEST_CASE("curl's words show no secret and stay one line", "[http_errors]") {
  Error e = error_from_curl(CURLE_TOO_MANY_REDIRECTS,
                            "at https://ann:SECRET@h/x?sig=SECRET\r\nmore", "GET u");
  CHECK_FALSE(has(e, "SECRET"));
  CHECK_FALSE(has(e, "\n"));
}

TEST_CASE("curl's detail is not told twice", "[http_errors]") {
  std::string words = curl_easy_strerror(CURLE_RECV_ERROR);
  CHECK(error_from_curl(CURLE_RECV_ERROR, words, "GET u").what == "GET u: " + words);
}

TEST_CASE("of a certificate it is told what is wrong, and what mends it", "[http_errors]") {
  const struct {
    const char *detail, *advice;
  } cases[] = {
      {"SSL certificate problem: certificate has expired", "must be renewed"},
      {"SSL certificate problem: certificate is not yet valid", "clock"},
      {"SSL certificate problem: self-signed certificate", "signed by itself"},
      {"SSL certificate problem: self signed certificate in certificate chain", "private CA"},
      {"SSL certificate problem: unable to get local issuer certificate", "private CA"},
      {"server certificate verification failed. CAfile: none CRLfile: none", "private CA"},
  };
  AskedHow behind;
  behind.via.proxy = "https://p:1";
  behind.via.is_https = true;
  for (const auto &c : cases) {
    INFO(c.detail);
    Error e = error_from_curl(CURLE_PEER_FAILED_VERIFICATION, c.detail, "GET u");
    INFO(e.what);
    CHECK(e.kind == ErrorKind::Permanent);
    CHECK(has(e, c.advice));
    CHECK(has(e, "sslverify=false"));
    // Of the proxy's, before there is a tunnel; of the server's, after.
    e = error_from_curl(CURLE_PEER_FAILED_VERIFICATION, c.detail, "GET u", behind);
    CHECK(has(e, "GET u: the proxy https://p:1: "));
    CHECK_FALSE(has(e, "sslverify"));
    AskedHow through = behind;
    through.connect_status = 200;
    e = error_from_curl(CURLE_PEER_FAILED_VERIFICATION, c.detail, "GET u", through);
    CHECK(has(e, "GET u through the proxy https://p:1: "));
    CHECK(has(e, "sslverify=false"));
  }
  CHECK(has(error_from_curl(CURLE_PEER_FAILED_VERIFICATION, "unable to get issuer", "GET u", behind),
            "proxy-cainfo=FILE"));
}

TEST_CASE("TLS within TLS that fails is told by guess", "[http_errors]") {
  AskedHow how;
  how.via.proxy = "https://p:1";
  how.via.is_https = true;
  how.connect_status = 200;
  Error e = error_from_curl(CURLE_SSL_CONNECT_ERROR, "SSL_ERROR_SYSCALL", "GET u", how);
  CHECK(has(e, "cainfo=FILE"));
  how.connect_status = 0;
  CHECK_FALSE(has(error_from_curl(CURLE_SSL_CONNECT_ERROR, "x", "GET u", how), "cainfo=FILE"));
}

TEST_CASE("what the server says of the client's certificate", "[http_errors]") {
  const struct {
    CURLcode code;
    const char *detail, *without, *with;
  } cases[] = {
      {CURLE_RECV_ERROR, "OpenSSL SSL_read: error:0A00045C:SSL routines::tlsv13 alert certificate required, errno 0",
       "give sslcert= and sslkey=", "does not accept the certificate of sslcert="},
      {CURLE_RECV_ERROR, "OpenSSL SSL_read: error:0A000418:SSL routines::tlsv1 alert unknown ca, errno 0",
       "give sslcert=", "does not accept"},
      {CURLE_PEER_FAILED_VERIFICATION, "SSL certificate verification failed", "give sslcert=", "has it not expired?"},
      {CURLE_SSL_CONNECT_ERROR, "error:0A000410:SSL routines::sslv3 alert handshake failure",
       "it may want a certificate of the client (sslcert=", "it may not accept the certificate"},
      {CURLE_SSL_CONNECT_ERROR, "error:0A00042E:SSL routines::tlsv1 alert protocol version", "ssl-version=",
       "ssl-version="},
      {CURLE_SSL_CERTPROBLEM, "unable to set private key file: 'k' type PEM", "sslkey-password=", "sslkey-password="},
      {CURLE_SSL_CIPHER, "failed setting cipher list: x", "ssl-cipher-list=", "tls13-ciphers="},
  };
  for (const auto &c : cases) {
    INFO(c.detail);
    Error e = error_from_curl(c.code, c.detail, "GET u");
    INFO(e.what);
    CHECK(e.kind == ErrorKind::Permanent);
    CHECK(has(e, c.without));
    CHECK(has(error_from_curl(c.code, c.detail, "GET u", {.certificate = true}), c.with));
  }
  CHECK(error_from_curl(CURLE_RECV_ERROR, "Recv failure: Connection reset by peer", "GET u").kind ==
        ErrorKind::Transient);
}

TEST_CASE("a proxy's failure names the proxy", "[http_errors]") {
  AskedHow how;
  how.via.proxy = "http://p.example:3128";
  CHECK(has(error_from_curl(CURLE_COULDNT_RESOLVE_PROXY, "Could not resolve proxy: p.example", "GET u", how),
            "the proxy http://p.example:3128: "));
  Error e = error_from_curl(CURLE_COULDNT_CONNECT, "Failed to connect to p.example port 3128 after 0 ms", "GET u", how);
  CHECK(e.kind == ErrorKind::Transient);
  CHECK(has(e, "the proxy http://p.example:3128: "));
  CHECK(has(e, "port in proxy="));
  // no_proxy sent it straight to the host.
  e = error_from_curl(CURLE_COULDNT_CONNECT, "Failed to connect to h port 80 after 0 ms", "GET u", how);
  CHECK_FALSE(has(e, "p.example"));
  CHECK(has(e, "port in the URL"));
  how.via.from_environment = true;
  CHECK(has(error_from_curl(CURLE_COULDNT_RESOLVE_PROXY, "", "GET u", how), "http_proxy, https_proxy or all_proxy in the environment"));

  const struct {
    long status;
    ErrorKind kind;
    const char *told;
  } cases[] = {
      {407, ErrorKind::Permanent, "GET u: the proxy http://p.example:3128 answered 407 to CONNECT; give a user name and a password"},
      {401, ErrorKind::Permanent, "answered 401 to CONNECT; give a user name and a password"},
      {403, ErrorKind::Permanent, "answered 403 to CONNECT; it does not want to connect"},
      {502, ErrorKind::Transient, "answered 502 to CONNECT"},
      {429, ErrorKind::Transient, "answered 429 to CONNECT"},
  };
  for (const auto &c : cases) {
    how.connect_status = c.status;
    e = error_from_curl(CURLE_RECV_ERROR, "CONNECT tunnel failed", "GET u", how);
    INFO(e.what);
    CHECK(e.kind == c.kind);
    CHECK(has(e, c.told));
  }
  how.connect_status = 200;
  e = error_from_curl(CURLE_RECV_ERROR, "reset", "GET u", how);
  CHECK(has(e, "GET u through the proxy http://p.example:3128: "));
  CHECK(e.kind == ErrorKind::Transient);
}

TEST_CASE("a SOCKS proxy that cannot get through may later", "[http_errors]") {
  AskedHow how;
  how.via.proxy = "socks5://p.example:1080";
  how.via.is_socks = true;
  for (const char *detail : {"Can't complete SOCKS5 connection to h. (1)", "Can't complete SOCKS5 connection to h. (4)",
                             "Can't complete SOCKS5 connection to h. (5)",
                             "Can't complete SOCKS4 connection to 1.2.3.4:80. (91), request rejected or failed."}) {
    Error e = error_from_curl(CURLE_PROXY, detail, "GET u", how);
    INFO(e.what);
    CHECK(e.kind == ErrorKind::Transient);
    CHECK(has(e, "it could not connect to that host"));
  }
  for (const char *detail : {"Can't complete SOCKS5 connection to h. (2)", "User was rejected by the SOCKS5 server (5 1)."}) {
    Error e = error_from_curl(CURLE_PROXY, detail, "GET u", how);
    CHECK(e.kind == ErrorKind::Permanent);
    CHECK(has(e, "proxy-user="));
  }
}

TEST_CASE("what is no proxy in the environment is named", "[http_errors]") {
  for (CURLcode code : {CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_PROXY}) {
    Error e = error_from_curl(code, "Unsupported proxy scheme for 'x://p'", "GET u");
    CHECK(e.kind == ErrorKind::Permanent);
    CHECK(has(e, "http_proxy, https_proxy and all_proxy in the environment"));
  }
}
