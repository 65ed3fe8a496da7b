# What people type. The work is in packaging/*.sh, one script per target; all of it wants root,
# none of it sudo, and all may be run again.
#
#   make demo       set up, install, build the assets, run a container in its own VM
#   make test       everything that has to pass before a change is taken
#   make install    put Enclos below PREFIX; `make uninstall` takes it away again

PREFIX ?= /usr/local
DESTDIR ?=

.DEFAULT_GOAL := help
.PHONY: help setup install uninstall assets demo test test-podman5 test-docker26 \
	test-docker26-shim test-containerd17 test-containerd2 nightly perf lint

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install the Debian packages that Enclos needs on this host
	@packaging/setup.sh

install: setup ## put the programs in PREFIX/bin and all else in PREFIX/lib/enclos
	@packaging/install.sh "$(DESTDIR)" "$(PREFIX)"

uninstall: ## remove what `make install` put there; images and assets stay
	@packaging/uninstall.sh "$(DESTDIR)" "$(PREFIX)"

assets: install ## build the tool root, the guest's kernel and its initrd
	@"$(DESTDIR)$(PREFIX)/bin/enclos" assets build

demo: assets ## set up, install, and run a container in its own VM
	@packaging/demo.sh "$(DESTDIR)$(PREFIX)"

test: ## run all tests: repo, unit, component, vm, conformance
	@packaging/test.sh

test-podman5: ## run podman's tests with Debian 13's podman, in a root of its own
	@ENCLOS_TEST_PODMAN_SUITE=trixie ENCLOS_TEST_ARGS="-k podman" packaging/test.sh conformance

test-docker26: ## run docker's tests with Debian 13's docker, in a root of its own
	@ENCLOS_TEST_DOCKER_SUITE=trixie ENCLOS_TEST_ARGS="-k docker" packaging/test.sh conformance

test-docker26-shim: ## the same by containerd's shim instead of runc's command line
	@ENCLOS_TEST_DOCKER_SHIM=1 ENCLOS_TEST_DOCKER_SUITE=trixie ENCLOS_TEST_ARGS="-k docker" \
	packaging/test.sh conformance

test-containerd17: ## run containerd's tests with Debian 13's containerd, in a root of its own
	@ENCLOS_TEST_CONTAINERD_SUITE=trixie ENCLOS_TEST_ARGS="-k containerd" packaging/test.sh conformance

test-containerd2: ## run containerd's tests with that of Debian's sid, in a root of its own
	@ENCLOS_TEST_CONTAINERD_SUITE=sid ENCLOS_TEST_ARGS="-k containerd" packaging/test.sh conformance

nightly: ## run all tests, the long ones as well
	@ENCLOS_TEST_MARKS="nightly or not nightly" packaging/test.sh

perf: setup ## measure, and print the table against the targets
	@packaging/perf.sh

lint: ## run the checkers only
	@ENCLOS_TEST_ARGS="-k checkers" packaging/test.sh repo
