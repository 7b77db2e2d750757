/* SPDX-License-Identifier: GPL-2.0-only */
int fake_zdev_create(void);
