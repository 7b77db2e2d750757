#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# gcov and gcovr: what was recorded, for the tree that is built now.
case $0 in
*/gcovr)
	while [ $# -gt 0 ]; do
		case $1 in --html-details) echo made >"$2" ;; esac
		shift
	done
	exit "${GCOVR_STATUS:-0}" ;;
esac
case "$*" in *unwanted*) exit 9 ;; esac
build=$(readlink mm/huge_memory.gcno)
sed "s,@BUILD@,${build%%/build/*}/build,g" @DATA@/gcov.json
