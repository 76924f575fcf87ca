# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that libvirt runs: its daemon, and a domain that the harness can talk to."""
