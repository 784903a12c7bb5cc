/*
 * What a destination compares before a VM is made, and before memory moves:
 * each difference is refused by its name.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/util.h"
#include "migration/status.h"
#include "tools/shim/machine.h"
#include "tools/shim/shim.h"

#define DOC_MAX 1024
#define WHAT                                                                   \
	"\"accel\":\"tcg\",\"vsock\":\"user\",\"memory_mib\":512,"             \
	"\"processors\":1,\"scsi\":4,\"nics\":8,\"console\":false,"            \
	"\"line\":\"panic=-1\""
#define MIGRATABLE                                                             \
	"\"annotations\":{\"io.microsoft.migration.support-enabled\":"         \
	"\"true\"}"

struct fixture {
	struct launch launch;
	struct shim shim;
	char kernel[32], image[32];
	char sum[FILE_SUM_SIZE]; /* of both */
};

static void write_file(char *path, const char *what)
{
	const int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_true(write(fd, what, strlen(what)) == (ssize_t)strlen(what));
	(void)close(fd);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct machine_facts *m = &f->shim.machine;
	struct err e;

	assert_non_null(f);
	launch_init(&f->launch);
	annotation_map_init(&f->launch.args.annotations);
	f->launch.args.forwarder = FORWARDERS;
	f->shim.launch = &f->launch;
	annotation_map_init(&f->shim.lock);
	(void)snprintf(f->kernel, sizeof(f->kernel), "/tmp/ferry-k-XXXXXX");
	(void)snprintf(f->image, sizeof(f->image), "/tmp/ferry-i-XXXXXX");
	write_file(f->kernel, "vmlinux");
	write_file(f->image, "vmlinux");
	file_sum_open(&m->file[MACHINE_KERNEL], f->kernel);
	file_sum_open(&m->file[MACHINE_IMAGE], f->image);
	(void)snprintf(f->sum, sizeof(f->sum), "%s",
		       file_sum_hex(&m->file[MACHINE_KERNEL], &e));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)unlink(f->kernel);
	(void)unlink(f->image);
	annotation_map_done(&f->shim.lock);
	launch_done(&f->launch);
	free(f);
	return 0;
}

static int take_cpu(struct fixture *f, const char *machine,
		    const char *said_machine, const char *qemu,
		    const char *kernel, const char *image, const char *cpu,
		    struct err *e)
{
	char doc[DOC_MAX], said[DOC_MAX + VM_CPU_SIZE];
	const int n =
		snprintf(doc, sizeof(doc),
			 "{\"v\":1,\"machine\":\"%s\"," WHAT "," MIGRATABLE "}",
			 machine);
	const int m = snprintf(said, sizeof(said),
			       "{\"v\":1,\"machine\":\"%s\"," WHAT
			       ",\"qemu\":\"%s\",\"kernel\":\"%s\","
			       "\"image\":\"%s\",\"cpu\":\"%s\"}",
			       said_machine, qemu, kernel, image, cpu);
	const struct vmm_config c = {
		.document = doc,
		.document_len = (size_t)n,
		.compat = said,
		.compat_len = (size_t)m,
	};

	return machine_take(&f->shim, &c, e);
}

static int take(struct fixture *f, const char *machine,
		const char *said_machine, const char *qemu, const char *kernel,
		const char *image, struct err *e)
{
	return take_cpu(f, machine, said_machine, qemu, kernel, image, "", e);
}

static void test_the_sum_of_a_file(void **state)
{
	const struct fixture *f = *state;

	/* as sha256sum has it */
	assert_string_equal(f->sum, "bda53947e9ee31b2381cad6b07dc756f"
				    "83c688f16dce16bd23ac1386099b36b3");
}

static void test_the_same_is_taken(void **state)
{
	struct fixture *f = *state;
	struct machine_facts *m = &f->shim.machine;
	struct err e = { 0 };

	assert_int_equal(take(f, "pc-q35-7.2", "pc-q35-7.2", "7.2.22", f->sum,
			      f->sum, &e),
			 0);
	assert_string_equal(m->wanted, "pc-q35-7.2");
	(void)snprintf(m->id.machine, sizeof(m->id.machine), "pc-q35-7.2");
	memcpy(m->id.version, (uint32_t[]){ 7, 2, 22 }, 12);
	assert_int_equal(machine_is_right(&f->shim, &e), 0);
	memcpy(m->id.version, (uint32_t[]){ 8, 0, 0 }, 12);
	assert_int_equal(machine_is_right(&f->shim, &e), 0);
}

static void test_an_older_qemu_is_refused(void **state)
{
	struct fixture *f = *state;
	struct machine_facts *m = &f->shim.machine;
	struct err e = { 0 };

	assert_int_equal(take(f, "pc-q35-7.2", "pc-q35-7.2", "7.2.22", f->sum,
			      f->sum, &e),
			 0);
	(void)snprintf(m->id.machine, sizeof(m->id.machine), "pc-q35-7.2");
	memcpy(m->id.version, (uint32_t[]){ 7, 2, 21 }, 12);
	assert_int_equal(machine_is_right(&f->shim, &e), -EPRECONDITION);
	assert_string_equal(e.text, "QEMU: 7.2.22 there, 7.2.21 here is older");
}

static void test_another_machine_is_refused(void **state)
{
	struct fixture *f = *state;
	struct machine_facts *m = &f->shim.machine;
	struct err e = { 0 };
	static const char *const bad[] = { "microvm", "pc-q35-7.2,usb=on",
					   "pc-i440fx-7.2", "pc-q35-7.2 -S" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(
			take(f, bad[i], bad[i], "7.2.22", f->sum, f->sum, &e),
			-EPRECONDITION);
		assert_memory_equal(e.text, "machine: ", 9);
	}
	assert_int_equal(take(f, "pc-q35-7.1", "pc-q35-7.2", "7.2.22", f->sum,
			      f->sum, &e),
			 -EPRECONDITION);
	/* What QEMU made is asked for, too. */
	assert_int_equal(take(f, "pc-q35-7.1", "pc-q35-7.1", "7.2.22", f->sum,
			      f->sum, &e),
			 0);
	(void)snprintf(m->id.machine, sizeof(m->id.machine), "pc-q35-7.2");
	memcpy(m->id.version, (uint32_t[]){ 7, 2, 22 }, 12);
	assert_int_equal(machine_is_right(&f->shim, &e), -EPRECONDITION);
	assert_string_equal(e.text,
			    "machine: pc-q35-7.1 there, pc-q35-7.2 here");
}

static void test_another_kernel_or_image_is_refused(void **state)
{
	struct fixture *f = *state;
	char other[FILE_SUM_SIZE];
	struct err e = { 0 };

	memset(other, 'a', sizeof(other) - 1);
	other[sizeof(other) - 1] = '\0';
	assert_int_equal(take(f, "pc-q35-7.2", "pc-q35-7.2", "7.2.22", other,
			      f->sum, &e),
			 -EPRECONDITION);
	assert_memory_equal(e.text, "kernel: another one", 19);
	assert_int_equal(take(f, "pc-q35-7.2", "pc-q35-7.2", "7.2.22", f->sum,
			      other, &e),
			 -EPRECONDITION);
	assert_memory_equal(e.text, "image: another one", 18);
}

/* A host with the ferry before this one names neither. */
static void test_n_1_says_less(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	assert_int_equal(take(f, "q35", "q35", "", "", "", &e), 0);
	(void)snprintf(f->shim.machine.id.machine, VM_MACHINE_SIZE,
		       "pc-q35-7.2");
	assert_int_equal(machine_is_right(&f->shim, &e), 0);
}

#define CPU "vendor=GenuineIntel family=6 model=142 7.0.EBX=219c95a9"

/* What the guest sees there, here, and what is said of it. */
static void test_another_processor_is_refused(void **state)
{
	static const struct {
		const char *there, *here, *text;
	} row[] = {
		{ CPU, CPU, NULL },
		{ CPU " 1.0.ECX=1", "1.0.ECX=1 " CPU, NULL },
		{ CPU, "", NULL }, /* a QEMU that does not say */
		{ "", CPU, NULL }, /* a ferry that did not */
		{ CPU, "vendor=AuthenticAMD family=6 model=142 7.0.EBX=0",
		  "CPU: vendor=GenuineIntel there, vendor=AuthenticAMD here" },
		{ CPU, "vendor=GenuineIntel family=6 model=14 7.0.EBX=219c95a9",
		  "CPU: model=142 there, model=14 here" },
		{ CPU " 7.0.ECX=8", CPU, "CPU: 7.0.ECX=8 there, nothing here" },
		{ CPU, CPU " 7.0.ECX=8", "CPU: nothing there, 7.0.ECX=8 here" },
	};
	struct fixture *f = *state;
	struct machine_facts *m = &f->shim.machine;
	char much[VM_CPU_SIZE + 1];
	struct err e = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		assert_int_equal(take_cpu(f, "pc-q35-7.2", "pc-q35-7.2", "",
					  f->sum, f->sum, row[i].there, &e),
				 0);
		(void)snprintf(m->id.machine, VM_MACHINE_SIZE, "pc-q35-7.2");
		(void)snprintf(m->id.cpu, VM_CPU_SIZE, "%s", row[i].here);
		assert_int_equal(machine_is_right(&f->shim, &e),
				 row[i].text ? -EPRECONDITION : 0);
		if (row[i].text)
			assert_string_equal(e.text, row[i].text);
	}
	memset(much, 'x', VM_CPU_SIZE);
	much[VM_CPU_SIZE] = '\0';
	assert_int_equal(take_cpu(f, "pc-q35-7.2", "pc-q35-7.2", "", f->sum,
				  f->sum, much, &e),
			 -EINVAL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_the_sum_of_a_file),
		T(test_the_same_is_taken),
		T(test_an_older_qemu_is_refused),
		T(test_another_machine_is_refused),
		T(test_another_kernel_or_image_is_refused),
		T(test_n_1_says_less),
		T(test_another_processor_is_refused),
	};
#undef T

	return cmocka_run_group_tests_name("shim_machine", tests, NULL, NULL);
}
