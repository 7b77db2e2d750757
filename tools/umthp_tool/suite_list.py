# SPDX-License-Identifier: GPL-2.0
"""The suites of a built kernel, and the file that each is in: the kernel lists them itself."""
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Dict

from . import overlay, report
from .build import Kernel
from .cache import read_json, write_json
from .context import Context
from .errors import HostError
from .run_boots import filters

_START, _END = "KTAP version 1", "reboot: System halted"


def modules(kernel: Kernel, context: Context, slow: bool) -> Dict[str, str]:
    """suite -> module of what runs by default, or with --slow; one boot, until the suites or
    the configuration change."""
    path = kernel.prepared.home / ("suites-%s.json" % kernel.variant)
    key = _key(kernel, context, slow)
    state = read_json(path)
    known = state.get("suites")
    if state.get("key") == key and isinstance(known, dict) and known \
            and all(isinstance(module, str) for module in known.values()):
        return dict(known)
    context.console.status("run", "listing the suites")
    found = _listed(kernel, context, slow)
    write_json(path, {"key": key, "suites": found})
    return found


def _key(kernel: Kernel, context: Context, slow: bool) -> str:
    digest = hashlib.sha256(b"%d\0%s" % (slow, kernel.prepared.version.encode()))
    digest.update((kernel.build / ".config").read_bytes())
    digest.update(kernel.prepared.git(
        "ls-tree", kernel.prepared.tree, "--", *sorted({
            str(Path(name).parent) for name in overlay.new_files(context.layout.kunit)})))
    return digest.hexdigest()


def _listed(kernel: Kernel, context: Context, slow: bool) -> Dict[str, str]:
    launcher = context.launcher()
    log = context.log_dir(kernel.prepared) / ("suites-%s.log" % kernel.variant)
    boot = launcher.boot(kernel.binary, launcher.arguments(
        [*filters(None, slow), "kunit.action=list_attr"]), log)
    found: Dict[str, str] = {}
    suite = ""
    started = False
    for line in boot.lines():
        text = line.strip()
        if not started:
            started = text.endswith(_START)
        elif text == _END:
            if found:
                return found
            break
        elif text.startswith("# module: ") and suite:
            found[suite] = text.split(": ", 1)[1]
        elif text and "." not in text and " " not in text:
            suite = text
    tail = report.boot_failure_tail(boot)
    raise HostError("the kernel did not list its suites:\n%s" % "\n".join(tail),
                    "run `umthp doctor`", log)
