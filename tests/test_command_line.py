# SPDX-License-Identifier: GPL-2.0
"""Help, manual page and completion: they say what the parser has, and work in their programs."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from support import PROJECT

from umthp_tool import cli, command_tree, completion, config, expected

UMTHP = PROJECT / 'tools/umthp'
COMMANDS = command_tree.read(cli.make_parser())


def umthp(*words):
    done = subprocess.run([sys.executable, str(UMTHP), *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, encoding='utf-8', check=False,
                          env={**os.environ, 'COLUMNS': '80', 'NO_COLOR': '1'})
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout


def all_flags():
    return {flag for command in COMMANDS for option in command.options for flag in option.flags}


class HelpTest(unittest.TestCase):

    def test_fits_a_screen_and_names_every_command(self):
        text = umthp('--help')
        lines = text.splitlines()
        # The prompt needs a line as well.
        self.assertLessEqual(len(lines), 23, text)
        for line in lines:
            self.assertLessEqual(len(line), 80, line)
        for command in COMMANDS:
            self.assertRegex(text, r'(?m)^  (?:[\w-]+, )*%s\b' % re.escape(command.name))

    def test_each_command_explains_itself(self):
        for command in COMMANDS:
            with self.subTest(command=command.name):
                self.assertTrue(command.text)
                for option in (*command.options, *command.arguments):
                    if option.flags or option.kind != command_tree.GLOB:
                        self.assertTrue(option.text, option)


@unittest.skipUnless(shutil.which('man') and shutil.which('groff'), 'apt install man-db groff-base')
class ManualTest(unittest.TestCase):

    def shown(self, *options):
        done = subprocess.run(
            ['man', '--warnings', '-E', 'UTF-8', '-l', *options, '-'], input=umthp('man'),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8', check=False,
            env={**os.environ, 'MANWIDTH': '200', 'MANPAGER': 'cat', 'GROFF_NO_SGR': '1'})
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        return re.sub('.\b', '', done.stdout)

    def test_names_every_command_and_option(self):
        text = self.shown()
        for command in COMMANDS:
            self.assertIn(command.usage, text)
        for flag in all_flags():
            self.assertRegex(text, r'(?m)^ +(?:-\w, |--[\w-]+, )*%s(?![\w-])' % re.escape(flag))

    def test_documents_exit_codes_and_environment(self):
        text = self.shown()
        for code in range(9):
            self.assertRegex(text, r'(?m)^       %d +\S' % code)
        sources = ''.join(path.read_text() for path in (PROJECT / 'tools/umthp_tool').glob('*.py'))
        for name in set(re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', sources)) - {
                'TERM', 'PATH', 'HOME'}:
            if not name.startswith('GIT_'):
                self.assertTrue(re.search(r'(?m)^       %s\b' % name, text), name)


class BashTest(unittest.TestCase):
    """The script, asked as bash asks it: with the words and the number of the one at the cursor."""

    def complete(self, *words, code='', cwd=None):
        script = (code + '\neval "$SCRIPT"\nCOMP_WORDS=("$@")\nCOMP_CWORD=$(($# - 1))\n'
                  '_umthp umthp\nprintf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(
            ['bash', '-c', script, 'bash', 'umthp', *words], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, encoding='utf-8', check=False, cwd=cwd, env={
                **os.environ, 'SCRIPT': completion.bash(COMMANDS),
                'PATH': f'{UMTHP.parent}:{os.environ["PATH"]}'})
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        return done.stdout.split()

    def test_commands(self):
        self.assertEqual(self.complete(''), [command.name for command in COMMANDS])
        self.assertEqual(self.complete('ru'), ['run'])
        self.assertEqual(self.complete('--v'), ['--version'])

    def test_options_are_those_of_the_command(self):
        for command in COMMANDS:
            self.assertEqual(self.complete(command.name, '-'),
                             [flag for option in command.options for flag in option.flags])

    def test_tests_come_from_the_table(self):
        suites = {entry.name.split('.')[0]
                  for entry in expected.required(PROJECT / 'tests/expected_tests')}
        for command in ('run', 'exec', 'coverage', 'list'):
            self.assertEqual(set(self.complete(command, '')), suites)
        self.assertEqual(set(self.complete('run', '-v', '')), suites)
        suite = sorted(suites)[0]
        tests = {entry.name.split('[')[0] for entry in expected.required(
            PROJECT / 'tests/expected_tests') if entry.name.startswith(suite + '.')}
        self.assertEqual(set(self.complete('run', suite + '.')), tests)

    def test_values(self):
        variants = sorted(path.stem for path in (PROJECT / 'um_config/fragments').iterdir())
        self.assertEqual(sorted(self.complete('run', '--variant', '')),
                         sorted([config.DEFAULT, *variants]))
        self.assertEqual(self.complete('run', '--variant', '=', 'sm'), ['smp'])
        self.assertEqual(self.complete('run', '--isolate', ''), ['suite', 'test'])
        self.assertEqual(self.complete('run', '--isolate', '='), ['suite', 'test'])
        self.assertEqual(self.complete('completion', ''), ['bash', 'zsh'])
        self.assertEqual(self.complete('run', '--timeout', ''), [])
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, 'v.json').touch()
            Path(folder, 'dir').mkdir()
            self.assertEqual(sorted(self.complete('run', '--json', '', cwd=folder)),
                             ['dir', 'v.json'])
            self.assertEqual(self.complete('report', '--html', '', cwd=folder), ['dir'])
            self.assertIn('linux-source-7.3', self.complete('run', '--kernel', '', cwd=folder))
            self.assertIn('dir', self.complete('run', '--kernel', '', cwd=folder))

    def test_nothing_is_executed_or_said_without_the_tables(self):
        self.assertEqual(self.complete('run', '$(touch /evil)', code='PATH=/usr/bin:/bin'), [])

    @unittest.skipUnless(shutil.which('shellcheck'), 'apt install shellcheck')
    def test_shellcheck(self):
        done = subprocess.run(['shellcheck', '-s', 'bash', '-'], input=completion.bash(COMMANDS),
                              stdout=subprocess.PIPE, encoding='utf-8', check=False)
        self.assertEqual(done.returncode, 0, done.stdout)


@unittest.skipUnless(shutil.which('zsh'), 'apt install zsh')
class ZshTest(unittest.TestCase):
    """A zsh on a terminal of its own gets a Tab, and shows what it has to offer."""

    SCRIPT = r'''
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1= ; fpath=($FPATH_OF $fpath); autoload -U compinit; compinit -u -D'
zpty -w z 'LISTMAX=0 LINES=200'
zpty -w z 'stty cols 200 rows 200; bindkey "^I" list-choices; print REA""DY'
zpty -r -m z out '*READY*'
zpty -w -n z "$LINE"$'\t'
# The line is drawn again below the list.
zpty -r -m z out "*$LAST*umthp*"
print -r -- "$out"
zpty -d z
'''

    def offered(self, line, last):
        """What a Tab after `line` lists; `last` is in it, and waited for."""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, '_umthp').write_text(completion.zsh(COMMANDS), encoding='utf-8')
            done = subprocess.run(
                ['zsh', '-f', '-c', self.SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                encoding='utf-8', errors='replace', timeout=60, check=False,
                env={**os.environ, 'FPATH_OF': folder, 'LINE': line, 'LAST': last, 'HOME': folder,
                     'PATH': f'{UMTHP.parent}:{os.environ["PATH"]}', 'TERM': 'xterm'})
        self.assertEqual(done.returncode, 0, done.stderr)
        return re.findall(r'[\w.-]+', re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', ' ', done.stdout))

    def test_offers_commands_options_and_values(self):
        self.assertLessEqual({command.name for command in COMMANDS},
                             set(self.offered('umthp ', 'version')))
        self.assertLessEqual({'--variant', '--isolate', '--junit'},
                             set(self.offered('umthp run --', '--verbose')))
        self.assertLessEqual({'suite', 'test'}, set(self.offered('umthp run --isolate ', 'test')))
        self.assertLessEqual({'kasan', 'smp', 'default'},
                             set(self.offered('umthp run --variant ', 'smp')))
        self.assertIn('thp_split_control', self.offered('umthp run thp_sp', 'thp_split_unmapped'))


if __name__ == '__main__':
    unittest.main()
