# SPDX-License-Identifier: GPL-2.0
"""Each rule of tools/lint catches a planted fault, and lets the same file without it pass."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
SPDX = 'SPDX-License-Identifier: GPL-2.0'

CLEAN_PATCH = '''\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A Developer <a@example.org>
Date: Thu, 1 Jan 2026 00:00:00 +0000
Subject: [PATCH] um: say more

Because.

---
diff --git a/arch/um/Kconfig b/arch/um/Kconfig
index 1111111111111111111111111111111111111111..2222222222222222222222222222222222222222 100644
--- a/arch/um/Kconfig
+++ b/arch/um/Kconfig
@@ -1 +1,2 @@
 a
+b
-- '''

# A project without a fault.
CLEAN = {
    'Makefile': f'# {SPDX}\nall:\n',
    'kunit/mm/tests/x.c': f'// {SPDX}\nint x;\n',
    'kunit/mm/tests/x.h': f'/* {SPDX} */\nint x;\n',
    'tools/run': f'#!/bin/sh\n# {SPDX}\necho run\n',
    'tools/a.py': f'# {SPDX}\n"""Nothing."""\n',
    'um_config/series': '# the order matters\n0001-a.patch\n0002-b.patch # >=7.3\n',
    'um_config/patches/0001-a.patch': CLEAN_PATCH + '\n2.39.5\n',
    'um_config/patches/0002-b.patch': CLEAN_PATCH + '\n2.39.5\n',
}

# A stand-in for the kernel's script: it prints in the format of --terse.
CHECKPATCH = r'''#!/usr/bin/perl
my $file = $ARGV[-1];
my $in = \*STDIN;
if ($file ne '-') { open($in, '<', $file) or die "cannot read $file"; }
open(my $log, '>>', $ENV{CHECKPATCH_LOG});
print $log join(' ', @ARGV), "\n";
my $bad = 0;
while (<$in>) {
    if (/UGLY/) { print "$file:$.: WARNING:UGLY: it is ugly\n"; $bad = 1; }
}
exit $bad;
'''


class LintCase(unittest.TestCase):
    """A project without a fault in a directory of its own."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix='umthp-lint-'))
        self.addCleanup(shutil.rmtree, self.root)
        for path, text in CLEAN.items():
            self.write(path, text)
        os.chmod(self.root / 'tools/run', 0o755)

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())

    def lint(self, *arguments, env=None):
        result = subprocess.run(
            [sys.executable, str(PROJECT / 'tools/lint'), '--root', str(self.root), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8',
            env=dict(os.environ, **(env or {})), check=False)
        return result

    def expect(self, rule, *lines):
        """Lint finds exactly these lines of the rule; the other rules are not asked."""
        result = self.lint(rule)
        found = [line for line in result.stdout.splitlines() if line.endswith(f'[{rule}]')]
        self.assertEqual(found, [f'{line} [{rule}]' for line in lines], result.stderr)
        self.assertEqual(result.returncode, 1 if lines else 0)


class RulesTest(LintCase):
    """The rules that need no kernel tree."""

    def test_clean_project_passes_every_rule(self):
        result = self.lint()
        self.assertEqual(result.stdout, 'lint: 11 rules kept, 0 broken, 8 files\n', result.stderr)
        self.assertEqual(result.returncode, 0)

    def test_encoding_finds_latin1_controls_and_torn_ends(self):
        self.write('tools/a.py', b'# caf\xe9\n')
        self.write('tools/b.txt', 'one\ntwo\r\n')
        self.write('tools/c.txt', 'no end')
        self.expect('encoding', 'tools/a.py:1: not UTF-8',
                    'tools/b.txt:2: control character 0d',
                    'tools/c.txt:1: no newline at end of file')

    def test_blanks_at_line_ends_are_found_but_not_in_patches(self):
        self.write('tools/b.txt', 'one \ntwo\t\nthree\n\n')
        self.expect('blanks', 'tools/b.txt:1: trailing blanks', 'tools/b.txt:2: trailing blanks',
                    'tools/b.txt:4: empty line at end of file')

    def test_length_of_800_lines_is_too_long_and_799_is_not(self):
        self.write('tools/b.txt', 'x\n' * 799)
        self.expect('length')
        self.write('tools/b.txt', 'x\n' * 800)
        self.expect('length', 'tools/b.txt: 800 lines; split it before 800')

    def test_licence_is_wanted_in_the_form_of_each_language(self):
        self.write('kunit/mm/tests/x.c', f'/* {SPDX} */\n')
        self.write('kunit/mm/tests/x.h', f'// {SPDX}\n')
        self.write('tools/a.py', f'"""Doc."""\n# {SPDX}\n')
        self.write('tools/run', f'#!/bin/sh\n\n# {SPDX}\n')
        self.write('Makefile', 'all:\n')
        self.expect('licence', f"Makefile:1: expected '# {SPDX}'",
                    f"kunit/mm/tests/x.c:1: expected '// {SPDX}'",
                    f"kunit/mm/tests/x.h:1: expected '/* {SPDX}'",
                    f"tools/a.py:1: expected '# {SPDX}'",
                    f"tools/run:2: expected '# {SPDX}'")

    def test_machine_paths_and_archive_hosts_are_found(self):
        places = ('/wo' 'rk/main', '/ro' 'ot/x', '/ho' 'me/me/x', '/var/t' 'mp/x',
                  'http:' '//deb.deb' 'ian.org/debian', 'cdn.ker' 'nel.org')
        self.write('tools/b.txt', '\n'.join(places) + '\n')
        result = self.lint('machine')
        self.assertEqual([line.split(' ')[0] for line in result.stdout.splitlines()[:-1]],
                         [f'tools/b.txt:{n}:' for n in range(1, len(places) + 1)])
        self.assertEqual(result.returncode, 1)

    def test_machine_lets_relative_and_lore_names_pass(self):
        self.write('tools/b.txt', 'build/wo' 'rk/x $HOME/ro' 'ot/x https://lore.kernel.org/r/x\n')
        self.expect('machine')

    def test_executable_bit_and_interpreter_line_go_together(self):
        os.chmod(self.root / 'tools/run', 0o644)
        os.chmod(self.root / 'tools/a.py', 0o755)
        self.expect('executable', "tools/a.py: executable without '#!'",
                    "tools/run: '#!' but not executable")

    def test_series_list_differs_from_files(self):
        self.write('um_config/series', '0002-b.patch\n0001-a.patch\n0003-c.patch\n0002-b.patch\n')
        self.write('um_config/patches/0004-d.patch', 'x\n')
        self.expect('series-list',
                    'um_config/series:2: 0001-a.patch comes after 0002-b.patch',
                    'um_config/series:3: um_config/patches/0003-c.patch does not exist',
                    'um_config/series:4: 0002-b.patch is listed twice',
                    'um_config/patches/0004-d.patch: not listed in um_config/series')

    def test_series_without_list_is_found(self):
        os.unlink(self.root / 'um_config/series')
        self.expect('series-list',
                    'um_config/series: there must be exactly one list of the patches')

    def test_series_form_finds_other_paths_short_ids_and_foreign_headers(self):
        bad = (CLEAN_PATCH.replace('0' * 40, 'a' * 40).replace('[PATCH]', '[PATCH 1/2]')
               .replace('1' * 40, '1' * 12).replace('arch/um/', 'mm/'))
        self.write('um_config/patches/0002-b.patch', bad)
        path = 'um_config/patches/0002-b.patch'
        self.expect('series-form', f'{path}:1: not made by git format-patch --zero-commit',
                    f"{path}:1: the subject does not start with '[PATCH] ' (-N)",
                    f'{path}:9: touches mm/Kconfig: only arch/um/ and arch/x86/um/ are extended',
                    f'{path}:10: short blob id: use --full-index')

    @unittest.skipUnless(shutil.which('shellcheck'), 'shellcheck is not installed')
    def test_shellcheck_is_asked_about_scripts_without_suffix(self):
        self.write('tools/run', f'#!/bin/sh\n# {SPDX}\necho $1\n')
        result = self.lint('shellcheck')
        self.assertRegex(result.stdout, r'^tools/run:3: note: Double quote .*\[shellcheck\]\n')
        self.assertEqual(result.returncode, 1)

    @unittest.skipUnless(shutil.which('pyflakes3'), 'pyflakes3 is not installed')
    def test_pyflakes_finds_an_unused_import_and_a_syntax_error(self):
        self.write('tools/a.py', 'import os\n')
        self.expect('pyflakes', "tools/a.py:1: 'os' imported but unused")
        self.write('tools/a.py', 'def f(:\n')
        self.assertEqual(self.lint('pyflakes').returncode, 1)

    @unittest.skipUnless(shutil.which('pycodestyle'), 'pycodestyle is not installed')
    def test_pycodestyle_finds_tabs_and_columns_above_100(self):
        self.write('tools/a.py', 'x = "' + 'y' * 94 + '"\nz = "' + 'y' * 95 + '"\n')
        self.expect('pycodestyle', 'tools/a.py:2: E501 line too long (101 > 100 characters)')

    def test_missing_program_is_an_error_with_advice(self):
        python = os.path.dirname(sys.executable)
        empty = self.root / 'bin'
        empty.mkdir()
        result = self.lint('shellcheck', env={'PATH': str(empty)})
        self.assertEqual(result.returncode, 7, python)
        self.assertIn('error: shellcheck cannot be run', result.stderr)
        self.assertIn('tools/install-deps check', result.stderr)

    def test_unknown_rule_is_a_usage_error(self):
        result = self.lint('no-such-rule')
        self.assertEqual(result.returncode, 2)
        self.assertIn("no rule 'no-such-rule'", result.stderr)

    def test_without_git_every_file_is_seen_and_with_git_ignored_ones_are_not(self):
        self.write('junk.py', '# no licence\n')
        self.assertIn('junk.py', self.lint('licence').stdout)
        subprocess.run(['git', 'init', '-q', str(self.root)], check=True)
        self.write('.gitignore', 'junk.py\n')
        self.assertNotIn('junk.py', self.lint('licence').stdout)
        self.write('untracked.py', '# no licence\n')
        self.assertIn('untracked.py', self.lint('licence').stdout)


class CheckpatchTest(LintCase):
    """The rules that need a kernel tree, on a stand-in for its script."""

    def setUp(self):
        super().setUp()
        self.kernel = Path(tempfile.mkdtemp(prefix='umthp-lint-'))
        self.addCleanup(shutil.rmtree, self.kernel)
        (self.kernel / 'scripts').mkdir()
        (self.kernel / 'scripts/checkpatch.pl').write_text(CHECKPATCH)
        self.log = self.kernel / 'log'

    def lint(self, *arguments, env=None):
        return super().lint('--kernel-tree', str(self.kernel), '--cache',
                            str(self.kernel / 'clean'), *arguments,
                            env={'CHECKPATCH_LOG': str(self.log), **(env or {})})

    def test_clean_project_passes_every_rule(self):
        result = self.lint()
        self.assertEqual(result.stdout, 'lint: 14 rules kept, 0 broken, 8 files\n', result.stderr)

    def test_each_kind_of_file_is_judged_once_under_its_kernel_path(self):
        self.write('tools/userland/init.c', f'// {SPDX}\nUGLY\n')
        self.write('kunit/mm/tests/x.c', f'// {SPDX}\n\nUGLY\n')
        self.write('um_config/patches/0001-a.patch', CLEAN_PATCH + '\nUGLY\n')
        self.expect('checkpatch-kernel', 'kunit/mm/tests/x.c:3: WARNING:UGLY: it is ugly')
        self.expect('checkpatch-userland', 'tools/userland/init.c:2: WARNING:UGLY: it is ugly')
        self.expect('checkpatch-patches',
                    'um_config/patches/0001-a.patch:17: WARNING:UGLY: it is ugly')
        calls = self.log.read_text().splitlines()
        self.assertEqual([call.rsplit(' ', 1)[-1] for call in calls].count('mm/tests/x.c'), 1)
        self.assertTrue(all('--strict' in call for call in calls), calls)

    def test_clean_files_are_judged_once_until_they_change(self):
        self.lint('checkpatch-kernel')
        first = self.log.read_text()
        self.assertEqual(len(first.splitlines()), 2)
        self.lint('checkpatch-kernel')
        self.assertEqual(self.log.read_text(), first)
        self.write('kunit/mm/tests/x.c', f'// {SPDX}\nUGLY\n')
        self.expect('checkpatch-kernel', 'kunit/mm/tests/x.c:2: WARNING:UGLY: it is ugly')
        self.expect('checkpatch-kernel', 'kunit/mm/tests/x.c:2: WARNING:UGLY: it is ugly')

    def test_script_that_dies_is_an_error(self):
        (self.kernel / 'scripts/checkpatch.pl').write_text('die "out of perl"')
        result = self.lint('checkpatch-kernel')
        self.assertEqual(result.returncode, 7)
        self.assertIn('out of perl', result.stderr)

    def test_directory_that_is_no_kernel_is_an_error(self):
        os.unlink(self.kernel / 'scripts/checkpatch.pl')
        result = self.lint()
        self.assertEqual(result.returncode, 7)
        self.assertIn('not a kernel tree', result.stderr)


if __name__ == '__main__':
    unittest.main()
