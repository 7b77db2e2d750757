/* SPDX-License-Identifier: GPL-2.0-only */
#define NEW_NAME old_name
