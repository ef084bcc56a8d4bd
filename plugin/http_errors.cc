// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "http_errors.h"

#include <cerrno>
#include <cstring>

#include <curl/curl.h>
#include <fmt/format.h>

#include "ascii.h"
#include "log.h"

namespace httpcache {

namespace {

// A TLS handshake was answered in clear: by OpenSSL's words and GnuTLS's.
bool is_no_tls(CURLcode code, std::string_view detail) {
  return code == CURLE_SSL_CONNECT_ERROR &&
         (detail.find("wrong version number") != detail.npos ||
          detail.find("unexpected TLS packet") != detail.npos);
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

// No socket could be opened for it, on this machine.
bool is_no_socket(CURLcode code, const AskedHow &how) {
  bool no_address = how.socket_error == EAFNOSUPPORT; // without IPv6, say: others were tried
  return code == CURLE_COULDNT_CONNECT && how.socket_error != 0 && !no_address;
}

// A SOCKS proxy says that it could not get through to the server: of version 5 replies 1
// and 3 to 6 (RFC 1928), of version 4 reply 91.
bool is_socks_unreachable(CURLcode code, std::string_view detail) {
  if (code != CURLE_PROXY)
    return false;
  for (std::string_view reply : {"(1)", "(3)", "(4)", "(5)", "(6)", "(91)"})
    if (has(detail, "complete SOCKS") && has(detail, reply))
      return true;
  return false;
}

// Something that is no proxy's URL stands in the environment.
bool is_bad_proxy(std::string_view detail) { return has(detail, "nsupported proxy"); }

// What the other side says of our side of the handshake: by OpenSSL's words and
// GnuTLS's.  With TLS 1.3 it comes after the handshake, as an error of reading.
enum class Alert { None, WantsCertificate, RefusesCertificate, Version, Handshake };
Alert alert_of(std::string_view detail) {
  std::string text = to_lower(detail);
  // So libcurl calls the alert "certificate expired", which is about ours; of the
  // server's it would say what is wrong.
  if (text == "ssl certificate verification failed")
    return Alert::RefusesCertificate;
  if (!has(text, "alert"))
    return Alert::None;
  if (has(text, "certificate required") || has(text, "certificate_required"))
    return Alert::WantsCertificate;
  for (std::string_view words : {"bad certificate", "certificate is bad", "unknown ca",
                                 "ca is unknown", "certificate unknown", "certificate expired",
                                 "certificate has expired", "certificate revoked",
                                 "unsupported certificate", "access denied"})
    if (has(text, words))
      return Alert::RefusesCertificate;
  if (has(text, "protocol version"))
    return Alert::Version;
  if (has(text, "handshake failure") || has(text, "handshake failed") ||
      has(text, "insufficient security"))
    return Alert::Handshake;
  return Alert::None;
}

// Did the proxy answer CONNECT, and not with a tunnel?
bool connect_refused(CURLcode code, const AskedHow &how) {
  return !how.via.proxy.empty() && how.connect_status >= 300 &&
         (code == CURLE_RECV_ERROR || code == CURLE_COULDNT_CONNECT || code == CURLE_PROXY);
}

bool is_of_tls(CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR ||
         code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE ||
         code == CURLE_SSL_ISSUER_ERROR || code == CURLE_SSL_PINNEDPUBKEYNOTMATCH;
}

// Is it the proxy that failed, and not the server behind it?
bool is_of_proxy(CURLcode code, std::string_view detail, const AskedHow &how) {
  const Via &via = how.via;
  if (via.proxy.empty())
    return false;
  if (code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_PROXY || connect_refused(code, how))
    return true;
  if (is_no_socket(code, how))
    return false;
  // TLS with the server comes when there is a tunnel, with the proxy before.
  if (is_of_tls(code))
    return via.is_https && how.connect_status == 0;
  if (code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT) {
    // "Failed to connect to HOST port PORT": of the host that was asked.
    size_t host = via.proxy.find("://");
    std::string_view place = via.proxy;
    place.remove_prefix(host == place.npos ? 0 : host + 3);
    size_t colon = place.rfind(':');
    if (colon == place.npos || place.ends_with(']'))
      return has(detail, fmt::format(" {} port ", place));
    std::string_view name = place.substr(0, colon);
    if (name.starts_with('[') && name.ends_with(']'))
      name = name.substr(1, name.size() - 2);
    return has(detail, fmt::format(" {} port {}", name, place.substr(colon + 1)));
  }
  return false;
}

ErrorKind kind_of(CURLcode code, std::string_view detail, const AskedHow &how) {
  if (connect_refused(code, how))
    return how.connect_status >= 500 || how.connect_status == 408 || how.connect_status == 429
               ? ErrorKind::Transient
               : ErrorKind::Permanent;
  if (is_no_tls(code, detail) || alert_of(detail) != Alert::None || is_bad_proxy(detail))
    return ErrorKind::Permanent;
  // Bytes behind the end of an answer, on a connection that is used again, look like it.
  if (is_socks_unreachable(code, detail) ||
      (code == CURLE_UNSUPPORTED_PROTOCOL && has(detail, "HTTP/0.9")))
    return ErrorKind::Transient;
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

// Then it was not the proxy that was asked: no_proxy named the host, or libcurl
// did not get so far.
bool is_direct(CURLcode code) {
  return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
         code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CIPHER ||
         code == CURLE_OUT_OF_MEMORY;
}

// What is wrong with the certificate of the server, or of the proxy.
std::string certificate_advice(std::string_view detail, bool of_proxy) {
  std::string_view whose = of_proxy ? "the proxy's certificate" : "the server's certificate";
  std::string_view place = of_proxy ? "proxy=" : "the URL";
  std::string_view ca = of_proxy ? "proxy-cainfo=FILE" : "cainfo=FILE";
  std::string_view anyhow =
      of_proxy ? "" : " (sslverify=false would accept it, giving up all protection)";
  if (has(detail, "does not match") || has(detail, "no alternative certificate subject name") ||
      has(detail, "not match the server"))
    return fmt::format("; {} is for another host: use the name it is for in {}",
                       of_proxy ? whose : "the certificate", place);
  if (has(detail, "expired"))
    return fmt::format("; {} must be renewed by whoever runs it, or the clock of this machine is "
                       "wrong{}",
                       whose, anyhow);
  if (has(detail, "not yet valid"))
    return fmt::format("; {} is of the future, or the clock of this machine is wrong{}", whose,
                       anyhow);
  if (has(detail, "self-signed certificate") || has(detail, "self signed certificate"))
    if (!has(detail, "in certificate chain"))
      return fmt::format("; {} is signed by itself: if you know it is the right one name it with "
                         "{}{}",
                         whose, ca, anyhow);
  return fmt::format("; if {} is of a private CA name that with {}{}", whose, ca,
                     of_proxy ? "" : ", or, giving up all protection, use sslverify=false");
}

std::string proxy_advice(CURLcode code, std::string_view detail, const AskedHow &how) {
  std::string_view key = how.via.from_environment
                             ? "http_proxy, https_proxy or all_proxy in the environment"
                             : "proxy=";
  if (connect_refused(code, how))
    return how.connect_status == 407 || how.connect_status == 401
               ? "; give a user name and a password that it accepts as proxy-user= and "
                 "proxy-password="
               : "; it does not want to connect to that host and port, or cannot";
  switch (code) {
  case CURLE_PEER_FAILED_VERIFICATION:
    return certificate_advice(detail, true);
  case CURLE_SSL_CACERT_BADFILE:
    return "; check proxy-cainfo= and proxy-capath=";
  case CURLE_SSL_CONNECT_ERROR:
    return is_no_tls(code, detail)
               ? fmt::format("; the proxy does not speak TLS at that port: should {} begin with "
                             "http://?",
                             key)
               : "";
  case CURLE_COULDNT_RESOLVE_PROXY:
    return fmt::format("; check the host name in {}", key);
  case CURLE_COULDNT_CONNECT:
    return fmt::format("; check that the proxy runs, and the port in {}", key);
  case CURLE_PROXY:
    if (is_socks_unreachable(code, detail))
      return "; it could not connect to that host and port";
    return how.via.is_socks ? "; does it want a login (proxy-user=, proxy-password=), or not let "
                              "you to that host?"
                            : "";
  default:
    return "";
  }
}

std::string advice(CURLcode code, std::string_view detail, const AskedHow &how) {
  if (is_no_tls(code, detail))
    return "; the server does not speak TLS at that port: does the URL begin with http://?";
  switch (alert_of(detail)) {
  case Alert::WantsCertificate:
  case Alert::RefusesCertificate:
    return how.certificate ? "; the server does not accept the certificate of sslcert=: is it of "
                             "the right CA, and has it not expired?"
                           : "; the server wants a certificate of the client: give sslcert= and "
                             "sslkey=";
  case Alert::Version:
    return "; the server speaks no version of TLS that was offered: see ssl-version=";
  case Alert::Handshake:
    return how.certificate
               ? "; it may not accept the certificate of sslcert=, or want other ciphers or "
                 "another version of TLS (ssl-version=)"
               : "; it may want a certificate of the client (sslcert=, sslkey=), or other ciphers "
                 "or another version of TLS (ssl-version=)";
  case Alert::None:
    break;
  }
  if (is_bad_proxy(detail)) // proxy= was checked
    return "; check http_proxy, https_proxy and all_proxy in the environment";
  // libcurl 7.88 loses OpenSSL's words of TLS within TLS.
  if (code == CURLE_SSL_CONNECT_ERROR && how.via.is_https && how.connect_status == 200)
    return "; through an https proxy it is not told why: it may be that the server's certificate "
           "is of a private CA, to be named with cainfo=FILE";
  switch (code) {
  case CURLE_PEER_FAILED_VERIFICATION:
    return certificate_advice(detail, false);
  case CURLE_SSL_CERTPROBLEM:
    return "; check that sslcert= and sslkey= are PEM files, the key is that of the certificate, "
           "and sslkey-password= is its password";
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR: // with TLS 1.3 a refusal may be lost when the server closes at once
    return how.certificate ? "; should that go on, the server may not accept the certificate of "
                             "sslcert="
                           : "";
  case CURLE_SSL_CIPHER:
    return "; check ssl-cipher-list= and tls13-ciphers=";
  case CURLE_SSL_CACERT_BADFILE:
    return "; check cainfo= and capath=";
  case CURLE_TOO_MANY_REDIRECTS:
    return "; is it a loop?";
  case CURLE_COULDNT_RESOLVE_HOST: // libcurl starts a thread for it
    return has(detail, "thread failed") ? "; this system gives nbdkit no more threads"
                                        : "; check the host name in the URL";
  case CURLE_COULDNT_CONNECT:
    if (is_no_socket(code, how))
      return how.socket_error == EMFILE || how.socket_error == ENFILE
                 ? "; nbdkit may open no more files: raise its limit (ulimit -n), or lower "
                   "connections="
                 : "";
    if (!how.unix_socket.empty())
      return fmt::format("; it was tried through unix-socket-path={}: check that a server listens "
                         "there",
                         escape_controls(how.unix_socket));
    return "; check that the server runs, and the port in the URL";
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
  if (connect_refused(code, how))
    what = fmt::format("answered {} to CONNECT", how.connect_status);
  else if (is_no_socket(code, how))
    what = fmt::format("no socket: {}", strerror(how.socket_error));
  else if (!detail.empty() && detail != what && !misleading)
    what += fmt::format(": {}", escape_controls(redact_text(detail)));
  std::string place(request);
  bool of_proxy = is_of_proxy(code, detail, how);
  if (of_proxy)
    place += fmt::format(": the proxy {}{} ", how.via.proxy,
                         connect_refused(code, how) ? "" : ":");
  else if (!how.via.proxy.empty() && !is_direct(code))
    place += fmt::format(" through the proxy {}: ", how.via.proxy);
  else
    place += ": ";
  return {kind_of(code, detail, how), code == CURLE_OUT_OF_MEMORY ? ENOMEM : EIO, 0,
          place + what + (of_proxy ? proxy_advice(code, detail, how) : advice(code, detail, how)),
          {}};
}

Error option_refused(int code) {
  return {ErrorKind::LocalIo, code == CURLE_OUT_OF_MEMORY ? ENOMEM : EINVAL, 0,
          fmt::format("this libcurl refuses an option: {}",
                      curl_easy_strerror(static_cast<CURLcode>(code))),
          {}};
}

Error no_memory(const char *what) {
  return {ErrorKind::LocalIo, ENOMEM, 0, fmt::format("{} failed: out of memory?", what), {}};
}

} // namespace httpcache
