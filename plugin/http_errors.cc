// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "http_errors.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include "log.h"

namespace httpcache {

namespace {

// A TLS handshake was answered in clear: by OpenSSL's words and GnuTLS's.
bool is_no_tls(CURLcode code, std::string_view detail) {
  return code == CURLE_SSL_CONNECT_ERROR &&
         (detail.find("wrong version number") != detail.npos ||
          detail.find("unexpected TLS packet") != detail.npos);
}

ErrorKind kind_of(CURLcode code, std::string_view detail) {
  if (is_no_tls(code, detail))
    return ErrorKind::Permanent;
  switch (code) {
  case CURLE_COULDNT_RESOLVE_PROXY: // name servers fail for a while
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_CONNECT: // refused: restarting
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_PARTIAL_FILE:
  case CURLE_OPERATION_TIMEDOUT:
  case CURLE_SSL_CONNECT_ERROR: // also "cut during the handshake"
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR: // also "connection died, tried 5 times"
  case CURLE_RECV_ERROR:
  case CURLE_HTTP2:
  case CURLE_HTTP2_STREAM:
  case CURLE_HTTP3:
  case CURLE_QUIC_CONNECT_ERROR:
  case CURLE_AGAIN:
    return ErrorKind::Transient;
  case CURLE_OUT_OF_MEMORY:
  case CURLE_FAILED_INIT:
  case CURLE_READ_ERROR:
  case CURLE_WRITE_ERROR:
  case CURLE_SSL_CACERT_BADFILE:
    return ErrorKind::LocalIo;
  default: // certificates, protocols, redirects, credentials
    return ErrorKind::Permanent;
  }
}

std::string advice(CURLcode code, std::string_view detail, const AskedHow &how) {
  if (is_no_tls(code, detail))
    return "; the server does not speak TLS at that port: does the URL begin with http://?";
  switch (code) {
  case CURLE_PEER_FAILED_VERIFICATION:
    if (detail.find("does not match") != std::string_view::npos ||
        detail.find("no alternative certificate subject name") != std::string_view::npos)
      return "; the certificate is for another host: use the name it is for in url=";
    return "; if the server's certificate is of a private CA name it with "
           "cainfo=FILE, or, giving up all protection, use sslverify=false";
  case CURLE_SSL_CACERT_BADFILE:
    return "; check cainfo= and capath=";
  case CURLE_TOO_MANY_REDIRECTS:
    return "; is it a loop?";
  case CURLE_COULDNT_RESOLVE_HOST:
    return "; check the host name in url=";
  case CURLE_COULDNT_CONNECT:
    if (!how.unix_socket.empty())
      return fmt::format("; it was tried through unix-socket-path={}: check that a server listens "
                         "there",
                         escape_controls(how.unix_socket));
    return "; check that the server runs, and the port in url=";
  case CURLE_GOT_NOTHING:
  case CURLE_HTTP2:
  case CURLE_HTTP2_STREAM:
  case CURLE_SSL_CONNECT_ERROR: // by ALPN
  case CURLE_UNSUPPORTED_PROTOCOL:
  case CURLE_WEIRD_SERVER_REPLY:
    if (how.only_http2)
      return "; does the server speak HTTP/2? http-version=2-prior-knowledge is for those that do";
    return "";
  default:
    return "";
  }
}

} // namespace

Error error_from_curl(int code_number, std::string_view detail, std::string_view request,
                      const AskedHow &how) {
  CURLcode code = static_cast<CURLcode>(code_number);
  // curl's general words and the buffer's particular ones, unless they agree.
  std::string what = curl_easy_strerror(code);
  // Of a Unix socket it names the URL's host and port, which it did not try.
  bool misleading = code == CURLE_COULDNT_CONNECT && !how.unix_socket.empty();
  if (!detail.empty() && detail != what && !misleading)
    what += fmt::format(": {}", escape_controls(redact_text(detail)));
  return {kind_of(code, detail), code == CURLE_OUT_OF_MEMORY ? ENOMEM : EIO, 0,
          fmt::format("{}: {}{}", request, what, advice(code, detail, how)), {}};
}

Error no_memory(const char *what) {
  return {ErrorKind::LocalIo, ENOMEM, 0, fmt::format("{} failed: out of memory?", what), {}};
}

} // namespace httpcache
