# SPDX-License-Identifier: GPL-2.0
"""Style rules for the files of this project; the command is tools/lint."""
