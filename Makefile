# SPDX-License-Identifier: GPL-2.0
#
# linux-cr: builds the patched kernel, the library, the tool, the tests and
# the guest they run in. "make help" lists the targets.
#
# Everything that is made lies below $(BUILD).

BUILD ?= $(CURDIR)/build
override BUILD := $(abspath $(BUILD))
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

export BUILD JOBS

run := selftests/qemu/run
image_script := selftests/qemu/mkimage

.PHONY: all
all: kernel tools images

# Debian packages ------------------------------------------------------------

host_packages := autoconf automake bc bison bsdextrautils build-essential \
	ca-certificates cpio debian-archive-keyring dwarves e2fsprogs fakeroot flex git \
	kmod libelf-dev libncurses-dev libssl-dev libxxhash-dev linux-source-6.12 \
	mmdebstrap pkg-config python3 python3-ply qemu-system-x86 rsync sparse uidmap xz-utils

packages_done := $(BUILD)/packages
$(packages_done): Makefile
	@mkdir -p $(BUILD)
	@kernel-config/install-packages $(host_packages)
	@touch $@

# Kernel ---------------------------------------------------------------------

kernels := $(addprefix kernel-,release debug stock mm mm-stock)
.PHONY: source kernel $(kernels) headers
source: $(packages_done)
	@kernel-config/dev-tree

kernel: kernel-release

$(kernels): kernel-%: source
	@kernel-config/build-kernel $*

headers: source
	@kernel-config/install-headers

# Library, tool, tests, benchmarks -------------------------------------------

# Each directory has the targets all and install.
components := $(patsubst %/Makefile,%,$(wildcard $(addsuffix /Makefile,\
	liblinuxcr selftests selftests/bench)))

# flags_for DIRECTORY
flags_for = O=$(BUILD)/$(1) KHDR=$(BUILD)/headers/include \
	KSELFTEST=$(BUILD)/headers/kselftest LINUXCR=$(BUILD)/liblinuxcr \
	PREFIX=$(PREFIX)
install_one = $(MAKE) -s -C $(1) $(call flags_for,$(1))

.PHONY: tools $(components:%=build-%) stage
tools: $(components:%=build-%)

$(components:%=build-%): build-%: headers
	@$(MAKE) -C $* $(call flags_for,$*) all

$(patsubst %,build-%,$(filter-out liblinuxcr,$(components))): $(filter build-liblinuxcr,$(components:%=build-%))

# Guest images ---------------------------------------------------------------

.PHONY: images tools-image
images: $(BUILD)/initramfs.cpio $(BUILD)/root.img tools-image

# The guest's kill, pkill and shells know SIGCKPT.
signames := $(BUILD)/signames
$(signames)/key: liblinuxcr/signames/build | $(packages_done)
	@$< $(signames)
$(signames)/key: $(patsubst %,liblinuxcr/signames/%.patch,bash dash procps)

$(BUILD)/root.img: selftests/qemu/packages $(signames)/key
	@echo "  IMAGE   root.img" >&2
	@$(image_script) root $@ $< $(signames)
	@touch $@

$(BUILD)/init: selftests/qemu/init.c | $(packages_done)
	@$(CC) -Wall -Wextra -O2 -static -o $@ $<

$(BUILD)/gen_init_cpio: | source
	@$(CC) -O2 -o $@ $(BUILD)/linux/usr/gen_init_cpio.c

$(BUILD)/initramfs.cpio: $(BUILD)/init $(BUILD)/gen_init_cpio
	@echo "  IMAGE   initramfs.cpio" >&2
	@$(image_script) initramfs $@ $^

# Whatever "make install" puts into /usr/local, with the tests beside it, and the
# modules of the kernels that have been built, each with its configuration.
install_module = install -D -m 644 -t $(BUILD)/stage/usr/local/lib/linux-cr/modules/$(2) $(1) && \
	install -m 644 $(BUILD)/$(2)/kernel/config_data.gz \
		$(BUILD)/stage/usr/local/lib/linux-cr/modules/$(2)/config.gz
tools-image: tools
	@rm -rf $(BUILD)/stage
	@$(foreach dir,$(components),$(call install_one,$(dir)) \
		PREFIX=/usr/local DESTDIR=$(BUILD)/stage install &&) true
	@mkdir -p $(BUILD)/stage/usr/local/lib
	@$(foreach ko,$(wildcard $(BUILD)/kernel-*/samples/checkpoint/*.ko),\
		$(call install_module,$(ko),$(firstword $(subst /, ,$(ko:$(BUILD)/%=%)))) &&) true
	@$(image_script) tools $(BUILD)/tools.img $(BUILD)/stage/usr/local

# Using it -------------------------------------------------------------------

.PHONY: demo check check-debug check-mm check-plants check-patches audit bench shell
demo: all
	@selftests/demo/demo

check: all
	@selftests/check

# TESTS=FILE: only those that FILE lists; SAMPLE=N: every Nth
check-debug: kernel-debug tools images
	@selftests/check --debug $(if $(TESTS),--only $(TESTS)) $(if $(SAMPLE),--sample $(SAMPLE))

# PLANTS: only these
check-plants: all
	@selftests/check-plants $(PLANTS)

check-patches: source
	@kernel-config/check-patches

# Is every field of the structures that the series saves accounted for?
audit: source
	@kernel-config/audit/run

# The kernel's own tests of mm, with the series and without
check-mm: kernel-mm kernel-mm-stock tools images
	@kernel-config/install-packages libcap-dev libnuma-dev liburing-dev
	@selftests/mm/run

bench: all kernel-stock
	@selftests/bench/run

# RUN_FLAGS: options of selftests/qemu/run, for instance "--debug --disk FILE"
shell: all
	@$(run) $(RUN_FLAGS) --shell

# Patches --------------------------------------------------------------------

.PHONY: dev-tree refresh
dev-tree: source
	@echo "The patched kernel is in $(BUILD)/linux, branch ckpt, on top of the tag base." >&2

refresh:
	@kernel-config/refresh

# Installing and cleaning ----------------------------------------------------

.PHONY: install clean help
install: $(patsubst %,build-%,$(filter liblinuxcr,$(components)))
	@$(foreach dir,$(filter liblinuxcr,$(components)),$(call install_one,$(dir)) \
		DESTDIR=$(DESTDIR) install &&) true

# Keeps the kernel tree if it holds work that patches/ does not.
clean:
	@kernel-config/clean

help:
	@sed 's/^	//' kernel-config/help.txt
