#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A guest of `umthp shell`: what tools/userland/shell_init does, on this machine.
for word; do
	case $word in
	rootflags=*) root=${word#*=} ;;
	con[123]=*) declare "tty${word:3:1}=/proc/self/fd/${word##*fd:}" ;;
	esac
done
echo "Linux version 7.3.4"
@BEFORE@
echo start >"$tty3"
if [ -e "$root/etc/command" ]; then
	grep -a -v -x -e 'cd' -e 'export PATH.*' "$root/etc/command" >"$TMPDIR/command"
	bash "$TMPDIR/command" </dev/null >"$tty1" 2>"$tty2"
else
	@SHELL@
fi
echo "exit $?" >"$tty3"
@AFTER@
echo "reboot: Power down"
