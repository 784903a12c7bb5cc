/*
 * tests/e2e/plugdrive.c - plug and unplug disks and cards of a real UVM
 *
 * usage: plugdrive COUNT FOLDER RUN-OPTION...
 *
 * Boots a UVM, then COUNT times: an ext4 disk made of FOLDER is plugged at
 * another LUN, mounted, unmounted, ejected, unplugged; each eighth time a card
 * is plugged and unplugged. Then it tries what must fail, and prints how many
 * milliseconds a round took and what is left in the guest.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/host/process.h"
#include "bridge/host/settings.h"
#include "bridge/io/log.h"
#include "config/num.h"
#include "config/util.h"
#include "tools/disk/disk.h"
#include "tools/launch.h"
#include "tools/qemu/plug.h"
#include "tools/sandbox.h"

#define MOUNT "/run/mounts/scsi/test"
#define MAC "00-15-5D-00-00-07"
#define CARD_EVERY 8
#define LIMIT_MS 3600000

enum step {
	STEP_PLUG,
	STEP_MOUNT,
	STEP_UNMOUNT,
	STEP_EJECT,
	STEP_UNPLUG,
	STEP_CARD,
	STEP_CARD_GONE,
	STEP_NEXT,
	STEP_BAD,
	STEP_LOOK,
	STEP_END,
};

struct drive {
	struct launch launch;
	struct loop *loop;
	struct sandbox_config config;
	struct sandbox *sandbox;
	struct disk_job *job;
	struct disk disk;
	struct host_process *process;
	bool ready;
	uint32_t count;
	uint32_t round;
	int64_t began_ms;
	enum step step;
	int code;
};

static void go(struct drive *d);

static void stop(struct drive *d, int code, const char *what,
		 const struct err *e)
{
	if (what)
		(void)fprintf(stderr, "round %u, %s: %s\n", d->round, what,
			      e ? e->text : "?");
	if (d->code == 0)
		d->code = code;
	d->step = STEP_END;
	sandbox_shutdown(d->sandbox);
}

static void on_plugged(void *ctx, int result, const struct err *e)
{
	struct drive *d = ctx;

	if (d->step == STEP_BAD) {
		(void)printf("refused: %s\n", result < 0 ? "yes" : "no");
		d->step = STEP_LOOK;
		go(d);
		return;
	}
	if (result < 0) {
		stop(d, 1, "plug", e);
		return;
	}
	d->step++;
	go(d);
}

static void on_modified(void *ctx, const void *result UNUSED,
			const struct host_failure *f)
{
	struct drive *d = ctx;

	if (f) {
		stop(d, 1, "guest", &f->err);
		return;
	}
	d->step++;
	go(d);
}

static void on_looked(void *ctx, const struct host_process_end *end)
{
	struct drive *d = ctx;

	host_process_free(d->process);
	d->process = NULL;
	stop(d, end->exited && end->code == 0 ? 0 : 1, NULL, NULL);
}

static int look(struct drive *d, struct err *e)
{
	const char *words[] = {
		"/bin/sh",
		"-c",
		"ls /sys/class/block /sys/class/net; cat /proc/mounts",
	};
	const struct msg_process_parameters p = {
		.command_args = { words, ARRAY_LEN(words) },
		.command_line = "",
		.working_directory = "",
		.create_in_utility_vm = true,
	};
	const struct host_process_config c = {
		.parameters = &p,
		.fd = { -1, 1, 2 },
		.ended = on_looked,
		.ctx = d,
	};

	(void)fflush(stdout);
	return host_process_start(sandbox_client(d->sandbox), &c, &d->process,
				  e);
}

static struct msg_mapped_virtual_disk mount_of(uint32_t lun)
{
	return (struct msg_mapped_virtual_disk){
		.mount_path = MOUNT,
		.lun = (uint8_t)lun,
		.read_only = true,
		.filesystem = "",
	};
}

static int begin(struct drive *d, struct err *e)
{
	const uint32_t lun = d->round % QEMU_LUNS;
	const struct plug_disk disk = { .lun = lun,
					.path = d->disk.path,
					.read_only = true };
	const struct plug_disk bad = { .path = "/nowhere/at/all" };
	const struct plug_nic nic = { .mac = MAC, .net = PLUG_NET_USER };
	const struct msg_mapped_virtual_disk m = mount_of(lun);
	const struct msg_scsi_device eject = { .lun = (uint8_t)lun };
	const struct host_done done = { .fn = on_modified, .ctx = d };
	struct host_client *c = sandbox_client(d->sandbox);
	struct plug *p = sandbox_plug(d->sandbox);

	switch (d->step) {
	case STEP_PLUG:
		return plug_disk_add(p, &disk, on_plugged, d, e);
	case STEP_MOUNT:
		return host_modify_disk(c, HOST_ADD, &m, &done, NULL, e);
	case STEP_UNMOUNT:
		return host_modify_disk(c, HOST_REMOVE, &m, &done, NULL, e);
	case STEP_EJECT:
		return host_unplug_disk(c, &eject, &done, NULL, e);
	case STEP_UNPLUG:
		return plug_disk_remove(p, 0, lun, on_plugged, d, e);
	case STEP_CARD:
		return plug_nic_add(p, &nic, on_plugged, d, e);
	case STEP_CARD_GONE:
		return plug_nic_remove(p, 0, on_plugged, d, e);
	case STEP_BAD:
		return plug_disk_add(p, &bad, on_plugged, d, e);
	case STEP_LOOK:
		return look(d, e);
	case STEP_NEXT:
	case STEP_END:
		break;
	}
	return 0;
}

static void next_round(struct drive *d)
{
	const int64_t took = loop_now_ms(d->loop) - d->began_ms;

	if (++d->round < d->count) {
		d->step = STEP_PLUG;
		return;
	}
	(void)printf("%u rounds, %.1f ms each\n", d->count,
		     (double)took / d->count);
	d->step = STEP_BAD;
}

static void go(struct drive *d)
{
	struct err e;

	if (d->step == STEP_CARD && d->round % CARD_EVERY != 0)
		d->step = STEP_NEXT;
	if (d->step == STEP_NEXT)
		next_round(d);
	if (d->step != STEP_END && begin(d, &e) < 0)
		stop(d, 1, "begin", &e);
}

static void start_when_ready(struct drive *d)
{
	if (!d->ready || d->disk.fd < 0)
		return;
	d->began_ms = loop_now_ms(d->loop);
	go(d);
}

static void on_disk(void *ctx, int result, struct disk *disk,
		    const struct err *e)
{
	struct drive *d = ctx;

	disk_job_free(d->job);
	d->job = NULL;
	if (result < 0) {
		stop(d, 1, "disk", e);
		return;
	}
	d->disk = *disk;
	start_when_ready(d);
}

static void on_ready(void *ctx)
{
	struct drive *d = ctx;

	d->ready = true;
	start_when_ready(d);
}

static void on_ended(void *ctx, const struct err *why)
{
	struct drive *d = ctx;

	if (why) {
		(void)fprintf(stderr, "sandbox: %s\n", why->text);
		d->code = 1;
	}
	host_process_free(d->process);
	d->process = NULL;
	loop_stop(d->loop);
}

static int run(struct drive *d, const char *folder, struct err *e)
{
	const struct disk_wish wish = { .source = folder, .fs = DISK_FS_EXT4 };
	const struct disk_handler h = { .done = on_disk, .ctx = d };
	int r = launch_line(&d->launch, e);

	if (r == 0)
		r = launch_files(&d->launch, e);
	if (r == 0)
		r = loop_new(&d->loop, e);
	if (r == 0)
		r = disk_start(d->loop, &wish, &h, &d->job, e);
	if (r < 0)
		return r;
	d->config = launch_sandbox(&d->launch, d->loop);
	d->config.scsi = 1;
	d->config.nics = 1;
	d->config.ready = on_ready;
	d->config.ended = on_ended;
	d->config.ctx = d;
	r = sandbox_new(&d->config, &d->sandbox, e);
	if (r == 0)
		r = loop_run(d->loop, e);
	sandbox_free(d->sandbox);
	disk_job_free(d->job);
	disk_done(&d->disk);
	loop_free(d->loop);
	return r;
}

int main(int argc, char **argv)
{
	static struct drive d = { .disk = { .fd = -1 } };
	struct err e = { 0 };

	log_setup(2, LOG_FORM_TEXT, LOG_LEVEL_ERR);
	if (argc < 4 || num_u32(argv[1], 1, 1000000, &d.count, &e) < 0) {
		(void)fputs("usage: plugdrive COUNT FOLDER RUN-OPTION...\n",
			    stderr);
		return 2;
	}
	launch_init(&d.launch);
	if (run_args_parse(argc - 2, argv + 2, &d.launch.args) != RUN_ARGS_GO)
		return 2;
	if (run(&d, argv[2], &e) < 0) {
		(void)fprintf(stderr, "plugdrive: %s\n", e.text);
		d.code = 1;
	}
	launch_done(&d.launch);
	return d.code;
}
