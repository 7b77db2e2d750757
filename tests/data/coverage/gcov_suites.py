#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""gcov for tests/data/fake_kernel/suites.sh: what the suites named in a .gcda execute.

The lines are marked in the sources of the tree that was built: `/* abc */` at the end of a line
with a count names the suites thp_a, thp_b and thp_c, `/* - */` nobody.
"""
import json
import os
import re
import sys

for path in sys.argv[1:]:
    if path.startswith('--'):
        continue
    with open(path, encoding='utf-8') as file:
        suites = [word.split(':')[0] for word in file.read().split()]
    build = os.readlink(path[:-len('.gcda')] + '.gcno').split('/mm/')[0]
    source = os.path.normpath(f'{build}/../../src/mm/{os.path.basename(path)[:-len(".gcda")]}.c')
    lines = []
    with open(source, encoding='utf-8') as file:
        for number, line in enumerate(file, 1):
            mark = re.search(r'/\* ([a-z-]+) \*/$', line.rstrip())
            if mark:
                count = sum(f'thp_{letter}' in suites for letter in mark.group(1))
                lines.append({'line_number': number, 'count': count, 'branches': []})
    print(json.dumps({'current_working_directory': build,
                      'files': [{'file': source, 'lines': lines}]}))
