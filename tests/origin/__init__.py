# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""The parts of tests/origin.py; see there."""
