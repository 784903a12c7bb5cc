/* tests/unit/test_qemu_argv.c - options to QEMU's command line */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "config/text.h"
#include "config/util.h"
#include "tools/qemu/argv.h"

static const struct qemu_options base = {
	.binary = "qemu-system-x86_64",
	.accel = ACCEL_TCG,
	.memory_mib = 256,
	.processors = 2,
	.kernel = "/lib/vmlinux",
	.initrd = "/lib/initramfs.img",
	.append = "quiet panic=-1 -- -e 1 /bin/gcs -v4",
	.qmp = "/run/uvm-1/qmp",
	.cid = 3,
};

/* The vector as one text, a word a line. */
static void render(const struct qemu_options *o, struct text *out)
{
	struct arena a;
	struct err e;
	char **argv = NULL;

	arena_init(&a, QEMU_ARGV_BYTES);
	assert_int_equal(qemu_argv(o, &a, &argv, &e), 0);
	for (size_t i = 0; argv[i]; i++)
		text_addf(out, "%s\n", argv[i]);
	arena_done(&a);
}

static void check_argv(const struct qemu_options *o, const char *expect)
{
	struct text t;

	text_heap(&t, QEMU_ARGV_BYTES);
	render(o, &t);
	assert_string_equal(text_str(&t), expect);
	text_done(&t);
}

#define HEAD                                                                               \
	"qemu-system-x86_64\n-machine\nq35\n-accel\ntcg,thread=single\n-m\n256\n-smp\n2\n" \
	"-nodefaults\n-no-user-config\n-display\nnone\n-no-reboot\n-bios\n"                \
	"qboot.rom\n-kernel\n/lib/vmlinux\n-initrd\n/lib/initramfs.img\n"                  \
	"-append\nquiet panic=-1 -- -e 1 /bin/gcs -v4\n"
#define QMP "-qmp\nunix:/run/uvm-1/qmp\n"
#define TAIL                                                                   \
	"-device\npvpanic\n-action\npanic=none\n"                              \
	"-device\nvhost-vsock-pci,id=vsock0,guest-cid=3,addr=2\n"

static void argv_of_a_plain_uvm(void **state UNUSED)
{
	check_argv(&base, HEAD QMP TAIL);
}

static void argv_with_every_option(void **state UNUSED)
{
	struct qemu_options o = base;

	o.console = "/run/uvm-1/console";
	o.scsi = 4;
	o.nics = 3;
	o.incoming = "unix:/run/uvm-1/incoming";
	o.paused = true;
	check_argv(&o, HEAD QMP
		   "-serial\nunix:/run/uvm-1/console\n" TAIL
		   "-device\nvirtio-scsi-pci,id=scsi0,addr=0x3\n"
		   "-device\nvirtio-scsi-pci,id=scsi1,addr=0x5\n"
		   "-device\nvirtio-scsi-pci,id=scsi2,addr=0x6\n"
		   "-device\nvirtio-scsi-pci,id=scsi3,addr=0x7\n"
		   "-device\npcie-root-port,id=nic0,chassis=1,addr=0x4\n"
		   "-device\npcie-root-port,id=nic1,chassis=2,addr=0x8\n"
		   "-device\npcie-root-port,id=nic2,chassis=3,addr=0x9\n"
		   "-incoming\nunix:/run/uvm-1/incoming\n-S\n");
}

static void argv_kvm_uses_the_host_processor(void **state UNUSED)
{
	struct qemu_options o = base;
	struct text t;

	o.accel = ACCEL_KVM;
	o.only_migratable = true;
	text_heap(&t, QEMU_ARGV_BYTES);
	render(&o, &t);
	assert_non_null(strstr(text_str(&t), "-accel\nkvm\n-cpu\nhost\n"));
	assert_non_null(strstr(text_str(&t), "\n-only-migratable\n"));
	text_done(&t);
}

/* See accel_option(). */
static void argv_gives_the_processors_of_tcg_one_thread(void **state UNUSED)
{
	struct text t;

	text_heap(&t, QEMU_ARGV_BYTES);
	render(&base, &t);
	assert_non_null(strstr(text_str(&t), "\n-accel\ntcg,thread=single\n"));
	text_done(&t);
}

/* A comma would end the path and begin an option of the user's choice. */
static void argv_doubles_commas_in_socket_paths(void **state UNUSED)
{
	struct qemu_options o = base;

	o.qmp = "/tmp/a,server=on,b/qmp";
	check_argv(&o, HEAD "-qmp\nunix:/tmp/a,,server=on,,b/qmp\n" TAIL);
}

static void argv_refuses_what_cannot_run(void **state UNUSED)
{
	struct qemu_options bad[] = {
		base, base, base, base, base, base, base
	};
	char *sentinel = NULL;
	char **argv = &sentinel;

	bad[0].accel = ACCEL_AUTO;
	bad[1].cid = 2;
	bad[2].cid = UINT32_MAX;
	bad[3].processors = 0;
	bad[4].memory_mib = 0;
	bad[5].scsi = QEMU_SCSI_MAX + 1;
	bad[6].nics = QEMU_NICS_MAX + 1;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct arena a;
		struct err e = { 0 };

		arena_init(&a, QEMU_ARGV_BYTES);
		assert_int_equal(qemu_argv(&bad[i], &a, &argv, &e), -EINVAL);
		assert_ptr_equal(argv, &sentinel);
		assert_true(e.text[0]);
		arena_done(&a);
	}
}

static void argv_too_long_is_an_error(void **state UNUSED)
{
	struct qemu_options o = base;
	static char line[QEMU_ARGV_BYTES + 1];
	struct arena a;
	struct err e;
	char **argv = NULL;

	memset(line, 'x', sizeof(line) - 1);
	o.append = line;
	arena_init(&a, QEMU_ARGV_BYTES);
	assert_int_equal(qemu_argv(&o, &a, &argv, &e), -ENOMEM);
	assert_null(argv);
	arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(argv_of_a_plain_uvm),
		cmocka_unit_test(argv_with_every_option),
		cmocka_unit_test(argv_kvm_uses_the_host_processor),
		cmocka_unit_test(argv_gives_the_processors_of_tcg_one_thread),
		cmocka_unit_test(argv_doubles_commas_in_socket_paths),
		cmocka_unit_test(argv_refuses_what_cannot_run),
		cmocka_unit_test(argv_too_long_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
