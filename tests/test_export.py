# SPDX-License-Identifier: GPL-2.0
"""umthp export: what git am makes of the patches, which file is in which, and what is refused."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from fake_kernel import FakeKernelCase, differences, snapshot
from support import DATA, PROJECT, TREE

from umthp_tool import export, export_plan
from umthp_tool.errors import HostError
from umthp_tool.kernels import load_toml
from umthp_tool.series import Series

JANE = 'Jane Doe <jane@example.com>'
KUNIT = 'project/kunit/mm/tests/'
FILES = {path.name: path.read_text() for path in (DATA / 'export').iterdir()}


def source(about, *lines):
    """A C file that checkpatch likes."""
    text = ('// SPDX-License-Identifier: GPL-2.0-only\n/*\n * %s\n */\n' % about
            + ''.join(line + '\n' for line in lines))
    return text.replace('/*\n * \n */\n', '')


def header(*lines):
    return '/* SPDX-License-Identifier: GPL-2.0-only */\n' + ''.join(f'{line}\n' for line in lines)


class ExportCase(FakeKernelCase):

    def setUp(self):
        super().setUp()
        shutil.rmtree(self.project / 'kunit')
        for name, text in FILES.items():
            self.put(KUNIT + name, text)
        (self.project / KUNIT[8:] / '.kunitconfig').symlink_to('../../../kunitconfig')
        shutil.copy2(PROJECT / 'um_config/upstream.toml', self.project / 'um_config')
        self.kconfig = (self.kernel / 'arch/um/Kconfig').read_text()
        self.add_patch('0002-um-old-name.patch', 'arch/um/Kconfig', self.kconfig,
                       self.kconfig + '\tselect OLD_NAME\n')
        self.mark('0002-um-old-name.patch')
        self.out = self.top / 'out'

    def mark(self, name):
        series = self.project / 'um_config/series'
        series.write_text(series.read_text().replace(name + '\n', name + ' # not-upstream\n'))

    def edit(self, name, before, after):
        path = self.project / name
        text = path.read_text()
        self.assertIn(before, text)
        path.write_text(text.replace(before, after))

    def export(self, exit_code=0, *options, author=JANE, **more):
        return self.expect(exit_code, 'export', '--upstream', self.out,
                           *(['--author', author] if author else []), *options, **more)

    def refused(self, exit_code, cause, *options, **more):
        """The command says why and what to do, and leaves nothing behind."""
        result = self.export(exit_code, *options, **more)
        self.assertRegex(result.stderr, cause)
        self.assertFalse(self.out.exists())
        self.assertEqual(list((self.cache / 'export').glob('*')), [])
        return result

    def patches(self, name):
        return sorted(path for path in (self.out / name).iterdir()
                      if not path.name.startswith('0000-'))

    def am(self):
        """The commits that git am of all patches makes, in a clone: [(subject, id)]."""
        self.clone = self.top / 'clone'
        self.git('clone', '-q', self.kernel, self.clone)
        self.git('-C', self.clone, 'am', '-q', *self.patches('linux-um'),
                 *self.patches('linux-mm'))
        log = self.git('-C', self.clone, 'log', '--reverse', '--format=%H %s', 'origin/main..')
        return [line.split(' ', 1)[::-1] for line in log.splitlines()]

    def show(self, commit, name):
        return self.git('-C', self.clone, 'show', f'{commit}:mm/tests/{name}')

    def names(self, commit):
        return set(self.git('-C', self.clone, 'ls-tree', '--name-only', f'{commit}:mm/tests')
                   .split())


def texts(top):
    return {path.relative_to(top).as_posix(): path.read_text() for path in top.rglob('*')
            if path.is_file() and '.git' not in path.relative_to(top).parts}


class TreeTest(ExportCase):

    def test_git_am_gives_the_tested_tree_without_what_stays_at_home(self):
        # git touches an object that it would write and finds there.
        self.put('same', FILES['thp_ledger_want.c'].replace('#include "kunit_mm_compat.h"\n', ''))
        self.git('hash-object', '-w', self.top / 'same')
        for path in (self.kernel / '.git/objects').glob('??/*'):
            os.utime(path, ns=(10**18, 10**18))
        before = snapshot(self.kernel)
        result = self.export()
        self.assertEqual(differences(before, snapshot(self.kernel)), [])
        self.assertEqual(result.stdout, f'{self.out}/linux-um: 1 patches\n'
                                        f'{self.out}/linux-mm: 7 patches\n')
        self.am()
        wanted = texts(self.shadow)
        self.assertIn('select OLD_NAME', wanted['arch/um/Kconfig'])
        wanted['arch/um/Kconfig'] = self.kconfig
        del wanted['mm/tests/kunit_mm_compat.h']
        line = '#include "kunit_mm_compat.h"\n'
        self.assertIn(line, wanted['mm/tests/thp_ledger_want.c'])
        wanted['mm/tests/thp_ledger_want.c'] = wanted['mm/tests/thp_ledger_want.c'].replace(
            line, '')
        found = texts(self.clone)
        self.assertEqual(sorted(found), sorted(wanted))
        self.assertEqual(found, wanted)
        self.assertIn('source "mm/tests/Kconfig"', found['mm/Kconfig'])
        # Objects, indexes and drafts are gone.
        self.assertEqual(list((self.cache / 'export').iterdir()), [])

    def test_each_commit_has_what_its_makefile_builds(self):
        self.export()
        commits = dict(self.am())
        added = {}
        before = set()
        for subject, commit in list(commits.items())[1:]:
            names = self.names(commit)
            objects = re.findall(r'(\w+)\.o', self.show(commit, 'Makefile'))
            self.assertEqual({f'{name}.c' for name in objects},
                             {name for name in names if name.endswith('.c')}, subject)
            symbols = set(re.findall(r'\((CONFIG_\w+)\)', self.show(commit, 'Makefile')))
            self.assertEqual({f'CONFIG_{name}' for name in re.findall(
                r'(?m)^config (\w+)$', self.show(commit, 'Kconfig'))}, symbols, subject)
            self.assertNotRegex(self.show(commit, 'Makefile'), r'\\\n(?!\t)')
            added[subject.removeprefix('mm/tests: add ')] = names - before
            before = names
        suite = 'the suite '
        self.assertEqual(added['a fake provider of device-private memory'], {
            'fake_zone_device.c', 'fake_zone_device.h', 'Kconfig', 'Makefile'})
        self.assertEqual(added[suite + 'fake_zone_device'],
                         {'fake_zone_device_kunit.c', 'early.c'})
        # With it, all of Kconfig is there, and with that .kunitconfig.
        self.assertEqual(added['a ledger of what the kernel keeps about a folio'],
                         {'thp_ledger.h', 'thp_ledger_want.c', '.kunitconfig'})
        # Nobody calls thp_helper.c: it defines what no header declares.
        self.assertEqual(added[suite + 'first'], {'first_kunit.c', 'thp_helper.c', 'thp_helper.h'})
        # The second suite uses a macro that calls something.
        self.assertEqual(added[suite + 'second'], {'second_kunit.c', 'thp_macro.c'})
        # And it speaks of what an inline function calls that the third one uses.
        self.assertEqual(added[suite + 'third'], {'third_kunit.c', 'thp_inline.c'})

    def test_suite_that_comes_new_gets_a_patch_of_its_own(self):
        self.put(KUNIT + 'new_kunit.c', source('Something new.', '#include "new_helper.h"', '',
                                               'int x;', '', 'static int use(void)', '{',
                                               '\treturn new_helper();', '}'))
        self.put(KUNIT + 'new_helper.h', header('int new_helper(void);'))
        self.put(KUNIT + 'new_helper.c',
                 source('', 'int new_helper(void)', '{', '\treturn 1;', '}'))
        self.edit(KUNIT[8:] + 'Makefile', '\tsecond_kunit.o\n',
                  '\tsecond_kunit.o \\\n\tnew_helper.o \\\n\tnew_kunit.o\n')
        self.export()
        path = self.patches('linux-mm')[6]
        text = path.read_text()
        self.assertIn('Subject: [PATCH 7/8] mm/tests: add the suite new\n', text)
        self.assertIn('\n\nSomething new.\n\nWith the helpers that it is the first to need: '
                      f'new_helper.\n\nSigned-off-by: {JANE}\n---\n', text)
        self.assertEqual(set(re.findall(r'(?m)^\+\+\+ b/mm/tests/(\S+)$', text)),
                         {'Makefile', 'new_helper.c', 'new_helper.h', 'new_kunit.c'})

    def test_object_list_with_options_on_one_line(self):
        makefile = ('# M\n\nobj-$(CONFIG_A) += a.o b-c.o\n\n# d\nobj-$(CONFIG_B) += d.o \\\n'
                    '\te.o\n')
        sources = export_plan.Sources({'Makefile': makefile}, ())
        self.assertEqual(sources.objects(), ['a.c', 'b-c.c', 'd.c', 'e.c'])
        self.assertEqual(sources.makefile({'a.c'}), '# M\n')
        self.assertEqual(sources.makefile({'a.c', 'b-c.c', 'd.c', 'e.c'}), makefile)


class LetterTest(ExportCase):

    def cover(self, name):
        return next((self.out / name).glob('0000-*')).read_text()

    def test_cover_letters_addresses_and_base_commit(self):
        self.export()
        head = self.git('rev-parse', 'HEAD').strip()
        table = load_toml(PROJECT / 'um_config/upstream.toml')
        for key, count in (('um', '0/1'), ('mm', '0/7')):
            text = self.cover(table[key]['directory'])
            self.assertIn(f'From: {JANE}\n', text)
            self.assertIn(f'Subject: [PATCH {count}] {table[key]["subject"]}\n', text)
            self.assertIn(f'To: {table[key]["to"][0]}\n', text)
            self.assertIn('Cc: ' + table[key]['cc'][0], text)
            self.assertEqual(' '.join(text.split()).count(
                ' '.join(table[key]['cover'].strip().split('\n\n')[0].split())), 1)
            self.assertIn(f'\nbase-commit: {head}\n', text)
            self.assertNotRegex(text, r'\*\*\*|Based on Linux')
        self.assertIn('prerequisite-patch-id: ', self.cover('linux-mm'))

    def test_author_and_signature(self):
        self.edit('um_config/patches/0001-um-more.patch', 'From: A Developer <a@example.org>',
                  'From: umthp developers <umthp@example.org>')
        self.edit('um_config/patches/0001-um-more.patch', '\nBecause.\n',
                  '\nBecause.\n\nReported-by: B <b@example.org>\n'
                  'Signed-off-by: umthp developers <umthp@example.org>\n')
        self.put(self.home / '.gitconfig',
                 '[user]\nname = Jörg O\'Neil, Jr.\nemail = j@example.com\n')
        self.export(author=None)
        text = self.patches('linux-um')[0].read_text()
        self.assertIn("\nReported-by: B <b@example.org>\n"
                      "Signed-off-by: Jörg O'Neil, Jr <j@example.com>\n---\n", text)
        self.assertNotIn('umthp', text)
        self.am()
        for line in self.git('-C', self.clone, 'log', '--format=%an <%ae>',
                             'origin/main..').splitlines():
            self.assertEqual(line, 'Jörg O\'Neil, Jr <j@example.com>')

    def test_patch_of_somebody_else_stays_theirs(self):
        self.edit('um_config/patches/0001-um-more.patch', '\nBecause.\n',
                  '\nBecause.\n\nSigned-off-by: A Developer <a@example.org>\n')
        self.export()
        text = self.patches('linux-um')[0].read_text()
        self.assertIn('\nFrom: A Developer <a@example.org>\n', text)
        self.assertIn('Signed-off-by: A Developer <a@example.org>\n'
                      f'Signed-off-by: {JANE}\n---\n', text)

    def test_without_git_the_version_is_named(self):
        shutil.rmtree(self.kernel / '.git')
        result = self.export()
        self.assertIn('note: no base-commit: ', result.stderr)
        for name in ('linux-um', 'linux-mm'):
            self.assertRegex(self.cover(name), r'(?s)\nC[cC]: .*\n\n\w.{200,}\n\nBased on Linux '
                                               r'7\.3\.4\.\n\n(Jane Doe|A Developer) ')
            self.assertNotIn('base-commit', self.cover(name))

    def test_commit_of_a_shallow_clone(self):
        self.commit('second')
        # Later than what is committed on top of it: git looks at its parents then.
        subprocess.run(['git', '-c', 'user.name=t', '-c', 'user.email=t', 'commit', '-q', '--amend',
                        '--allow-empty', '-m', 'late'], cwd=self.kernel, check=True,
                       env=self.environment(GIT_COMMITTER_DATE='2037-01-01T00:00:00Z'))
        shallow = self.top / 'shallow'
        self.git('clone', '-q', '--depth=1', f'file://{self.kernel}', shallow)
        self.append('mm/memory.c', 'int edited;\n')
        before = snapshot(shallow)
        self.put(shallow / 'mm/new.c', 'int untracked;\n')
        self.export(0, '--kernel', shallow, '--rev', 'HEAD')
        (shallow / 'mm/new.c').unlink()
        self.assertEqual([name for name in differences(before, snapshot(shallow))
                          if name != 'mm'], [])
        self.assertIn('base-commit: ' + self.git('rev-parse', 'HEAD'), self.cover('linux-um'))

    def test_patch_that_the_tree_has_already_is_left_out(self):
        self.add_patch('0003-um-tls.patch', 'arch/x86/um/tls.c', 'int tls;\n', 'int tls, ours;\n')
        self.put('linux/arch/um/kernel/mem.c', 'int um_mem;\nint um_more;\n')
        self.commit('um: more')
        result = self.export()
        self.assertIn('note: already in this tree: um-more\n', result.stderr)
        self.assertEqual([path.name for path in self.patches('linux-um')], ['0001-um-tls.patch'])
        self.am()


class CheckTest(ExportCase):

    def setUp(self):
        super().setUp()
        for name in ('checkpatch.pl', 'spelling.txt', 'const_structs.checkpatch'):
            self.put(self.kernel / 'scripts' / name, (TREE / 'scripts' / name).read_text())
        # What checkpatch takes for a kernel tree.
        for name in ('COPYING', 'CREDITS', 'MAINTAINERS', 'README', *(
                f'{name}/x' for name in ('Documentation', 'drivers', 'fs', 'init', 'ipc',
                                         'kernel'))):
            self.put(self.kernel / name, '')
        self.commit('checkpatch')
        self.edit('um_config/patches/0001-um-more.patch', 'A Developer <a@example.org>',
                  'umthp developers <umthp@example.org>')

    def test_checkpatch_has_nothing_to_say(self):
        result = self.export()
        self.assertNotIn('not checked', result.stderr)
        self.assertEqual(len(result.stdout.splitlines()), 2)

    def test_complaint_of_checkpatch_fails_with_its_place(self):
        self.put(self.home / '.checkpatch.conf', '--ignore TRAILING_WHITESPACE\n')
        self.edit(KUNIT[8:] + 'second_kunit.c', '*/\n', '*/\nint x; \n')
        self.edit('um_config/patches/0001-um-more.patch', '+int um_more;', '+int um_more; ')
        self.edit('um_config/series', '0002', '# 0002')
        result = self.export(1)
        lines = result.stdout.splitlines()
        self.assertRegex(lines[1], r'^linux-um/0001-um-more.patch:\d+: ERROR:TRAILING_WHITESPACE')
        self.assertRegex(lines[0], r'^linux-mm/0006-mm-tests-add-the-suite-second.patch:\d+: '
                                   'ERROR:TRAILING_WHITESPACE')
        self.assertIn('warning: 2 complaints of checkpatch', result.stderr)
        self.assertEqual(len(self.patches('linux-mm')), 7)

    def test_checkpatch_that_cannot_be_run_is_no_pass(self):
        self.put(self.kernel / 'scripts/checkpatch.pl', 'exit 3;\n')
        self.commit('broken')
        result = self.export(1)
        self.assertIn('0001-um-more.patch: checkpatch failed: ', result.stdout)


class NamesTest(ExportCase):

    def test_project_and_left_out_header_are_not_named(self):
        for text, cause in (('Run it with Umthp.', 'names Umthp, which nobody has upstream'),
                            ('See kunit_mm_compat.h.', 'names kunit_mm_compat.h, ')):
            with self.subTest(text=text):
                self.put(KUNIT + 'second_kunit.c', source(text))
                self.refused(1, r'error: linux-mm/0006-\S+ line \d+ ' + cause)

    def test_other_tree_than_the_tested_one_is_noticed(self):
        text = (self.project / 'tools/umthp_tool/export.py').read_text()
        self.put('project/tools/umthp_tool/export.py', text.replace(
            'for name, text in texts.items()}', 'for name, text in texts.items() if name != '
            '"early.c"}'))
        self.refused(1, r'do not give the tree that is tested: mm/tests/early\.c')


class RefusalTest(ExportCase):

    def test_file_that_no_patch_takes(self):
        for name, text, cause, fix in (
                (KUNIT + 'lonely.h', header('int lonely;'), 'no patch takes lonely.h', 'header'),
                (KUNIT + 'lonely.c', source('', 'int lonely;'), 'no patch takes lonely.c',
                 'Makefile'),
                ('project/kunit/lib/tests/x_kunit.c', source('X.'),
                 'no patch takes kunit/lib/tests/x_kunit.c', r'um_config/upstream\.toml'),
                (KUNIT + 'second_kunit.c', '// SPDX-License-Identifier: GPL-2.0-only\nint x;\n',
                 'second_kunit.c has no comment at its top', 'what the suite tests')):
            with self.subTest(name=name):
                self.put(name, text)
                result = self.refused(2, cause)
                self.assertRegex(result.stderr, 'fix: .*' + fix)
                if Path(name).name in FILES:
                    self.put(name, FILES[Path(name).name])
                else:
                    (self.top / name).unlink()
        self.export()

    def test_makefile_and_kconfig_that_cannot_be_divided(self):
        self.edit(KUNIT[8:] + 'Kconfig', '  lines.\n\n', '  lines.\n\n\n')
        self.refused(2, 'Kconfig is not what its parts give together')
        self.put(KUNIT + 'Kconfig', FILES['Kconfig'])
        self.edit(KUNIT[8:] + 'Makefile', '\tearly.o', '\tgone.o \\\n\tearly.o')
        self.refused(2, 'the Makefile builds what is not there: gone.c')
        self.put(KUNIT + 'Makefile', FILES['Makefile'] + '\n')
        self.refused(2, 'Makefile is not what its parts give together')

    def test_directory(self):
        self.put(self.out / 'x', '')
        self.assertIn('out is not an empty directory', self.export(2).stderr)
        self.out = self.out / 'x'
        self.assertIn('x is not an empty directory', self.export(2).stderr)
        self.out = self.kernel / 'outgoing'
        before = snapshot(self.kernel)
        self.assertIn('which umthp never writes to', self.export(2).stderr)
        self.assertEqual(differences(before, snapshot(self.kernel)), [])

    def test_who_signs(self):
        # Not root@localhost, and not the name in the table of users.
        self.refused(2, 'git does not know who you are', author=None, EMAIL='j@example.com')
        for author in ('Jane', 'Jane <jane>', '.,. <j@example.com>', 'Jane <a@b> x',
                       'J\nX: y <j@example.com>'):
            self.refused(2, r'not of the form NAME <MAIL>', author=author)

    def test_tree_that_is_no_commit(self):
        self.append('mm/memory.c', 'int edited;\n')
        result = self.refused(2, 'has changes that are in no commit')
        self.assertIn('--rev HEAD', result.stderr)
        self.export(0, '--rev', 'HEAD')

    def test_kernel_that_needs_more(self):
        self.edit('../linux/Makefile', 'PATCHLEVEL = 3', 'PATCHLEVEL = 2')
        self.commit('older')
        self.refused(6, 'is 7.2.4: what is exported is for 7.3 and newer')
        self.edit('../linux/Makefile', 'PATCHLEVEL = 2', 'PATCHLEVEL = 3')
        self.append('arch/um/Kconfig', '\tselect HAVE_ARCH_TRANSPARENT_HUGEPAGE\n')
        self.commit('merged')
        self.refused(6, 'has the series already: there is nothing to export')

    def test_patch_that_is_built_on_one_that_stays(self):
        self.add_patch('0003-um-on-top.patch', 'arch/um/Kconfig',
                       self.kconfig + '\tselect OLD_NAME\n', self.kconfig + '\tselect NEWER\n')
        result = self.refused(6, '0003-um-on-top.patch does not apply without the patches that are '
                                 'marked not-upstream')
        self.assertIn('fix:   let those come last in um_config/series', result.stderr)

    def test_table(self):
        path = self.project / 'um_config/upstream.toml'
        good = path.read_text()
        for text, cause in ((good.replace('subject', 'object'), "not valid: .*(subject|object)"),
                            (good + '[[mm.stage', 'not valid'), ('um = 1\n', 'not valid')):
            path.write_text(text)
            self.refused(2, r'upstream\.toml is ' + cause)
        path.unlink()
        self.refused(2, r'cannot read \S*upstream\.toml')

    def test_dry_run_writes_nothing(self):
        result = self.export(0, '--dry-run')
        self.assertEqual(result.stdout.splitlines()[1:], [
            f'$ git format-patch --cover-letter --signoff -o {self.out}/{name}'
            for name in ('linux-um', 'linux-mm')])
        self.assertFalse(self.out.exists() or self.cache.exists())

    def test_clean_knows_the_directory(self):
        left = self.cache / 'export/umthp-run-killed'
        left.mkdir(parents=True)
        self.assertIn(f'would remove {left}\n', self.expect(0, 'clean', '--dry-run').stdout)
        self.expect(0, 'clean')
        self.assertFalse(left.exists())


class DeliverTest(unittest.TestCase):

    def setUp(self):
        self.top = Path(tempfile.mkdtemp(prefix='umthp-test-'))
        self.addCleanup(shutil.rmtree, self.top)
        for name in ('a', 'b'):
            (self.top / 'out' / name).mkdir(parents=True)
            (self.top / 'out' / name / '1').write_text(name)

    def deliver(self, failure):
        """Fail at the second directory."""
        copy = shutil.copytree

        def second(source_dir, target):
            copy(source_dir, target)
            if target.name == 'b':
                raise failure
        with mock.patch('shutil.copytree', second):
            export._deliver(self.top / 'out', self.top / 'new/deep')

    def test_all_or_nothing(self):
        with self.assertRaises(KeyboardInterrupt):
            self.deliver(KeyboardInterrupt())
        self.assertEqual(os.listdir(self.top), ['out'])
        with self.assertRaisesRegex(HostError, 'cannot write to .*new/deep: full'):
            self.deliver(OSError(28, 'full'))
        self.assertEqual(os.listdir(self.top), ['out'])
        (self.top / 'new/deep').mkdir(parents=True)
        with self.assertRaises(KeyboardInterrupt):
            self.deliver(KeyboardInterrupt())
        self.assertEqual(os.listdir(self.top / 'new/deep'), [])
        export._deliver(self.top / 'out', self.top / 'new/deep')
        self.assertEqual((self.top / 'new/deep/b/1').read_text(), 'b')


class ProjectTest(unittest.TestCase):
    """The suites of this project as they are now."""

    def setUp(self):
        self.tables = load_toml(PROJECT / 'um_config/upstream.toml')
        table = self.tables['mm']
        folder = PROJECT / 'kunit' / table['files']
        self.sources = export_plan.Sources(
            {path.name: path.read_text(encoding='utf-8') for path in folder.iterdir()},
            table['not_upstream'])
        self.steps = self.sources.plan([export_plan.Stage(**one) for one in table['stage']])

    def test_every_file_is_in_one_patch_after_what_it_includes(self):
        there = set()
        for step in self.steps:
            self.assertEqual(there & set(step.files), set())
            there.update(step.files)
            for name in step.files:
                for other in re.findall(r'(?m)^#include "(\w[^"]*)"', self.sources.files[name]):
                    self.assertIn(other, there, f'{name} in: {step.subject}')
            objects = re.findall(r'(\w+)\.o', self.sources.makefile(there))
            self.assertEqual({f'{name}.c' for name in objects},
                             {name for name in there if name.endswith('.c')})
        self.assertEqual(there | {'Kconfig', 'Makefile'}, set(self.sources.files))

    def test_each_suite_has_a_patch(self):
        suites = [name[:-len('_kunit.c')] for name in self.sources.files
                  if name.endswith('_kunit.c')]
        subjects = [step.subject for step in self.steps]
        self.assertGreater(len(suites), 50)
        for suite in suites:
            self.assertEqual(subjects.count(f'mm/tests: add the suite {suite}'), 1)

    def test_nothing_names_what_stays_at_home(self):
        for name, text in self.sources.files.items():
            self.assertNotRegex(text, '(?i)umthp|kunit_mm_compat', name)
        for step in self.steps:
            self.assertNotRegex(step.subject + step.body, '(?i)umthp|kunit_mm_compat')

    def test_what_stays_is_at_the_end_of_the_series(self):
        patches = Series(PROJECT / 'um_config', '7.3.4').patches
        marks = [patch.upstream for patch in patches]
        self.assertEqual(marks, sorted(marks, reverse=True))
        self.assertIn(False, marks)

    def test_cover_letters_fit_into_a_mail(self):
        for table in self.tables.values():
            for line in export_plan.filled(table['cover']).splitlines():
                self.assertLessEqual(len(line), 75)


class SeriesTest(unittest.TestCase):

    def test_mark_and_guard(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, 'patches').mkdir()
            for name in 'abcd':
                Path(folder, 'patches', name).write_text('Subject: x\n')
            Path(folder, 'series').write_text(
                'a # not-upstream\nb # <7.3 not-upstream\nc # not-upstream >=7.3\nd # >=7.3\n')
            self.assertEqual([(patch.path.name, patch.upstream) for patch in Series(
                Path(folder), '7.3.4').patches], [('a', False), ('c', False), ('d', True)])
            self.assertEqual([(patch.path.name, patch.upstream) for patch in Series(
                Path(folder), '7.2.13').patches], [('a', False), ('b', False)])


if __name__ == '__main__':
    unittest.main()
