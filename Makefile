# make run    install into .venv and start on the shipped configuration
# make test   all tests; as root on Debian it installs the programs that they talk to
# make lint   ruff, mypy, tsc for the scripts of the page, and the documentation
# make docs   the documentation as a site, in build/site
# make bpf    build the program that relays in the kernel again; as root on Debian it installs clang
# make ini    write etc/rtcd.ini again, from the settings

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
CONFIG := etc/rtcd.ini
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
SOURCES := setup.cfg setup.py pyproject.toml $(shell find rtcd twisted -type f ! -name '*.pyc' ! -name dropin.cache)
# Debian package, and the program or file of it that is looked for
PROGRAMS := chromium:chromium chromium-headless-shell:chromium-headless-shell coturn:turnutils_uclient curl:curl \
	openssl:openssl iproute2:ip procps:ps systemd:systemd-analyze nodejs:node npm:npm fail2ban:fail2ban-regex \
	libnss3-tools:certutil nftables:nft pebble:pebble nginx-light:nginx \
	libnginx-mod-stream:/usr/lib/nginx/modules/ngx_stream_module.so haproxy:haproxy caddy:caddy sslscan:sslscan \
	firefox-esr:firefox-esr clang-14:clang-14 libbpf-dev:/usr/include/bpf/bpf_helpers.h bpftool:bpftool \
	prometheus:prometheus redis-server:redis-server redis-sentinel:redis-sentinel redis-tools:redis-cli
NODE := tests/js

.PHONY: run test lint docs ini bpf programs packages clean
.DELETE_ON_ERROR:

run: $(VENV)/.run
	@exec $(BIN)/twistd -n --pidfile= rtcd --config $(CONFIG) --welcome

# Those that talk to other people's programs wait most of their time, so they run beside the others and are shown after them:
# browsers apart from the rest, and of browsers those that open many pages when the others have made room. Half of the pages
# take the place of the programs when these are through.
test: $(VENV)/.test programs packages
	@failed=0; beside=; trap 'kill $$beside 2>/dev/null' INT TERM; \
	modules() { sed 's/\.py$$//' | tr / .; }; \
	browsers=$$(grep -lE 'PageTestCase|playwright' tests/interop/test_*.py); \
	rooms=$$(echo "$$browsers" | grep rooms | modules); \
	pages=$$(echo "$$browsers" | grep page | grep -v rooms); \
	early=$$(echo "$$pages" | grep -v test_p | modules); pages=$$(echo "$$pages" | grep test_p | modules); \
	browsers=$$(echo "$$browsers" | grep -v page | modules); \
	programs=$$(grep -LE 'PageTestCase|playwright' tests/interop/test_*.py | modules); \
	part() { \
		name=$$1; shift; \
		$(BIN)/python -m twisted.trial $(TRIAL_ARGUMENTS) --temp-directory=_trial_temp.$$name "$$@" >_trial_temp.$$name.log 2>&1; \
	}; \
	programs() { worst=0; part programs $$programs || worst=1; part early $$early || worst=1; return $$worst; }; \
	beside() { "$$@" & beside="$$beside $$!"; }; \
	beside part browsers $$browsers; beside programs; \
	$(BIN)/python -m twisted.trial $(TRIAL_ARGUMENTS) tests.daemon tests.shell tests.unit || failed=1; \
	beside part rooms $$rooms; \
	$(BIN)/python -m twisted.trial $(TRIAL_ARGUMENTS) $$pages || failed=1; \
	for one in $$beside; do wait $$one || failed=1; done; \
	for part in browsers programs early rooms; do cat _trial_temp.$$part.log; done; \
	files=$$(find $(NODE) -name node_modules -prune -o \( -name '*test*.js' -o -name '*test*.mjs' \) -print 2>/dev/null); \
	if [ -z "$$files" ]; then :; \
	elif command -v node >/dev/null; then node --test $$files || failed=1; \
	else echo "node is not installed: tests/js is skipped"; [ "$$RTCD_REQUIRE_INTEROP" != 1 ] || failed=1; fi; \
	exit $$failed

lint: $(VENV)/.lint packages
	$(BIN)/ruff check .
	$(BIN)/mypy
	@if [ -x $(NODE)/node_modules/.bin/tsc ]; then \
		for one in $(NODE) $(NODE)/worker; do \
			echo tsc -p $$one; $(NODE)/node_modules/.bin/tsc -p $$one || exit 1; \
		done; \
	elif [ "$$RTCD_REQUIRE_INTEROP" = 1 ]; then echo "tsc is not installed" >&2; exit 1; \
	else echo "npm is not installed or offline: the types of the scripts are not checked"; fi
	@$(MAKE) --no-print-directory docs

# English first: it clears the folder that Chinese is put into. Any warning is an error, a link that leads nowhere too.
docs: $(VENV)/.lint
	@for one in mkdocs.yml mkdocs.zh.yml; do \
		NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs -q build --strict -f $$one || exit 1; \
	done

ini: $(VENV)/.run
	@$(BIN)/python -m rtcd.sample > $(CONFIG).new && mv $(CONFIG).new $(CONFIG)

# Shipped as built, so that nobody else needs a compiler. A test holds the two together, hence one version of it.
CLANG := clang-14
BPF_FLAGS := -O2 -Wall -Werror -target bpf -mcpu=v3 -isystem /usr/include/$(shell uname -m)-linux-gnu

# No rule for the file itself, or installing would ask for the compiler whenever the source is the newer file.
bpf:
	@command -v $(CLANG) >/dev/null || [ "$$(id -u)" != 0 ] || \
		{ apt-get update -q && apt-get install -qy --no-install-recommends $(CLANG) libbpf-dev linux-libc-dev; }
	$(CLANG) $(BPF_FLAGS) -c rtcd/kernel/relay.bpf.c -o rtcd/kernel/relay.bpf.o.new
	@mv rtcd/kernel/relay.bpf.o.new rtcd/kernel/relay.bpf.o

# The Python to use: the first that is new enough and can make a venv.
$(BIN)/python:
	@found=; old=; \
	for one in python3.13 python3.12 python3.11 python3; do \
		command -v $$one >/dev/null || continue; \
		$$one -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { old=$$one; continue; }; \
		found=$$one; $$one -c 'import venv, ensurepip' 2>/dev/null && break; \
	done; \
	if [ -z "$$found" ]; then \
		echo "rtcd needs Python 3.11 or newer$${old:+, and $$old is $$($$old -V 2>&1 | cut -d' ' -f2)}; install python3.11" >&2; \
		exit 1; \
	fi; \
	if ! $$found -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "$$found cannot make a virtual environment; run: apt install python3-venv" >&2; exit 1; \
	fi; \
	rm -rf $(VENV); $$found -m venv $(VENV)

# The cache is written here, since who runs the daemon later may not be allowed to.
$(VENV)/.run: $(BIN)/python $(SOURCES)
	@echo "Installing rtcd into $(VENV)"
	@rm -rf build
	@$(PIP) install .
	@cd $(VENV) && bin/python -c "from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))"
	@touch $@

$(VENV)/.test: $(VENV)/.run setup.cfg
	@rm -rf build
	@$(PIP) install '.[test]'
	@touch $@

$(VENV)/.lint: $(VENV)/.run setup.cfg
	@rm -rf build
	@$(PIP) install '.[test,lint,docs]'
	@touch $@ $(VENV)/.test

# For lint and tests alone; the page needs no build and rtcd no Node.
packages:
	@if [ $(NODE)/node_modules/.stamp -nt $(NODE)/package.json ]; then :; \
	else \
		if ! command -v npm >/dev/null && [ "$$RTCD_REQUIRE_INTEROP" = 1 ] && [ "$$(id -u)" = 0 ] && \
				command -v apt-get >/dev/null; then \
			export DEBIAN_FRONTEND=noninteractive; \
			{ apt-get update -q && apt-get install -qy --no-install-recommends nodejs npm; } </dev/null; \
		fi; \
		if command -v npm >/dev/null; then \
			echo "Installing what checks the scripts into $(NODE)/node_modules"; \
			(cd $(NODE) && npm install --no-package-lock --no-audit --no-fund --loglevel=error) </dev/null && \
				touch $(NODE)/node_modules/.stamp || echo "npm cannot install here; what needs it is skipped"; \
		fi; \
	fi

# Debian starts what some of these packages bring, so they are installed where all tests have to run and nowhere else.
programs:
	@missing=; \
	for one in $(PROGRAMS); do \
		command -v $${one#*:} >/dev/null || [ -e $${one#*:} ] || missing="$$missing $${one%:*}"; \
	done; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$RTCD_REQUIRE_INTEROP" = 1 ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		export DEBIAN_FRONTEND=noninteractive; \
		{ apt-get update -q && apt-get install -qy --no-install-recommends $$missing; } </dev/null || \
			echo "not all of these could be installed:$$missing" >&2; \
	else echo "Tests that need these are skipped; install them to run all:$$missing"; fi

clean:
	rm -rf $(VENV) build rtcd.egg-info _trial_temp* .mypy_cache .ruff_cache .hypothesis $(NODE)/node_modules
