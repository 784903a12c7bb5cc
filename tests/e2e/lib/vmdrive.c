#include "tests/e2e/lib/vmdrive.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bridge/host/entropy.h"
#include "bridge/io/fd.h"
#include "config/num.h"
#include "config/util.h"
#include "tools/qemu/vm.h"

#define MEMORY_MIB 512
#define MEMORY_MIB_MAX 65536
#define LISTEN_BACKLOG 16

uint32_t vmdrive_number(const char *text, uint32_t max)
{
	uint32_t n = 0;
	struct err e;

	if (!text || num_u32(text, 1, max, &n, &e) < 0) {
		(void)fputs("hostdrive: bad or missing number\n", stderr);
		exit(2);
	}
	return n;
}

static void on_vm_ended(void *ctx)
{
	loop_stop(ctx);
}

int vmdrive_boot(struct loop *loop, const struct transport *t, char **argv)
{
	char qmp[TRANSPORT_BASE_MAX + 8];
	const struct vm_options o = {
		.qemu = {
			.binary = "qemu-system-x86_64",
			.accel = ACCEL_TCG,
			.memory_mib = argv[4] ? vmdrive_number(argv[4],
							  MEMORY_MIB_MAX)
						 : MEMORY_MIB,
			.processors = 2,
			.kernel = argv[0],
			.initrd = argv[1],
			.append = argv[3],
			.qmp = qmp,
			.cid = 3,
		},
		.preload = argv[2],
		.vsock_base = t->base,
	};
	const struct vm_handler h = { .ended = on_vm_ended, .ctx = loop };
	struct host_entropy *entropy = NULL;
	struct vm *vm = NULL;
	struct err e;
	int result;

	(void)snprintf(qmp, sizeof(qmp), "%s.qmp", t->base);
	if (host_entropy_new(loop, t, NULL, NULL, &entropy, &e) < 0 ||
	    vm_start(&vm, loop, &o, &h, &e) < 0) {
		(void)fprintf(stderr, "hostdrive: %s\n", e.text);
		return 1;
	}
	(void)loop_run(loop, &e);
	printf("the UVM ended: %s\n", vm_end_name(vm_end(vm)));
	result = vm_end(vm) == VM_END_ORDERLY ? 0 : 1;
	host_entropy_free(entropy);
	vm_free(vm);
	return result;
}

int vmdrive_listen(const struct transport *t, char **argv)
{
	const int64_t wait_ms = (int64_t)vmdrive_number(argv[1], 3600) * 1000;
	struct pollfd p = { .events = POLLIN };
	struct timespec start;
	struct timespec now;
	int64_t left = wait_ms;
	uint32_t enough = UINT32_MAX;
	uint32_t count = 0;
	struct err e;

	if (transport_listen(t, vmdrive_number(argv[0], UINT32_MAX),
			     LISTEN_BACKLOG, &p.fd, &e) < 0) {
		(void)fprintf(stderr, "hostdrive: %s\n", e.text);
		return 1;
	}
	if (argv[2])
		enough = vmdrive_number(argv[2], UINT32_MAX);
	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	while (left > 0 && count < enough && poll(&p, 1, (int)left) >= 0) {
		int fd = -1;

		if (transport_accept(t, p.fd, &fd, &e) == 0)
			count++;
		fd_close(&fd);
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		left = wait_ms - (now.tv_sec - start.tv_sec) * 1000;
	}
	printf("%u connections\n", count);
	return 0;
}
