# SPDX-License-Identifier: GPL-2.0-or-later
"""What an analyser says and is not mended: each with the reason why it is no fault.

An entry is (tool, check, file, piece of the line that is meant, reason). The check and the file may be patterns. An
entry that fits nothing any more fails the run: the list is no longer than what it is needed for.
"""

CLEANUP = "freed by its cleanup attribute, which this tool does not follow"

EXCEPTIONS = [
]
