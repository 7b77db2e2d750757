# SPDX-License-Identifier: GPL-2.0
"""Stack traces of splats: frames of recorded logs, and lines for them from a small `kernel`."""

import io
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

from fake_kernel import FakeKernelCase
from support import DATA, TREE, needs_kernel_tree

from umthp_tool import splats, stack_trace
from umthp_tool.console import Console
from umthp_tool.stack_trace import Frame

SOURCE = '''\
__attribute__((noipa)) int away(int x)
{
    return x;
}
static inline int inner(int x)
{
    return away(x) + 1;
}
__attribute__((noipa)) int outer(int x)
{
    return inner(x) * 2;
}
'''


def trace(*frames):
    return ['WARNING: x', 'Call Trace:', *(f' [<60088731>] ? {frame}' for frame in frames)]


class FramesTest(unittest.TestCase):

    def test_recorded_logs(self):
        for log, names in (
                ('vm_bug_in_the_middle', ['vm_bug', 'ktime_get_ts64']),
                ('warning_in_passing_test', None)):
            with self.subTest(log=log):
                lines = (DATA / f'{log}.log').read_text().splitlines()
                splat = next(s for s in splats.find(lines) if s.kind != 'page dump')
                found = stack_trace.frames(lines, splat.line)
                self.assertTrue(found)
                self.assertFalse({'kthread', 'show_stack', 'panic'} & {f.name for f in found})
                if names:
                    self.assertEqual([f.name for f in found], names[:1])

    def test_addresses_of_functions_are_no_frames(self):
        lines = trace('f+0x0/0x10', 'g+0x1/0x10', 'g+0x1/0x10', 'kthread+0x3/0x90')
        self.assertEqual(stack_trace.frames(lines, 0), [Frame('g', '0x1', '0x10')])

    def test_one_report_only(self):
        lines = trace('f+0x1/0x10') + ['---[ end trace 0 ]---'] + trace('g+0x1/0x10')
        self.assertEqual([f.name for f in stack_trace.frames(lines, 0)], ['f'])
        self.assertEqual([f.name for f in stack_trace.frames(['BUG: x', *lines[3:]], 0)], [])

    def test_nothing_that_a_shell_or_awk_would_run(self):
        for name in ('x"; system("id"); "', '$(id)', '`id`', 'a b', "x'", 'a[$(id)]', 'x\\', ''):
            self.assertEqual(stack_trace.frames(trace(f'{name}+0x1/0x10'), 0), [], name)
        for rest in ('0x1/0x10;id', '1/0x10', '0x1/$(id)', '0x1'):
            self.assertEqual(stack_trace.frames(trace(f'f+{rest}'), 0), [], rest)


@needs_kernel_tree
@unittest.skipUnless(shutil.which('gcc') and shutil.which('addr2line'), 'no gcc or binutils')
class DecodeTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='umthp-trace-')
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)
        self.build, self.src = self.home / 'build', self.home / 'src'
        for path in (self.build / 'mm', self.src / 'mm', self.src / 'scripts'):
            path.mkdir(parents=True)
        (self.src / 'mm/x.c').write_text(SOURCE)
        shutil.copy2(TREE / 'scripts/decode_stacktrace.sh', self.src / 'scripts')
        self.make()
        self.err = io.StringIO()

    def make(self, *flags):
        """What Kbuild leaves behind."""
        argv = ['gcc', '-O2', '-falign-functions=16', *flags, '-c', str(self.src / 'mm/x.c')]
        subprocess.run([*argv, '-o', 'mm/x.o'], cwd=self.build, check=True)
        (self.build / 'mm/.x.o.cmd').write_text(
            f'savedcmd_mm/x.o := gcc -Wp,-MMD,mm/.x.o.d {" ".join(argv[1:])} -o mm/x.o '
            '; ./objtool mm/x.o\n\nsource_mm/x.o := x\n')
        (self.build / 'vmlinux.a').unlink(missing_ok=True)
        subprocess.run(['ar', 'rcT', 'vmlinux.a', 'mm/x.o'], cwd=self.build, check=True)
        subprocess.run(['ld', '-e', '0', '-o', 'vmlinux', 'mm/x.o'], cwd=self.build, check=True)

    def offset(self):
        """The return address of the call in outer(), and the size of outer()."""
        listing = subprocess.run(['objdump', '-d', '--disassemble=outer', 'vmlinux'],
                                 cwd=self.build, stdout=subprocess.PIPE, encoding='utf-8',
                                 check=True).stdout
        rows = re.findall(r'^ +([0-9a-f]+):(.*)$', listing, re.M)
        call = next(number for number, row in enumerate(rows) if 'call' in row[1])
        sizes = subprocess.run(['nm', '-S', 'vmlinux'], cwd=self.build, stdout=subprocess.PIPE,
                               encoding='utf-8', check=True).stdout
        size = int(re.search(r'^\w+ (\w+) T outer$', sizes, re.M).group(1), 16)
        return int(rows[call + 1][0], 16) - int(rows[0][0], 16), (size + 15) // 16 * 16

    def decode(self, *frames):
        kernel = SimpleNamespace(build=self.build, prepared=SimpleNamespace(
            home=self.home, src=self.src))
        builder = SimpleNamespace(console=Console(err=self.err), jobs=1,
                                  environment=lambda prepared: dict(os.environ))
        return stack_trace.Decoder(kernel, builder).decode([frames])[0]

    def test_line_and_inlined_callers_without_debug_information_in_the_kernel(self):
        at, size = self.offset()
        self.assertNotIn(b'.debug_line', (self.build / 'vmlinux').read_bytes())
        self.assertEqual(self.decode(Frame('outer', hex(at), hex(size)),
                                     Frame('gone', '0x1', '0x10')),
                         ['outer (mm/x.c:7 mm/x.c:11)', 'gone+0x1/0x10'])
        self.assertEqual(list((self.home / 'traces').iterdir()), [])

    def test_the_same_from_a_kernel_with_debug_information(self):
        self.make('-g')
        (self.build / 'mm/.x.o.cmd').unlink()
        at, size = self.offset()
        self.assertEqual(self.decode(Frame('outer', hex(at), hex(size))),
                         ['outer (mm/x.c:7 mm/x.c:11)'])

    def test_function_of_another_size_gets_no_line(self):
        at, size = self.offset()
        frame = Frame('outer', hex(at), hex(size + 16))
        self.assertEqual(self.decode(frame), [str(frame)])

    def test_source_that_does_not_compile_any_more(self):
        at, size = self.offset()
        (self.src / 'mm/x.c').write_text('BROKEN\n')
        frame = Frame('outer', hex(at), hex(size))
        self.assertEqual(self.decode(frame), [str(frame)])

    def test_script_that_fails_is_said(self):
        at, size = self.offset()
        (self.src / 'scripts/decode_stacktrace.sh').write_text('exit 1\n')
        frame = Frame('outer', hex(at), hex(size))
        self.assertEqual(self.decode(frame), [str(frame)])
        self.assertIn('the stack trace is not decoded', self.err.getvalue())


class RunTest(FakeKernelCase):

    def test_splat_comes_with_frames_and_two_ways_to_it(self):
        self.set_boot('warning_in_passing_test')
        done = self.expect(1, 'run', '--slow')
        self.assertRegex(done.stdout, r'(?m)^        \w+\+0x\w+/0x\w+$')
        self.assertRegex(done.stdout, r'(?m)^      reproduce: umthp run trap_\w+\.\w+ --slow$')
        self.assertRegex(done.stdout, r'(?m)^      in gdb:    umthp gdb trap_\w+\.\w+$')


if __name__ == '__main__':
    unittest.main()
