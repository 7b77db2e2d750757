#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A kernel with the suites @SUITES@ (NAME:MODULE each), which obeys KUnit's filters. Those of
# @FAIL@ fail, those of @HANG@ do not end.
set -f
glob='*'
filter=
action=
for word; do
	case $word in
	kunit.filter_glob=*) glob=${word#*=} ;;
	kunit.filter=*) filter=,${word#*=}, ;;
	kunit.action=*) action=${word#*=} ;;
	esac
done
chosen=
count=0
for entry in @SUITES@; do
	# shellcheck disable=SC2254
	case ${entry%:*} in
	${glob%%.*}) ;;
	*) continue ;;
	esac
	case $filter in
	*",module!=${entry#*:},"*) continue ;;
	esac
	chosen="$chosen $entry"
	count=$((count + 1))
done
echo 'KTAP version 1'
if [ -n "$action" ]; then
	for entry in $chosen; do
		echo "${entry%:*}"
		[ "$action" = list_attr ] && echo "# module: ${entry#*:}"
		echo "${entry%:*}.works"
	done
	echo 'reboot: System halted'
	exit 0
fi
if [ -n "$GCOV_PREFIX" ]; then
	mkdir -p "$GCOV_PREFIX/mm"
	for object in huge_memory memremap unwanted; do
		echo "$chosen" >"$GCOV_PREFIX/mm/$object.gcda"
	done
fi
echo "1..$count"
number=0
for entry in $chosen; do
	suite=${entry%:*}
	number=$((number + 1))
	printf '    KTAP version 1\n    # Subtest: %s\n    # module: %s\n    1..1\n' "$suite" "${entry#*:}"
	case " @HANG@ " in
	*" $suite "*) exec sleep 1000 ;;
	esac
	case " @FAIL@ " in
	*" $suite "*) bad='not ' ;;
	*) bad= ;;
	esac
	printf '    %sok 1 works\n%sok %d %s\n' "$bad" "$bad" "$number" "$suite"
done
echo 'reboot: System halted'
