// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// catch.h - Catch2 2 or 3, whichever configure found. The only #if for it.
#ifndef HTTPCACHE_TESTS_CATCH_H
#define HTTPCACHE_TESTS_CATCH_H

#include "build_config.h"

#if CATCH2_VERSION == 2
#include <catch2/catch.hpp>
#else
#include <catch2/catch_all.hpp>
using Catch::Approx;
#endif

#endif
