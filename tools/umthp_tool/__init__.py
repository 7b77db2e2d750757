# SPDX-License-Identifier: GPL-2.0
"""umthp: device-private transparent huge pages of a kernel tree, tested in user-mode Linux."""

__version__ = "0.1"
