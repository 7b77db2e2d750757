# SPDX-License-Identifier: GPL-2.0
"""umthp report: what is kept of a run, what the page makes of it, and the page in a browser."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ET
from pathlib import Path

from browser import Browser, needs_chromium
from fake_kernel import FakeKernelCase
from support import DATA, PROJECT, TREE, needs_kernel_tree

from umthp_tool import expected, kept, ktap, ledger, page_data, report_json, scenarios, verdict
from umthp_tool.boot import Boot
from umthp_tool.errors import UsageError

RUN = expected.Run(version='7.3.4', variant='default', glob=None, slow=False)
HOSTILE = ('</script><script>document.title="owned"</script><img src=http://evil.example/x '
           'onerror=\'document.title="owned"\'>&lt;{{7*7}}$x^2$"\u2028\x1b[2J\x00')
DEBIAN_PYTHON = '/usr/bin/python3'


def has_jinja():
    return any(not subprocess.run([python, '-c', 'import jinja2'], stderr=subprocess.DEVNULL,
                                  check=False).returncode
               for python in (sys.executable, DEBIAN_PYTHON) if Path(python).exists())


needs_jinja = unittest.skipUnless(has_jinja(), 'apt install python3-jinja2 python3-matplotlib')


def document(log='page/ledger', kernel='7.3.4', variant='default', **more):
    """What --json has of a recorded boot."""
    result = verdict.judge(TREE, [Boot(['linux'], DATA / f'{log}.log', returncode=0)], RUN, None)
    made = report_json.document(kernel=kernel, tree='1' * 40, variant=variant,
                                seconds={'run': 1.5}, result=result)
    return {**made, 'source': 'a tree', 'ended': '2026-11-25T00:00:00Z', **more}


@needs_kernel_tree
class LedgerTest(unittest.TestCase):

    def tables(self):
        lines = (DATA / 'page/ledger.log').read_text().splitlines()
        return ledger.read(lines, ktap.scan(lines))

    def test_each_case_has_its_own_tables(self):
        tables = self.tables()
        self.assertEqual(list(tables), ['trap_good.split_order[order2_to_0]',
                                        'trap_good.split_order[order3_to_2]'])
        first, second = tables['trap_good.split_order[order2_to_0]']
        self.assertEqual(first.step, 'try_to_migrate')
        self.assertEqual(first.rows[0], ledger.Row('order', '0', '2', '2'))
        self.assertEqual(first.rows[3].after, 'lock|upt|head|swpb')
        self.assertEqual(second.rows[0], ledger.Row('order', '2', '0', '0'))

    def test_wrong_row_is_wrong_and_no_other_line_is_a_row(self):
        table, = self.tables()['trap_good.split_order[order3_to_2]']
        self.assertEqual([row.field for row in table.rows],
                         ['order', 'refcount', 'mapcount', 'index'])
        self.assertEqual([row.field for row in table.rows if row.wrong], ['refcount'])

    def test_json_has_them_and_only_for_cases_that_print_some(self):
        tests = {test['name']: test for test in document()['suites'][0]['tests']}
        self.assertEqual(len(tests['split_order[order2_to_0]']['ledger']), 2)
        self.assertEqual(tests['split_order[order3_to_2]']['ledger'][0]['rows'][1],
                         ['refcount', '1', '1', '2', 'wrong'])
        self.assertNotIn('ledger', tests['plain'])


class ScenariosTest(unittest.TestCase):

    def test_places(self):
        for name, form, scenario, row, column in (
                ('s.t[order9_to_0]', 'pair', 't', '9', '0'),
                ('s.t[anon_order4_to_2_ptes_at_last]', 'pair', 't: anon', '4', '2'),
                ('s.t[order_3_as_9]', 'pair', 't', '3', '9'),
                ('s.t[order9_pmd_get_last]', 'order', '', 't', '9'),
                ('s.t[system_order0]', 'order', '', 't', '0'),
                ('s.t[order9_to_small]', 'order', '', 't', '9'),
                ('s.t[order12_to_3]', 'plain', '', 't', 'order12_to_3'),
                ('s.t[setup_child_fork_to_ram_pmd_small_shared]', 'phase', 't: to_ram',
                 'child_fork', 'setup'),
                ('s.t[in_collect_mremap_unaligned_to_peer_order5]', 'phase', 't: to_peer',
                 'mremap_unaligned', 'in_collect'),
                ('s.t[minute_1]', 'plain', '', 't', 'minute_1'), ('s.t', 'plain', '', 't', '')):
            with self.subTest(name=name):
                at = scenarios.place(name)
                self.assertEqual((at.suite, at.form, at.scenario, at.row, at.column),
                                 ('s', form, scenario, row, column))

    def test_every_expected_test_stands_in_one_cell(self):
        names = [entry.name for entry in expected.required(PROJECT / 'tests/expected_tests')]
        seen = [number for of_suite in scenarios.tables(names).values() for table in of_suite
                for cases in table.cells.values() for number in cases]
        self.assertEqual(sorted(seen), list(range(len(names))))

    def test_the_suites_on_splits_are_matrices_of_orders(self):
        names = [entry.name for entry in expected.required(PROJECT / 'tests/expected_tests')]
        of_suite = scenarios.tables(names)
        for suite in ('device_private_thp_split_unmapped', 'device_private_thp_split_mapped',
                      'thp_split_control', 'device_private_thp_split_partial'):
            self.assertEqual({table.form for table in of_suite[suite]}, {'pair'})
        whole = next(table for table in of_suite['device_private_thp_split_unmapped']
                     if table.title == 'split_in_no_page_table')
        orders = [0, *range(2, 10)]
        self.assertEqual({(int(old), int(new)) for old, new in whole.cells},
                         {(old, new) for old in orders for new in orders if new < old})
        self.assertEqual({table.form for table in of_suite['device_private_thp_interleave']},
                         {'phase', 'plain'})


@needs_kernel_tree
class DataTest(unittest.TestCase):

    def letters(self, *documents, entries=()):
        data = page_data.collect(documents, entries)
        return [dict(zip(data.names, run.letters)) for run in data.runs]

    def test_letters(self):
        entries = [expected.Entry('trap_good.gone', ()), expected.Entry('trap_slow.x', ('slow',))]
        found, = self.letters(document(missing=['trap_good.gone'], splats=[
            {'test': 'trap_good.plain', 'text': 'WARNING: x', 'kind': 'WARNING'}]),
            entries=entries)
        self.assertEqual(found, {
            'trap_good.gone': 'm', 'trap_good.plain': 'f', 'trap_good.skipped': 's',
            'trap_good.split_order[order2_to_0]': 'p', 'trap_good.split_order[order3_to_2]': 'f',
            'trap_good.split_order[order9_to_0]': 'p', 'trap_slow.x': 'n'})

    def test_known_bug_is_one_only_if_it_is_still_there(self):
        bug = {'id': 'B', 'state': 'still there', 'claim': 'c', 'reports': [
            {'test': 'trap_good.plain', 'state': 'still there', 'text': 'x'},
            {'test': 'trap_good.split_order', 'state': 'fixed in this tree', 'text': 'y'}]}
        found, = self.letters(document(known_bugs=[bug]))
        self.assertEqual(found['trap_good.plain'], 'k')
        # A boot of its own speaks for all parameters, and does not hide a failure.
        self.assertEqual(found['trap_good.split_order[order2_to_0]'], 'p')
        bug['reports'][1]['state'] = 'still there'
        found, = self.letters(document(known_bugs=[bug]))
        self.assertEqual(found['trap_good.split_order[order2_to_0]'], 'k')
        self.assertEqual(found['trap_good.split_order[order3_to_2]'], 'f')

    def test_cell_is_as_bad_as_its_worst_case(self):
        for cases, worst in (('ppf', 'f'), ('pkp', 'k'), ('np', 'p'), ('sn', 's'), ('pm', 'm')):
            self.assertEqual(page_data.worst(cases), worst)

    def test_ranges(self):
        self.assertEqual(page_data.ranges([3, 4, 5, 9]), '3-5 9')
        self.assertEqual(page_data.ranges([7]), '7')
        self.assertEqual(page_data.ranges([]), '')

    def test_last_run_of_each_kernel_and_variant_counts(self):
        old = document(ended='2026-11-24T00:00:00Z')
        new = document(ended='2026-11-25T00:00:00Z')
        smp = document(variant='smp', ended='2026-11-23T00:00:00Z')
        self.assertEqual(page_data.latest([new, old, smp]), [new, smp])

    def test_what_is_no_verdict_is_refused_with_the_reason(self):
        good = document()
        broken = [[], {}, {**good, 'suites': {}}, {**good, 'suites': [{'name': 'x'}]},
                  {**good, 'suites': [{'name': 'x', 'tests': [{'name': 'y'}]}]},
                  {**good, 'splats': ['x']}, {**good, 'known_bugs': [1]},
                  {**good, 'known_bugs': [{'id': 'B', 'reports': [1]}]},
                  {**good, 'suites': [{'name': 'x', 'tests': [
                      {'name': 'y', 'status': 'passed', 'ledger': [{'step': 1, 'rows': [1]}]}]}]},
                  {'functions': {'f': {'lines': [1]}}}, {'functions': []}]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, 'f.json')
            for value in broken:
                with self.subTest(value=str(value)[:60]):
                    path.write_text(json.dumps(value))
                    with self.assertRaisesRegex(UsageError, 'neither a verdict nor a coverage'):
                        kept.load(path)
            path.write_text(json.dumps(good))
            self.assertEqual(kept.load(path), json.loads(json.dumps(good)))
            for content in ('{', '[' * 100000):
                path.write_text(content)
                with self.assertRaises(UsageError):
                    kept.load(path)


class KeptTest(FakeKernelCase):

    def kept(self):
        return sorted(path.name for path in self.cache.glob('trees/*/logs/verdict-*.json'))

    def test_run_of_all_suites_is_kept_and_shown(self):
        self.expect(3, 'report')
        self.expect(0, 'run')
        self.assertEqual(self.kept(), ['verdict-default.json'])
        self.expect(0, 'run', '--variant', 'smp')
        table = self.expect(0, 'report').stdout
        self.assertRegex(table, r'(?m)^7\.3\.4, default  pass    4 passed, .* 0 failed, 0 not run')
        self.assertRegex(table, r'(?m)^7\.3\.4, smp      pass ')

    def test_failure_replaces_a_pass_and_so_does_a_build_error(self):
        self.expect(0, 'run')
        self.set_boot('test_failed')
        self.expect(1, 'run')
        self.assertRegex(self.expect(0, 'report').stdout, r'default  fail ')
        self.append('mm/memremap.c', 'BROKEN\n')
        self.expect(5, 'run')
        self.assertRegex(self.expect(0, 'report').stdout, r'default  build-error .* 5 not run')

    def test_run_of_some_suites_leaves_it_alone(self):
        self.expect(0, 'run')
        self.set_boot('test_failed')
        self.expect(1, 'run', 'trap_fail')
        self.assertRegex(self.expect(0, 'report').stdout, r'default  pass ')

    def test_files_are_shown_with_and_without_the_cache(self):
        self.expect(0, 'run', '--json', self.top / 'v.json')
        value = json.loads((self.top / 'v.json').read_text())
        self.put('w.json', json.dumps({**value, 'kernel': '7.2.13', 'ended': ''}))
        first = self.expect(0, 'report', self.top / 'w.json').stdout.splitlines()
        self.assertEqual([line.split(',')[0] for line in first], ['7.2.13', '7.3.4'])
        only = self.expect(0, 'report', '--only-files', self.top / 'w.json').stdout
        self.assertEqual(len(only.splitlines()), 1)
        self.expect(2, 'report', self.top / 'gone.json')
        self.put('x.json', '{"functions": 1}')
        self.expect(2, 'report', self.top / 'x.json')

    @needs_jinja
    def test_page_is_written_and_replaced(self):
        self.expect(0, 'run')
        where = self.top / 'a dir/page'
        self.expect(0, 'report', '--html', where)
        first = (where / 'index.html').read_bytes()
        self.expect(0, 'report', '--html', where)
        self.assertEqual((where / 'index.html').read_bytes(), first)     # same numbers, same page
        self.assertEqual([path.name for path in where.iterdir()], ['index.html'])
        self.put('file', '')
        self.expect(2, 'report', '--html', self.top / 'file')
        self.expect(7, 'report', '--html', '/proc/page')

    def rename(self, *names):
        """Let these libraries be ones that no Python has."""
        for name in ('page_libraries.py', 'report_command.py'):
            module = self.project / 'tools/umthp_tool' / name
            text = module.read_text()
            for library in names:
                text = text.replace(f'"{library}"', f'"gone_{library}"')
            module.write_text(text)

    def test_missing_jinja_is_said_with_the_line_to_type(self):
        self.expect(0, 'run')
        self.rename('jinja2', 'matplotlib')
        result = self.umthp('report', '--html', self.top / 'page')
        self.assertEqual(result.returncode, 5, result.stderr)
        self.assertIn('fix:   Debian: apt install python3-gone_jinja2', result.stderr)
        self.expect(0, 'report')

    @needs_jinja
    def test_page_without_matplotlib_has_no_plots_and_says_so(self):
        self.expect(0, 'run')
        self.rename('matplotlib')
        result = self.expect(0, 'report', '--html', self.top / 'page')
        self.assertIn('apt install python3-matplotlib', result.stderr)
        text = (self.top / 'page/index.html').read_text()
        self.assertNotIn('<svg', text)
        self.assertIn('The plots need matplotlib', text)


def made_page(folder, *documents, whole=False):
    """The page of some documents, by the command; with all expected tests, or some of them."""
    project = PROJECT
    if not whole:
        project = Path(folder, 'project')
        shutil.copytree(PROJECT / 'tools', project / 'tools',
                        ignore=shutil.ignore_patterns('__pycache__', 'selftest*'))
        (project / 'tests').mkdir()
        lines = (PROJECT / 'tests/expected_tests').read_text().splitlines(keepends=True)
        (project / 'tests/expected_tests').write_text(''.join(lines[::60]))
    names = []
    for number, value in enumerate(documents):
        names.append(Path(folder, f'{number}.json'))
        names[-1].write_text(json.dumps(value))
    done = subprocess.run(
        [sys.executable, str(project / 'tools/umthp'), 'report', '--only-files', '--html',
         str(folder), *map(str, names)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding='utf-8', check=False)
    if done.returncode:
        raise AssertionError(done.stdout)
    return Path(folder, 'index.html')


def hostile_document():
    """Everything in it that comes from a log, a tree or a command line, as bad as can be."""
    value = document(kernel=HOSTILE, variant=HOSTILE, source=HOSTILE, glob=HOSTILE,
                     ended=HOSTILE, tree=HOSTILE, verdict=HOSTILE, errors=[HOSTILE],
                     missing=['%s.%s' % (HOSTILE, HOSTILE)], error={'cause': HOSTILE,
                                                                    'fix': HOSTILE})
    value['suites'].append({'name': HOSTILE, 'tests': [
        {'name': '%s[order2_to_0%s]' % (HOSTILE, HOSTILE), 'status': 'failed', 'seconds': 1,
         'log': [HOSTILE], 'ledger': [{'step': HOSTILE, 'rows': [[HOSTILE] * 5]}]},
        {'name': HOSTILE, 'status': HOSTILE, 'reason': HOSTILE}]})
    value['splats'] = [{'test': HOSTILE, 'text': HOSTILE, 'kind': HOSTILE}]
    value['known_bugs'] = [{'id': HOSTILE, 'state': HOSTILE, 'claim': HOSTILE, 'reports': [
        {'test': HOSTILE, 'state': HOSTILE, 'text': HOSTILE}]}]
    return value


@needs_kernel_tree
@needs_jinja
class PageTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='umthp-test-')
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_every_case_has_a_cell_and_its_data(self):
        text = made_page(self.folder, document(), whole=True).read_text(encoding='utf-8')
        data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))
        seen = []
        for word in re.findall(r'data-c="([^"]*)"', text):
            for part in word.split():
                first, _, last = part.partition('-')
                seen += range(int(first), int(last or first) + 1)
        self.assertEqual(sorted(seen), list(range(len(data['names']))))
        run = data['runs'][0]
        self.assertEqual(len(run['letters']), len(data['names']))
        number = data['names'].index('trap_good.split_order[order3_to_2]')
        table = data['tables'][run['ledger'][str(number)][0]]
        rows = [[data['strings'][word] for word in data['rows'][row]] for row in table[1:]]
        self.assertEqual(data['strings'][table[0]],
                         'folio_split_unmapped: folio 1 of 2, 1 wrong')
        self.assertEqual(rows[1], ['refcount', '1', '1', '2', 'wrong'])

    def test_nothing_is_loaded_and_one_script_may_run(self):
        text = made_page(self.folder, document(), {'functions': {
            'mm/x.c:f': {'lines': [1, 2], 'branches': [0, 0]}}}).read_text(encoding='utf-8')
        self.assertIn('mm/x.c', text)
        self.assertRegex(text, r'Content-Security-Policy" content="default-src \'none\'; '
                         r"style-src 'unsafe-inline'; script-src 'sha256-")
        for word in ('<link', '@import', '<iframe', 'src="', 'url(http'):
            self.assertNotIn(word, text)
        # Plots name their vocabulary; nothing of that is fetched.
        self.assertEqual(set(re.findall(r'https?://[\w.]+', text)), {'http://www.w3.org'})

    def test_plots_are_well_formed_and_take_the_colours_of_the_page(self):
        text = made_page(self.folder, hostile_document()).read_text(encoding='utf-8')
        plots = re.findall(r'<svg.*?</svg>', text, re.S)
        if not plots:
            self.skipTest('apt install python3-matplotlib')
        for plot in plots:
            ET.fromstring(plot)
            self.assertIn('var(--', plot)
            self.assertNotIn('#fe0', plot)
            self.assertRegex(plot, r'^<svg role="img" aria-label="')

    def test_hostile_text_is_text(self):
        text = made_page(self.folder, hostile_document()).read_text(encoding='utf-8')
        self.assertEqual(text.count('<script'), 2)
        self.assertEqual(text.count('</script'), 2)
        self.assertNotIn('<img', text)
        self.assertNotIn('49', re.findall(r'&lt;(\w+)\$x', text))
        self.assertIn('{{7*7}}', text)


@needs_kernel_tree
@needs_jinja
@needs_chromium
class BrowserTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix='umthp-test-')
        cls.addClassCleanup(cls.folder.cleanup)
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)
        good = document(log='good', variant='smp')
        cls.page = made_page(cls.folder.name, document(), good)

    def cell(self, name):
        return f'[...document.querySelectorAll("button.c")].find((cell) => ' \
               f'cell.cases.includes({self.names().index(name)}))'

    def names(self):
        return self.browser.ask('JSON.parse(document.getElementById("data").textContent).names')

    def test_hostile_page_runs_and_loads_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            page = made_page(folder, hostile_document())
            self.browser.size(1280, 900)
            self.browser.open(page)
            title = self.browser.ask('document.title')
            # Open every case, so that its text goes through the script as well.
            self.browser.ask('for (const cell of document.querySelectorAll("main button.c")) {'
                             ' if (!cell.dataset.l.includes("owned")) continue;'
                             ' cell.click(); for (const one of document.querySelectorAll('
                             '"#panel details")) one.open = true;'
                             ' document.getElementById("close").click(); }')
            self.browser.until('true')
            self.assertEqual(self.browser.ask('document.title'), title)
            self.assertNotEqual(title, 'owned')
            self.assertEqual(self.browser.ask('document.querySelectorAll("img, iframe").length'),
                             0)
            self.assertEqual(self.browser.requests, [page.as_uri()])
            self.assertEqual(self.browser.errors, [])

    def test_cell_opens_the_ledger_and_gives_the_focus_back(self):
        self.browser.size(1280, 900)
        self.browser.open(self.page)
        cell = self.cell('trap_good.split_order[order3_to_2]')
        self.browser.ask(f'{cell}.focus()')
        self.browser.press('Enter')
        self.browser.until('document.getElementById("panel").open')
        self.browser.until('document.querySelector("#panel .ledger .wrong")')
        self.assertEqual(self.browser.ask(
            '[...document.querySelectorAll("#panel .ledger .wrong > *")].map((e) => e.innerText)'
        ), ['refcount', '1', '1', '2 ✕'])
        # A field that stays as it is appears when asked for.
        shown = '[...document.querySelectorAll("#panel .ledger tr")].filter(' \
                '(row) => row.offsetHeight).map((row) => row.cells[0].innerText)'
        self.assertNotIn('index', self.browser.ask(shown))
        self.browser.ask('document.getElementById("same").click()')
        self.assertIn('index', self.browser.ask(shown))
        self.assertIn('umthp run trap_good.split_order',
                      self.browser.ask('document.getElementById("panel").innerText'))
        self.browser.press('Escape')
        self.browser.until('!document.getElementById("panel").open')
        self.assertTrue(self.browser.ask(f'document.activeElement === {cell}'))

    def test_arrow_keys_move_in_a_matrix_and_tab_leaves_it(self):
        self.browser.size(1280, 900)
        self.browser.open(self.page)
        self.browser.ask(self.cell('trap_good.split_order[order2_to_0]') + '.focus()')
        focus = 'document.activeElement.dataset.l'
        for key, label in (('ArrowDown', 'order 3 to 2'), ('ArrowDown', 'order 9 to 0'),
                           ('ArrowDown', 'order 9 to 0'), ('ArrowUp', 'order 3 to 2')):
            self.browser.press(key)
            self.assertEqual(self.browser.ask(focus), label, key)
        self.browser.until('!document.getElementById("tip").hidden')
        self.assertEqual(self.browser.ask('document.getElementById("tip").textContent'),
                         'order 3 to 2: fail')
        self.browser.press('Tab')
        self.assertNotIn(self.browser.ask(focus), ('order 2 to 0', 'order 3 to 2', 'order 9 to 0'))

    def test_address_of_a_case_opens_it(self):
        self.browser.size(1280, 900)
        self.browser.open(self.page, '#case=trap_good.split_order%5Border3_to_2%5D')
        self.browser.until('document.getElementById("panel").open')
        self.browser.press('Escape')
        self.browser.until('!document.getElementById("panel").open')
        self.assertTrue(self.browser.ask('document.activeElement === '
                                         + self.cell('trap_good.split_order[order3_to_2]')))
        self.browser.open(self.page, '#case=%E0%A4%A')
        self.assertFalse(self.browser.ask('document.getElementById("panel").open'))
        self.assertEqual(self.browser.errors, [])

    def test_other_run_and_filter(self):
        self.browser.size(1280, 900)
        self.browser.open(self.page)
        count = 'document.querySelector("[data-count=f]").textContent'
        self.assertEqual(self.browser.ask(count), '1')
        visible = '[...document.querySelectorAll(".suite")].filter((s) => s.offsetHeight).length'
        suites = self.browser.ask(visible)
        self.assertGreater(suites, 1)
        self.browser.ask('document.querySelector("[data-f=f]").click()')
        self.assertEqual(self.browser.ask(visible), 1)
        self.browser.ask('document.querySelector("[data-run=\\"1\\"]").click()')
        self.assertEqual(self.browser.ask(count), '0')
        self.assertEqual(self.browser.ask(visible), 0)
        self.assertTrue(self.browser.ask('document.getElementById("none").offsetHeight > 0'))
        self.browser.ask('document.querySelector("[data-f=f]").click()')
        self.browser.ask('const find = document.getElementById("find"); find.value = "trap order9";'
                         ' find.dispatchEvent(new Event("input"))')
        self.assertEqual(self.browser.ask(visible), 1)
        self.assertEqual(self.browser.ask('document.getElementById("verdict").textContent'),
                         'pass')

    def test_fits_wide_and_phone_and_can_be_read_in_light_and_dark(self):
        contrast = '''(() => {
            const light = (colour) => {
                const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => {
                    const one = part / 255;
                    return one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
            };
            const back = (node) => {
                for (; node; node = node.parentElement) {
                    const colour = getComputedStyle(node).backgroundColor;
                    if (!/, 0\\)$/.test(colour)) return colour;
                }
                return getComputedStyle(document.documentElement).backgroundColor;
            };
            const bad = [];
            for (const node of document.querySelectorAll("h1, h2, p, a, td, th, span, button, b")) {
                if (!node.offsetHeight || !node.textContent.trim()) continue;
                const [one, two] = [light(getComputedStyle(node).color), light(back(node))];
                const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
                if (ratio < (node.matches("button.c") ? 3 : 4.5))
                    bad.push(`${node.tagName}.${node.className} ${ratio.toFixed(2)}`);
            }
            return [...new Set(bad)];
        })()'''
        folder = tempfile.TemporaryDirectory(prefix='umthp-test-')
        self.addCleanup(folder.cleanup)
        whole = made_page(folder.name, document(), whole=True)
        for width, height in ((1280, 900), (390, 844), (320, 640)):
            for dark in (False, True):
                with self.subTest(width=width, dark=dark):
                    self.browser.size(width, height, dark)
                    self.browser.open(self.page if width == 320 else whole)
                    self.assertLessEqual(
                        self.browser.ask('document.documentElement.scrollWidth'), width)
                    self.assertGreaterEqual(self.browser.ask(
                        'Math.min(...[...document.querySelectorAll("button.c")].filter('
                        '(c) => c.offsetHeight).map((c) => c.offsetHeight))'), 24)
                    self.assertEqual(self.browser.ask(contrast), [])
                    self.browser.ask(self.cell('trap_good.split_order[order3_to_2]') + '.click()')
                    self.browser.until('document.getElementById("panel").open')
                    self.assertLessEqual(self.browser.ask(
                        'document.getElementById("panel").scrollWidth'), width)
                    self.assertEqual(self.browser.ask(contrast), [])


if __name__ == '__main__':
    unittest.main()
