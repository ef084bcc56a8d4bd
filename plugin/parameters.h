// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// parameters.h - the setters that parameters.cc has not itself; for its table.
//
// Each takes what was given as its parameter and puts it into the draft: see
// config.h.
#ifndef HTTPCACHE_PARAMETERS_H
#define HTTPCACHE_PARAMETERS_H

#include "config.h"

namespace httpcache {

// parameters_login.cc: who the user is.
Result<void> set_aws_sigv4(ConfigDraft &draft, const char *value);
Result<void> set_bearer_token(ConfigDraft &draft, const char *value);
Result<void> set_cookie(ConfigDraft &draft, const char *value);
Result<void> set_cookie_script(ConfigDraft &draft, const char *value);
Result<void> set_cookie_script_renew(ConfigDraft &draft, const char *value);
Result<void> set_cookiefile(ConfigDraft &draft, const char *value);
Result<void> set_cookiejar(ConfigDraft &draft, const char *value);
Result<void> set_header(ConfigDraft &draft, const char *value);
Result<void> set_header_script(ConfigDraft &draft, const char *value);
Result<void> set_header_script_renew(ConfigDraft &draft, const char *value);
Result<void> set_netrc(ConfigDraft &draft, const char *value);
Result<void> set_password(ConfigDraft &draft, const char *value);
Result<void> set_sslcert(ConfigDraft &draft, const char *value);
Result<void> set_sslkey(ConfigDraft &draft, const char *value);
Result<void> set_sslkey_password(ConfigDraft &draft, const char *value);
Result<void> set_user(ConfigDraft &draft, const char *value);

// parameters_network.cc: the way to the server, and how far it is trusted.
Result<void> set_cainfo(ConfigDraft &draft, const char *value);
Result<void> set_capath(ConfigDraft &draft, const char *value);
Result<void> set_ipresolve(ConfigDraft &draft, const char *value);
Result<void> set_mirror(ConfigDraft &draft, const char *value);
Result<void> set_proxy(ConfigDraft &draft, const char *value);
Result<void> set_proxy_cainfo(ConfigDraft &draft, const char *value);
Result<void> set_proxy_capath(ConfigDraft &draft, const char *value);
Result<void> set_proxy_password(ConfigDraft &draft, const char *value);
Result<void> set_proxy_user(ConfigDraft &draft, const char *value);
Result<void> set_resolve(ConfigDraft &draft, const char *value);
Result<void> set_ssl_cipher_list(ConfigDraft &draft, const char *value);
Result<void> set_ssl_version(ConfigDraft &draft, const char *value);
Result<void> set_sslverify(ConfigDraft &draft, const char *value);
Result<void> set_tcp_keepalive(ConfigDraft &draft, const char *value);
Result<void> set_tcp_nodelay(ConfigDraft &draft, const char *value);
Result<void> set_tls13_ciphers(ConfigDraft &draft, const char *value);
Result<void> set_unix_socket_path(ConfigDraft &draft, const char *value);

} // namespace httpcache

#endif
