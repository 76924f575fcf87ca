# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests for tests: see guest.py for what a suite uses."""
