# SPDX-License-Identifier: GPL-2.0-or-later
"""The transport benchmark; see __main__.py."""
