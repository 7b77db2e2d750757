# SPDX-License-Identifier: GPL-2.0
"""Bad input: kernels, series, toolchains and caches that cannot do, each with its message."""

import difflib
import os
import unittest
from pathlib import Path

from fake_kernel import FakeKernelCase


class RefusalTest(FakeKernelCase):
    """Kernels that umthp does not take."""

    def test_directory_that_is_no_kernel_tree(self):
        result = self.expect(2, 'run', '--kernel', self.home, cwd=self.top)
        self.assertIn('is not a Linux source tree', result.stderr)

    def test_older_kernel_is_refused_with_what_it_lacks(self):
        old = self.top / 'linux-6.12'
        self.make_kernel(old, '6.12.48')
        self.put('linux-6.12/mm/huge_memory.c', 'int nothing;\n')
        result = self.expect(6, 'run', '--kernel', old, cwd=self.top)
        self.assertIn('6.12.48', result.stderr)
        self.assertIn('supported: 7.3.x, 7.2.x', result.stderr)
        for probe in self.support.probes:
            if probe.file == 'mm/huge_memory.c':
                self.assertIn(f'{probe.symbol} in mm/huge_memory.c', result.stderr)
        self.expect(0, 'run')

    def test_version_below_the_range_is_refused_even_with_every_symbol(self):
        old = self.top / 'linux-7.1'
        self.make_kernel(old, '7.1.9')
        self.assertIn('7.1.9', self.expect(6, 'run', '--kernel', old, cwd=self.top).stderr)

    def test_newer_version_with_every_symbol_is_tried_with_a_warning(self):
        new = self.top / 'linux-9'
        self.make_kernel(new, '9.1.0')
        self.assertRegex(self.expect(0, 'run', '--kernel', new, cwd=self.top).stderr,
                         'warning: .* is 9.1.0, newer than')

    def test_vendor_tree_without_a_symbol_is_refused_whatever_its_number(self):
        probe = self.support.probes[0]
        path = self.kernel / probe.file
        path.write_text(path.read_text().replace(probe.symbol, 'renamed'))
        self.assertIn(probe.symbol, self.expect(6, 'run').stderr)

    def test_conflict_names_patch_file_and_line_and_heals(self):
        self.put('linux/arch/um/kernel/mem.c', 'int my_edit;\n')
        result = self.expect(6, 'run')
        self.assertIn('0001-um-more.patch', result.stderr)
        self.assertIn('your own uncommitted edit of arch/um/kernel/mem.c', result.stderr)
        self.git('commit', '-qam', 'a kernel that has moved on')
        self.assertIn("the kernel's own code has moved on", self.expect(6, 'run').stderr)
        self.git('checkout', '-q', 'HEAD^', '--', 'arch/um/kernel/mem.c')
        self.expect(0, 'run')

    def test_series_that_changes_the_code_under_test(self):
        self.add_patch('0002-rmap-change.patch', 'mm/rmap.c', 'int rmap;\n', 'int other;\n')
        self.add_patch('0003-memory-drop.patch', 'mm/memory.c', 'int memory;\n', None)
        self.add_patch('0004-Makefile-more.patch', 'mm/Makefile',
                       'obj-y += huge_memory.o memremap.o\n',
                       'obj-y += huge_memory.o memremap.o\nobj-y += more.o\n')
        self.add_patch('0005-mm-new.patch', 'mm/more.c', None, 'int more;\n')
        error = self.expect(6, 'run').stderr
        for wrong in ('mm/rmap.c (M, +1 -1)', 'mm/memory.c (D, +0 -1)', 'mm/Makefile (M, +2 -0)'):
            self.assertIn(wrong, error)
        self.assertNotIn('mm/more.c', error)

    def test_series_that_is_in_the_tree_already_is_not_applied_again(self):
        self.append_symbol()
        self.put('linux/arch/um/kernel/mem.c', 'int um_mem;\nint um_more;\n')
        self.assertIn('already in tree', self.expect(0, 'run').stderr)
        self.assertEqual((self.shadow / 'arch/um/kernel/mem.c').read_text(),
                         'int um_mem;\nint um_more;\n')

    def append_symbol(self):
        path = self.kernel / self.support.present_file
        path.write_text(path.read_text() + self.support.present_symbol + '\n')

    def test_missing_patch_file_is_named(self):
        (self.project / 'um_config/patches/0001-um-more.patch').unlink()
        self.assertIn('0001-um-more.patch', self.expect(2, 'run').stderr)

    def test_own_file_where_a_suite_goes_is_not_overwritten_silently(self):
        self.put('linux/mm/tests/x_kunit.c', '// mine\n')
        result = self.umthp('run')
        self.assertEqual(result.returncode, 6)
        self.assertIn('mm/tests/x_kunit.c', result.stderr)

    def test_missing_toolchain_is_named_at_once_with_packages(self):
        tools = self.top / 'bin'
        tools.mkdir()
        for folder in os.environ['PATH'].split(os.pathsep):
            for path in Path(folder).glob('*'):
                link = tools / path.name
                if path.name not in ('flex', 'bison', 'bc') and not link.exists():
                    link.symlink_to(path)
        result = self.expect(5, 'run', PATH=str(tools))
        self.assertIn('flex, bison, bc', result.stderr)
        self.assertIn('apt install flex bison bc', result.stderr)
        doctor = self.umthp('doctor', PATH=str(tools))
        self.assertEqual(doctor.returncode, 5)
        self.assertIn('flex', doctor.stdout)
        self.assertGreaterEqual(self.umthp('run', '--bisect', PATH=str(tools)).returncode, 128)
        self.expect(0, 'run')

    def test_cache_that_cannot_be_written_is_a_host_error(self):
        self.put('file', 'not a directory')
        result = self.expect(7, 'run', UMTHP_CACHE=str(self.top / 'file'))
        self.assertIn('UMTHP_CACHE', result.stderr)
        self.expect(7, 'run', UMTHP_CACHE=str(self.top / 'file/below'))

    def test_damaged_cache_state_heals(self):
        self.expect(0, 'run')
        tree = self.shadow.parent
        for name in ('git/shadow.json', 'git/shadow.index', 'git/prepared.json',
                     'git/series.json', 'build/default/umthp-build.json',
                     'build/default/umthp-config.json'):
            for damage in (b'{"tree": ', b'\0' * 4096):
                with self.subTest(name=name, damage=damage[:8]):
                    self.assertTrue((tree / name).exists())
                    (tree / name).write_bytes(damage)
                    # Something to do, or the damaged state might not be read.
                    self.append('mm/memory.c', 'int more;\n')
                    self.expect(0, 'run')
                    self.assertEqual((self.shadow / 'mm/memory.c').read_text(),
                                     (self.kernel / 'mm/memory.c').read_text())


class RuleOneTest(FakeKernelCase):
    """Rule 1 of the design: outside arch/um, new files and hook lines only."""

    def numstat(self):
        """Changed files of the shadow against the source, as `added removed path`."""
        lines = []
        for path in sorted({str(path.relative_to(top)) for top in (self.kernel, self.shadow)
                            for path in top.rglob('*') if path.is_file()}):
            old, new = ((top / path).read_text().splitlines() if (top / path).exists() else []
                        for top in (self.kernel, self.shadow)) \
                if not path.startswith('.git/') else ([], [])
            changes = [line[0] for line in difflib.ndiff(old, new)]
            if '+' in changes or '-' in changes:
                lines.append(f'{changes.count("+")} {changes.count("-")} {path}')
        return lines

    def test_prepared_tree_differs_by_arch_new_files_and_hooks_only(self):
        self.expect(0, 'run')
        self.assertEqual(self.numstat(), [
            '1 0 arch/um/kernel/mem.c', '1 0 mm/Kconfig', '1 0 mm/Makefile',
            '1 0 mm/tests/Kconfig', '1 0 mm/tests/Makefile', '1 0 mm/tests/x_kunit.c'])
        self.assertEqual((self.shadow / 'mm/Kconfig').read_text().splitlines()[-2:],
                         ['source "mm/tests/Kconfig"', 'endmenu'])
        self.assertEqual((self.shadow / 'mm/Makefile').read_text().splitlines()[-1],
                         'obj-$(CONFIG_KUNIT) += tests/')

    def test_series_that_touches_the_code_under_test_is_refused(self):
        huge = (self.kernel / 'mm/huge_memory.c').read_text()
        rows = (('mm/huge_memory.c', huge, huge + 'int more;\n'),
                ('mm/huge_memory.c', huge, None), ('mm/memory.c', 'int memory;\n', 'int m;\n'),
                ('include/linux/mm.h', '/* mm */\n', '/* mm */\n#define WARN_ON(x) 0\n'),
                ('lib/Kconfig', 'config LIB\n', 'config LIB\nconfig LIB2\n'))
        for number, (path, before, after) in enumerate(rows, 2):
            with self.subTest(path=path, removed=after is None):
                name = f'{number:04}-mm-change.patch'
                self.add_patch(name, path, before, after)
                result = self.expect(6, 'run')
                self.assertIn(path, result.stderr)
                self.put('project/um_config/series', '0001-um-more.patch\n')
                self.expect(0, 'run')

    def test_second_line_in_a_hooked_file_is_refused(self):
        makefile = (self.kernel / 'mm/Makefile').read_text()
        self.add_patch('0002-mm-two.patch', 'mm/Makefile', makefile, makefile + 'obj-y += x.o\n')
        self.assertIn('mm/Makefile', self.expect(6, 'run').stderr)


if __name__ == '__main__':
    unittest.main()
