# ferry - one file, no recursion; reads top to bottom: tools, flags, lists,
# programs, tests, checks, installation. No network: tools/setup.sh has been
# there before. All output is below build/.

SHELL = /bin/bash
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

# make V=1 shows the commands.
Q = $(if $(V),,@)
say = $(if $(V),@:,@echo "  $(1)	$@")

# What tools/setup.sh fetched: stamps, written when an item is whole.
deps_stamps := $(addprefix build/deps/stamp/,json-c protobuf-c kernel busybox crun)
ifneq ($(filter-out clean,$(or $(MAKECMDGOALS),all)),)
ifneq ($(words $(wildcard $(deps_stamps))),$(words $(deps_stamps)))
$(error $(filter-out $(wildcard $(deps_stamps)),$(deps_stamps)) missing: \
	run tools/setup.sh first)
endif
endif

# --- tools -------------------------------------------------------------------

CC = gcc
CLANG = clang
GUEST_CC = musl-gcc
AR = ar
prefix = /usr/local
bindir = $(prefix)/bin
libdir = $(prefix)/lib
mandir = $(prefix)/share/man

# --- flags -------------------------------------------------------------------

WARN = -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wswitch-enum \
	-Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla -Wundef \
	-Wwrite-strings -Wpointer-arith -Wcast-qual
FLAGS = -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. $(WARN) -MMD -MP \
	-fno-common -ffile-prefix-map=$(CURDIR)=.
HOST_LIBS = -lprotobuf-c -linih -llz4 -llzma
# The tool starts once for each sandbox: four libraries less for the loader are
# a sixth of its time, so these small ones are linked in.
FERRY_LIBS = -Wl,--as-needed -Wl,-Bstatic $(HOST_LIBS) -Wl,-Bdynamic
HOST_FLAGS = $(FLAGS) -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2
ASAN_FLAGS = $(FLAGS) -O1 -g -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=all
GUEST_FLAGS = $(FLAGS) $(GUEST_OPT) -isystem build/uapi -isystem build/guest/include \
	-ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
	-fno-unwind-tables -fstack-protector-strong -fno-pie
GUEST_OPT = -O2
GUEST_LDFLAGS = -static -no-pie -s -Wl,--gc-sections -Wl,-z,noseparate-code \
	-Wl,--build-id=none

# --- lists -------------------------------------------------------------------
# A room's sources are its files; a program is the one main.c that wires them.

config_src := $(wildcard config/*.c)
cmdline_src := $(wildcard cmdline/*.c)
bridge_src := $(wildcard bridge/*.c)
io_src := $(wildcard bridge/io/*.c)
guest_src := $(filter-out %/main.c,$(wildcard bridge/guest/*.c))
hostside_src := $(wildcard bridge/host/*.c)
init_src := $(filter-out %/main.c init/vsockexec.c init/pause.c,$(wildcard init/*.c))
initramfs_src := $(wildcard initramfs/*.c)
migration_src := $(wildcard migration/*.c)
tools_src := $(filter-out %/main.c,$(wildcard tools/*.c tools/qemu/*.c tools/disk/*.c tools/ttrpc/*.c \
	tools/shim/*.c))
vsock_src := $(wildcard tools/vsock/*.c)
# Tests use the library's insides, but not its names for open() and ioctl().
vsock_lib_src := $(filter-out %/preload.c,$(vsock_src))

# What the guest programs link from, and what everything on the host does.
guest_lib_src := $(filter-out config/conf.c,$(config_src)) $(cmdline_src) $(bridge_src) $(io_src) \
	$(guest_src) $(init_src)
host_lib_src := $(guest_lib_src) config/conf.c $(hostside_src) $(initramfs_src) \
	$(migration_src) $(tools_src)

# Messages in protobuf's language; what protoc-c makes of them is below build/.
proto_src := $(wildcard migration/proto/*.proto tools/proto/*.proto)
proto_h := $(patsubst %.proto,build/proto/%.pb-c.h,$(notdir $(proto_src)))
proto_c := $(proto_h:.h=.c)

unit_src := $(wildcard tests/unit/test_*.c)
golden_src := $(wildcard tests/golden/golden_*.c)
fuzz_src := $(wildcard tests/fuzz/fuzz_*.c)
unit_bin := $(unit_src:tests/unit/%.c=build/tests/unit/%)
asan_bin := $(unit_src:tests/unit/%.c=build/asan/tests/unit/%)
golden_bin := $(foreach s,$(golden_src),build/tests/$(subst _,-,$(basename $(notdir $(s)))))
golden_asan_bin := $(golden_bin:build/%=build/asan/%)
fuzz_bin := $(fuzz_src:tests/fuzz/%.c=build/asan/tests/fuzz/%)
cli_tests := $(wildcard tests/cli/*.sh)
e2e_bin := $(patsubst tests/e2e/%.c,build/tests/%,$(wildcard tests/e2e/*.c)) \
	$(patsubst tests/e2e/guest/%.c,build/tests/guest/%,$(wildcard tests/e2e/guest/*.c))
e2e_tests := $(wildcard tests/e2e/*.sh)

all_c := $(filter-out build/%,$(wildcard */*.c */*/*.c */*/*/*.c))
all_h := $(filter-out build/%,$(wildcard */*.h */*/*.h */*/*/*.h))
all_sh := $(filter-out build/%,$(wildcard */*.sh */*/*.sh)) .ci/run

have = $(if $(wildcard $(1)),$(2))
programs := $(call have,tools/main.c,build/ferry) \
	$(call have,tools/vsock/*.c,build/lib/ferry/vhost-vsock.so) \
	$(call have,init/main.c,build/guest/bin/init) \
	$(call have,init/vsockexec.c,build/guest/bin/vsockexec) \
	$(call have,init/pause.c,build/guest/bin/pause) \
	$(call have,bridge/guest/main.c,build/guest/bin/gcs)

# What ferry needs at run time, beside it; see tools/home.h.
guest_bin := init vsockexec gcs
lib := build/lib/ferry
lib_files := $(lib)/vmlinuz $(lib)/vmlinux $(lib)/modules \
	$(lib)/guest/busybox $(lib)/guest/crun $(lib)/guest/lib \
	$(lib)/guest/pause/pause $(call have,init/main.c,$(lib)/guest/init) \
	$(call have,init/vsockexec.c,$(lib)/guest/vsockexec) \
	$(call have,bridge/guest/main.c,$(lib)/initramfs.img)

.PHONY: all image check check-plain check-asan e2e e2e-migrate test soak lint bench \
	install clean
all: $(programs) $(golden_bin) $(lib_files)

# --- guest programs ----------------------------------------------------------

deps_headers = build/guest/include/json-c/config.h \
	build/guest/include/protobuf-c/protobuf-c.h

# musl-gcc does not find the kernel's headers by itself.
build/uapi:
	@mkdir -p $@.tmp
	@ln -sfn /usr/include/linux $@.tmp/linux
	@ln -sfn /usr/include/asm-generic $@.tmp/asm-generic
	@ln -sfn /usr/include/$$(gcc -print-multiarch)/asm $@.tmp/asm
	@mv -T $@.tmp $@

build/guest/%.o: %.c Makefile | build/uapi $(deps_headers)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(GUEST_CC) $(GUEST_FLAGS) $(CFLAGS) -c -o $@ $<

build/guest/init/%.o build/guest/bridge/guest/%.o: GUEST_OPT = -Os

# Third parties' code: -w, and no more of it than is used. json-c's own
# configuration is a list of what musl has; no locale, whose decimal point is
# always a dot there, and no syslog.
json_c = build/deps/src/json-c
json_c_have = FCNTL_H INTTYPES_H LIMITS_H STDARG_H STDINT_H STDLIB_H STRING_H \
	STRINGS_H SYS_PARAM_H SYS_RANDOM_H SYS_STAT_H SYS_TYPES_H UNISTD_H \
	DECL_INFINITY DECL_ISINF DECL_ISNAN DECL_NAN GETRANDOM OPEN REALLOC \
	SNPRINTF STRCASECMP STRDUP STRERROR STRNCASECMP STRTOLL STRTOULL \
	VASPRINTF VPRINTF VSNPRINTF
json_c_size = INT=4 INT64_T=8 LONG=8 LONG_LONG=8 SIZE_T=8 SSIZE_T=8
json_c_obj := $(patsubst %,build/guest/deps/json-c/%.o,arraylist debug \
	json_c_version json_object json_object_iterator json_tokener json_util \
	json_visit linkhash printbuf random_seed strerror_override)
DEPS_FLAGS = -w -O2 -std=gnu11 -D_GNU_SOURCE -ffunction-sections \
	-fdata-sections -fno-asynchronous-unwind-tables -fno-unwind-tables \
	-fstack-protector-strong -fno-pie -isystem build/uapi -Ibuild/guest/include

build/guest/include/json-c/config.h: build/deps/stamp/json-c Makefile
	@mkdir -p $(@D)
	@cp $(json_c)/*.h $(@D)/
	@sed '/@.*@/d' $(json_c)/json.h.cmakein >$(@D)/json.h
	@echo '#define JSON_C_HAVE_INTTYPES_H 1' >$(@D)/json_config.h
	@printf '#define HAVE_%s 1\n' $(json_c_have) >$@
	@printf '#define SIZEOF_%s %s\n' $(subst =, ,$(json_c_size)) >>$@

build/guest/include/protobuf-c/protobuf-c.h: build/deps/stamp/protobuf-c
	@mkdir -p $(@D)
	@cp build/deps/src/protobuf-c/protobuf-c/protobuf-c.h $@

# What bridge/json_tree.h has instead of json-c's own, on both sides: one reader
# of JSON, and host tests show what the agent's does.
# json_pointer is for tests.
json_c_host := $(json_c_obj:build/guest/%=build/host/%) \
	build/host/deps/json-c/json_pointer.o
%/json_tokener.o: JSON_TREE = -Djson_object_object_add=json_tree_add \
	-Dprintbuf_memappend=json_tree_append
%/json_object.o: JSON_TREE = -Dprintbuf_memappend=json_tree_append
$(json_c_obj): build/guest/deps/json-c/%.o: $(json_c)/%.c $(deps_headers) | build/uapi
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(GUEST_CC) $(DEPS_FLAGS) $(JSON_TREE) -Ibuild/guest/include/json-c -c -o $@ $<
$(json_c_host): build/host/deps/json-c/%.o: $(json_c)/%.c $(deps_headers)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -w -O2 -g -fPIC -fstack-protector-strong -D_FORTIFY_SOURCE=2 \
		-ffile-prefix-map=$(CURDIR)=. \
		-std=gnu11 -D_GNU_SOURCE $(JSON_TREE) \
		-Ibuild/guest/include/json-c -c -o $@ $<

build/guest/deps/protobuf-c.o: build/deps/src/protobuf-c/protobuf-c/protobuf-c.c $(deps_headers) | build/uapi
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(GUEST_CC) $(DEPS_FLAGS) -Ibuild/guest/include/protobuf-c -c -o $@ $<

build/guest/libdeps.a: $(json_c_obj) build/guest/deps/protobuf-c.o
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcsD $@ $^

build/guest/libferry.a: $(guest_lib_src:%.c=build/guest/%.o)
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcsD $@ $^

# With -static-pie Debian's musl-gcc still asks for a loader: check.
define link_guest
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(GUEST_CC) $(GUEST_LDFLAGS) $(LDFLAGS) -o $@ $^
	$(Q)! readelf -lW $@ | grep -q INTERP
endef

# PID 1 allocates nothing: no allocator may be linked into it.
build/guest/bin/init: LDFLAGS += -Wl,-Map=build/guest/init.map
build/guest/bin/init: build/guest/init/main.o build/guest/libferry.a
	$(link_guest)
	$(Q)! grep -E '\((lite_)?(m|c|re)alloc\.l?o\)' build/guest/init.map
build/guest/bin/vsockexec: build/guest/init/vsockexec.o build/guest/libferry.a
	$(link_guest)
build/guest/bin/pause: build/guest/init/pause.o
	$(link_guest)
build/guest/bin/gcs: build/guest/bridge/guest/main.o build/guest/libferry.a build/guest/libdeps.a
	$(link_guest)

# --- messages ----------------------------------------------------------------

vpath %.proto migration/proto tools/proto
build/proto/%.pb-c.c build/proto/%.pb-c.h: %.proto Makefile
	@mkdir -p $(@D)
	$(call say,PROTOC)
	$(Q)protoc-c -Imigration/proto -Itools/proto --c_out=$(@D) $<
	@sed -i -e '1i #pragma GCC system_header' \
		-e 's/(char \*)protobuf_c/(char *)(__UINTPTR_TYPE__)protobuf_c/g' \
		build/proto/$*.pb-c.h

# Not our code: -w.
PROTO_FLAGS = -w

build/host/build/proto/%.o: build/proto/%.c $(proto_h) Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(HOST_FLAGS) $(PROTO_FLAGS) -fPIC $(CFLAGS) -c -o $@ $<
build/asan/build/proto/%.o: build/proto/%.c $(proto_h) Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ASAN_FLAGS) $(PROTO_FLAGS) $(CFLAGS) -c -o $@ $<
build/soak/obj/build/proto/%.o: build/proto/%.c $(proto_h) Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CLANG) $(SOAK_FLAGS) $(PROTO_FLAGS) $(CFLAGS) -c -o $@ $<

# --- host programs -----------------------------------------------------------

build/host/%.o: %.c Makefile | $(proto_h)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(HOST_FLAGS) -fPIC $(CFLAGS) -c -o $@ $<

build/host/libferry.a: $(host_lib_src:%.c=build/host/%.o) $(proto_c:%.c=build/host/%.o) $(json_c_host)
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcsD $@ $^

build/ferry: build/host/tools/main.o build/host/libferry.a
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(FERRY_LIBS)

build/lib/ferry/vhost-vsock.so: $(vsock_src:%.c=build/host/%.o) build/host/libferry.a \
		tools/vsock/preload.map
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) -shared -Wl,--no-undefined -Wl,-z,now \
		-Wl,--version-script=tools/vsock/preload.map $(LDFLAGS) -o $@ \
		$(filter %.o %.a,$^) -lpthread

# --- kernel and image --------------------------------------------------------

$(lib)/vmlinuz: build/deps/stamp/kernel
	@mkdir -p $(@D)
	@cp --reflink=auto build/deps/kernel/vmlinuz $@

# A kernel that cannot be unpacked boots as it is, only later.
$(lib)/vmlinux: $(lib)/vmlinuz initramfs/vmlinux.c | build/ferry
	$(call say,IMAGE)
	$(Q)build/ferry image vmlinux $< -o $@ || cp $< $@

# Links are as old as what they point to: no stamp may come before them.
$(lib)/modules: | build/deps/stamp/kernel
	@mkdir -p $(@D)
	@ln -sfn ../../deps/kernel/modules $@

$(guest_bin:%=$(lib)/guest/%): $(lib)/guest/%: build/guest/bin/%
	@mkdir -p $(@D)
	@ln -sf ../../../guest/bin/$* $@

$(lib)/guest/busybox: | build/deps/stamp/busybox
	@mkdir -p $(@D)
	@ln -sf ../../../deps/busybox $@

$(lib)/guest/crun: | build/deps/stamp/crun
	@mkdir -p $(@D)
	@ln -sf ../../../deps/crun/usr/bin/crun $@

# The root file system of a pod's sandbox container: a file, for a disk is made
# of this folder.
$(lib)/guest/pause/pause: build/guest/bin/pause
	@mkdir -p $(@D) $(@D)/dev $(@D)/proc $(@D)/sys
	@cp $< $@

# What crun loads, as far as the set-up fetched it.
$(lib)/guest/lib: build/deps/stamp/crun
	@rm -rf $@; mkdir -p $@
	@cd $@ && find ../../../../deps/crun/ -path '*/lib/*-linux-gnu/lib*.so*' \
		-o -path '*/lib/*-linux-gnu/ld-*' | xargs ln -sf -t .
	@touch $@

image: $(lib)/initramfs.img
$(lib)/initramfs.img: build/ferry $(guest_bin:%=$(lib)/guest/%) \
		build/deps/stamp/kernel build/deps/stamp/busybox \
		build/deps/stamp/crun | $(lib)/modules $(lib)/guest/busybox \
		$(lib)/guest/crun $(lib)/guest/lib
	$(call say,IMAGE)
	$(Q)build/ferry image build -o $@

# --- tests -------------------------------------------------------------------

build/asan/%.o: %.c Makefile | $(proto_h)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ASAN_FLAGS) $(CFLAGS) -c -o $@ $<

build/asan/libferry.a: $(host_lib_src:%.c=build/asan/%.o) $(proto_c:%.c=build/asan/%.o) $(vsock_lib_src:%.c=build/asan/%.o) $(json_c_host)
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcsD $@ $^

build/tests/libvsock.a: $(vsock_lib_src:%.c=build/host/%.o)
	@mkdir -p $(@D); rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcsD $@ $^

# What the agent calls and tests/unit/faultcalls.h lets fail; json-c's calls do
# not, so it is the system's there.
FAULTS = malloc calloc realloc strdup mmap64 open64 openat64 opendir fdopendir \
	read readv pread64 pwrite64 write writev ftruncate64 fallocate64 \
	sendfile64 readlink readlinkat send sendto sendmsg recv recvmsg splice \
	socket connect bind listen accept4 pipe2 dup2 memfd_create epoll_create1 \
	epoll_ctl eventfd signalfd fork clone execve setns mount umount2 mkdir \
	mkdirat unlinkat renameat symlinkat syscall
$(foreach t,test_guest_faults test_guest_crash_faults,build/tests/unit/$t build/asan/tests/unit/$t): \
	UNIT_LD = -Wl,--no-as-needed -ljson-c -Wl,--as-needed \
		$(addprefix -Wl$(comma)--wrap=,$(FAULTS))
$(foreach t,test_guest_job_exec test_guest_carry,build/tests/unit/$t build/asan/tests/unit/$t): \
	UNIT_LD = -Wl,--wrap=epoll_ctl
build/tests/unit/test_guest_layers build/asan/tests/unit/test_guest_layers: \
	UNIT_LD = -Wl,--wrap=umount2,--wrap=unlinkat
build/tests/unit/test_json_tree build/asan/tests/unit/test_json_tree: \
	UNIT_LD = $(addprefix -Wl$(comma)--wrap=,malloc calloc realloc strdup)
comma = ,

build/tests/unit/%: build/host/tests/unit/%.o build/tests/libvsock.a build/host/libferry.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(UNIT_LD) -o $@ $^ $(HOST_LIBS) -lcmocka -lpthread
build/asan/tests/unit/%: build/asan/tests/unit/%.o build/asan/libferry.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) -fsanitize=address,undefined $(UNIT_LD) -o $@ $^ $(HOST_LIBS) -lcmocka -lpthread

build/tests/golden-%: build/host/tests/golden/golden_%.o build/host/libferry.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) -o $@ $^ $(HOST_LIBS)
build/asan/tests/golden-%: build/asan/tests/golden/golden_%.o build/asan/libferry.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) -fsanitize=address,undefined -o $@ $^ $(HOST_LIBS)

# Programs that the end-to-end scripts use, on the host and as a guest's PID 1.
build/tests/refhost: $(patsubst %,build/host/tests/e2e/lib/%.o,refcensus refhost refsteps)
build/tests/hostdrive: build/host/tests/e2e/lib/vmdrive.o
build/tests/%: build/host/tests/e2e/%.o build/host/libferry.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(HOST_LIBS)
build/tests/containerdrive build/tests/containerbench build/tests/manydrive: HOST_LIBS += -lcmocka
build/tests/guest/%: build/guest/tests/e2e/guest/%.o build/guest/libferry.a build/guest/libdeps.a
	$(link_guest)

# The agent whose calls fail at random (tests/e2e/guest/gcs_faults.c). What the
# agent's objects call is given the name of the wrapper, and nothing else is:
# --wrap would be for what libraries call, too. Names in 64 are macros in musl.
build/guest-faults/%: build/guest/% Makefile
	@mkdir -p $(@D)
	$(Q)objcopy $(foreach f,$(FAULTS),--redefine-sym $(f:%64=%)=__wrap_$f \
		--redefine-sym __real_$f=$(f:%64=%)) $< $@
build/tests/guest/gcs_faults: GUEST_LDFLAGS := $(filter-out -s,$(GUEST_LDFLAGS))
build/tests/guest/gcs_faults: build/guest-faults/tests/e2e/guest/gcs_faults.o \
		build/guest-faults/bridge/guest/main.o build/guest-faults/libferry.a \
		build/guest/libdeps.a
	$(link_guest)

# A fuzz entry is int fuzz_one(const uint8_t *, size_t); this driver replays
# files and mutates them with a fixed seed. make soak builds it for libFuzzer.
build/asan/tests/fuzz/%: build/asan/tests/fuzz/%.o build/asan/tests/fuzz/driver.o build/asan/libferry.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) -fsanitize=address,undefined -o $@ $^ $(HOST_LIBS) -lpthread

# Made on the way to others, and wanted again by the next make.
.SECONDARY: $(proto_h) $(proto_c)
.PRECIOUS: build/host/%.o build/asan/%.o build/guest/%.o build/soak/obj/%.o

# tests/run.sh NAME PROGRAM... runs them, prints a line each and the sum.
check: check-plain check-asan
check-plain: all $(unit_bin) $(golden_bin)
	tests/run.sh check $(sort $(unit_bin)) $(sort $(golden_bin)) $(sort $(cli_tests))
check-asan: check-plain $(asan_bin) $(golden_asan_bin) $(fuzz_bin)
	tests/run.sh asan $(sort $(asan_bin)) $(sort $(golden_asan_bin)) $(sort $(fuzz_bin))

# A machine that QEMU emulates keeps one processor busy: two scripts at a time.
e2e: all image $(e2e_bin)
	FERRY_TEST_JOBS=$${FERRY_TEST_JOBS:-2} tests/run.sh e2e $(sort $(e2e_tests))

# Moves only: QEMU alone, shims of two hosts on one machine, then two virtual
# machines as hosts, with the kernel's vhost_vsock: guests in guests, which takes
# minutes.
e2e-migrate: all image $(e2e_bin)
	FERRY_TEST_LIMIT_S=3600 tests/run.sh e2e-migrate tests/e2e/qemu_move.sh \
		tests/e2e/migrate.sh tests/nodes/move.sh

# The long forms: libFuzzer over the same targets, SOAK_S seconds each, and
# the tests in QEMU with FERRY_SOAK=1, which those heed that can be longer, each
# of them SOAK_TEST_S seconds at most.
SOAK_S = 600
SOAK_TEST_S = 7200
SOAK_FLAGS = $(ASAN_FLAGS) -fsanitize=fuzzer-no-link -Wno-unknown-warning-option
soak_bin := $(fuzz_src:tests/fuzz/%.c=build/soak/%)

build/soak/obj/%.o: %.c Makefile | $(proto_h)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CLANG) $(SOAK_FLAGS) $(CFLAGS) -c -o $@ $<

build/soak/libferry.a: $(host_lib_src:%.c=build/soak/obj/%.o) $(proto_c:%.c=build/soak/obj/%.o) $(vsock_src:%.c=build/soak/obj/%.o) $(json_c_host)
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcsD $@ $^

$(soak_bin): build/soak/%: build/soak/obj/tests/fuzz/%.o build/soak/obj/tests/fuzz/libfuzzer.o build/soak/libferry.a
	$(call say,LD)
	$(Q)$(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $^ $(HOST_LIBS) -lpthread

soak_tests := $(addprefix build/tests/unit/test_,guest_faults guest_container_many \
	guest_resume guest_session host_session host_streams host_crash guest_crash \
	guest_crash_container guest_crash_volume guest_crash_network guest_crash_faults)
soak: all image $(e2e_bin) $(soak_bin) $(soak_tests)
	@r=0; tests/soak/fuzz.sh $(SOAK_S) $(sort $(soak_bin)) || r=1; \
		FERRY_SOAK=1 FERRY_TEST_LIMIT_S=$(SOAK_TEST_S) \
		tests/run.sh soak $(soak_tests) \
		$(sort $(e2e_tests)) || r=1; exit $$r

# The rows of the table of figures that can be measured here.
bench: all image build/tests/hostdrive build/tests/containerbench build/tests/unit/test_guest_container_many
	tests/bench/run.sh

# Both, whatever the first one says.
test:
	@r=0; $(MAKE) check || r=1; $(MAKE) e2e || r=1; exit $$r

# --- checks ------------------------------------------------------------------
# One stamp for each file and checker. gcc's run also notes what the file
# includes, so that a header's change lints again what uses it, no more. Each
# is silent when content.

lint_c := $(all_c)
lint_stamps := $(lint_c:%=build/lint/%.gcc) $(lint_c:%=build/lint/%.clang) \
	$(lint_c:%=build/lint/%.tidy) build/lint/format build/lint/cppcheck \
	build/lint/shell
LINT_FLAGS = $(filter-out -MMD -MP,$(FLAGS)) -O2 -Werror

build/lint/%.gcc: % Makefile | $(proto_h)
	@mkdir -p $(@D)
	@$(CC) $(LINT_FLAGS) -MMD -MP -MF $@.d -MT $@ -fanalyzer -c -o /dev/null $<
	@touch $@
build/lint/%.clang: % build/lint/%.gcc
	@$(CLANG) $(LINT_FLAGS) -fsyntax-only $<
	@touch $@
build/lint/%.tidy: % build/lint/%.gcc .clang-tidy
	@clang-tidy --quiet --warnings-as-errors='*' $< -- $(LINT_FLAGS) \
		>$@.out 2>&1 || { cat $@.out; exit 1; }
	@touch $@
$(filter build/lint/tests/%.tidy,$(lint_stamps)): tests/.clang-tidy
build/lint/format: $(lint_c) $(all_h) .clang-format
	@mkdir -p $(@D)
	@clang-format --dry-run --Werror $(lint_c) $(all_h)
	@touch $@
# Tests hand results in by address (struct outcome): not seen as written. The
# headers that protoc-c made ask for its library's, which are not read here.
build/lint/cppcheck: $(lint_c) $(all_h) Makefile
	@mkdir -p $@.dir
	@cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr -I. \
		--enable=warning,performance,portability --suppress=missingInclude \
		--suppress=ctuuninitvar:tests/* \
		--suppress=preprocessorErrorDirective:build/proto/* \
		--cppcheck-build-dir=$@.dir -j $$(nproc) -D_GNU_SOURCE $(lint_c)
	@touch $@
build/lint/shell: $(all_sh)
	@mkdir -p $(@D)
	@shellcheck $^
	@touch $@

lint: $(lint_stamps)
	@tests/lint/includes.sh
	@tests/lint/hazards.sh

# --- installation ------------------------------------------------------------
# ferry looks for ../lib/ferry from its own folder: libdir goes with bindir.

libferry = $(DESTDIR)$(libdir)/ferry

install: all
	install -d $(DESTDIR)$(bindir) $(libferry)/guest
	install build/ferry $(DESTDIR)$(bindir)/
	install -m 644 $(lib)/vmlinuz $(lib)/vmlinux $(lib)/initramfs.img $(libferry)/
	install -m 644 $(wildcard $(lib)/*.so) $(libferry)/
	install $(filter-out %/lib %/pause,$(wildcard $(lib)/guest/*)) $(libferry)/guest/
	rm -rf $(libferry)/guest/lib $(libferry)/guest/pause
	cp -rL --no-preserve=ownership $(lib)/guest/lib $(lib)/guest/pause $(libferry)/guest/
	rm -rf $(libferry)/modules
	cp -rL --no-preserve=ownership $(lib)/modules $(libferry)/modules
	for n in 1 5 7 8; do install -d $(DESTDIR)$(mandir)/man$$n && \
		install -m 644 docs/*.$$n $(DESTDIR)$(mandir)/man$$n/ || exit; done

clean:
	rm -rf build/proto build/guest build/host build/asan build/soak build/bench \
		build/tests build/lint build/lib build/uapi build/ferry

-include $(shell find build/guest build/host build/asan build/soak build/lint -name '*.d' 2>/dev/null)
