// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-main.cc - main() of the unit tests. Catch2 3 brings it in a library;
// for Catch2 2 it is compiled here, once, for it takes long.
#define CATCH_CONFIG_MAIN
#include "catch.h"
