# SPDX-License-Identifier: GPL-2.0-or-later
"""A Xen host with one PV guest, for tests: see lab.py for what a suite uses."""
