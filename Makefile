# SPDX-License-Identifier: GPL-2.0
#
# Short names for what the tools do; all logic is in tools/.

KERNEL ?= $(K)
PREFIX ?= /usr/local
quote = '$(subst ','\'',$(1))'

run_options = $(if $(KERNEL),--kernel $(call quote,$(KERNEL))) \
	      $(if $(VARIANT),--variant $(call quote,$(VARIANT))) \
	      $(if $(J),--jobs $(call quote,$(J))) $(if $(V),-v)
# Of the commands that have a configuration of their own.
kernel_options = $(if $(KERNEL),--kernel $(call quote,$(KERNEL))) \
		 $(if $(J),--jobs $(call quote,$(J))) $(if $(V),-v)
check_options = $(if $(KERNEL),--kernel $(call quote,$(KERNEL))) \
		$(if $(J),--jobs $(call quote,$(J))) $(if $(V),-v) \
		$(if $(TOTALS),--totals $(call quote,$(TOTALS)))

help:
	@echo 'make run               build the kernel if needed, run the suites, say pass or fail'
	@echo 'make check             everything that this project is judged by:'
	@echo '  make lint              style of all files'
	@echo '  make test              the tests of the tools'
	@echo '  make suites            the KUnit suites'
	@echo '  make hmm-tests         the hmm-tests of the kernel, as a process in this UML'
	@echo '  make system            the tools on a real kernel and a hostile host'
	@echo 'make coverage          what of the code under test the suites execute, also in HTML=DIR'
	@echo 'make mutants           which faults in the kernel the suites notice: tests/mutants'
	@echo 'make update-expected   rewrite tests/expected_tests, show what changed'
	@echo 'make clean             remove the cache (kernel trees, builds, packages)'
	@echo 'make install           umthp, its manual page and completion, below PREFIX=/usr/local'
	@echo
	@echo 'KERNEL=PATH|PACKAGE (or K=)   the kernel to test: git tree, source tree, tarball or'
	@echo '                              Debian package; default: newest supported linux-source'
	@echo 'VARIANT=NAME   configuration, for make run'
	@echo 'J=N            parallel jobs of the build      V=1   say more'

run:
	@tools/install-deps run
	@tools/umthp run $(run_options)

check:
	@tools/install-deps check
	@tools/check $(check_options)

lint test suites hmm-tests thp system:
	@tools/install-deps check
	@tools/check $(check_options) $@

coverage:
	@tools/install-deps check
	@tools/umthp coverage $(kernel_options) $(if $(HTML),--html $(call quote,$(HTML)))

mutants:
	@tools/install-deps run
	@tools/umthp mutants $(kernel_options)

update-expected:
	@tools/install-deps run
	@tools/umthp run --slow --write-expected $(run_options)
	@git --no-pager diff -- tests/expected_tests

clean:
	@tools/umthp clean

install:
	@tools/install $(call quote,$(PREFIX))

uninstall:
	@tools/install --uninstall $(call quote,$(PREFIX))

.PHONY: help run check lint test suites hmm-tests thp system coverage mutants update-expected clean \
	install uninstall
