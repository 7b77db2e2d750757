#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
case " $* " in
*" kunit.action=list "*)
	printf 'KTAP version 1\ntrap_good\ntrap_good.plain\ntrap_good.split_order\n'
	printf 'trap_good.skipped\nreboot: System halted\n'
	exit 0 ;;
esac
# As libgcov does; what gcov makes of it is in tests/data/coverage.
if [ -n "$GCOV_PREFIX" ]; then
	mkdir -p "$GCOV_PREFIX/mm"
	touch "$GCOV_PREFIX/mm/huge_memory.gcda" "$GCOV_PREFIX/mm/memremap.gcda" \
		"$GCOV_PREFIX/mm/unwanted.gcda"
fi
log=@LOG@
status=@STATUS@
own=" @OWN@ "
for word; do
	case "$word" in
	thp_known_bug.own_boot=*)
		# ID=LOG:STATUS
		entry=${own#* "${word#*=}"=}
		entry=${entry%% *}
		log=${entry%:*}
		status=${entry#*:} ;;
	esac
done
if [ "$log" = hang ]; then
	echo 'KTAP version 1'
	exec sleep 1000
fi
cd @DATA@ && cat "$log".log
if [ "$status" = hang ]; then
	exec sleep 1000
fi
if [ "$status" = endless ]; then
	exec yes '    # plain: refcount            1            2            1 <-- wrong'
fi
exit "$status"
