/*
 * tests/unit/saved_model.h - a state with all kinds of things in it, as structs
 *
 * They are encoded, which checks nothing, and decoded, which does.
 */
#ifndef FERRY_TESTS_UNIT_SAVED_MODEL_H
#define FERRY_TESTS_UNIT_SAVED_MODEL_H

#include "tests/unit/unit.h"

#include <string.h>

#include "config/util.h"
#include "migration/saved.h"
#include "migration/saved_json.h"
#include "migration/status.h"

#define T(s) ((struct saved_text){ s, sizeof(s) - 1 })

/* A state with two pods, three containers and all kinds of things in it. */
struct model {
	struct saved s;
	struct saved_pod pods[2];
	struct saved_container pause[2], app;
	struct saved_container containers[2];
	struct saved_process init[3];
	struct saved_process two[2];
	struct saved_process execs[2], others[2];
	struct saved_stream streams[4];
	struct saved_layer layers[3][2];
	struct saved_disk disks[3];
	struct saved_mount mounts[3][2];
	struct saved_reservation reservations[7];
	struct saved_endpoint nics[2];
	struct saved_text extra[1];
	struct saved_text options[2];
	struct saved_vpci vpci[2];
	struct saved_share shares[2];
	struct saved_text vpci_refs[2], share_refs[2][2];
};

UNUSED static void set_process(struct saved_process *p, int i)
{
	*p = (struct saved_process){
		.key = T(""),
		.version = 1,
		.exec_id = T(""),
		.pid = 10 + i,
		.bundle = T("/b"),
		.io_retry = { true, 30, 0 },
		.port = { 0, 0x40000001u + 2 * (uint32_t)i,
			  0x40000002u + 2 * (uint32_t)i },
		.wait_id = 1 + i,
	};
}

UNUSED static char many_bytes[2 << 20];

/* Two execs of a container and two processes of the VM, one of each stopped. */
UNUSED static void set_others(struct model *m, struct saved_process *p, int i)
{
	set_process(&p[0], i);
	p[0].key = p[0].exec_id = T("e");
	p[0].port[0] = 0x40000001u + 2 * (uint32_t)(i + 1);
	p[0].terminal = true;
	p[0].started_at_ns = 5;
	p[0].stage = SAVED_STAGE_RUNNING; /* exited, and nobody was told */
	p[0].exit_status = 3;
	p[0].exited_at_ns = 7;
	p[0].stdio[1] = T("/fifo");
	p[0].streams = &m->streams[i == 4 ? 0 : 2];
	p[0].n_streams = 2;
	p[0].streams[0] = (struct saved_stream){
		.port = p[0].port[0],
		.offset = 77,
		.unacknowledged = { "in\0put", 6 },
		.kept = T("k"),
	};
	p[0].streams[1] = (struct saved_stream){
		.port = p[0].port[1],
		.offset = 9,
		.ended = true,
		.length = 10,
		.marked = true,
		.mark = 8,
	};
	p[1] = (struct saved_process){
		.key = T("f"),
		.version = 1,
		.exec_id = T("f"),
		.pid = 99,
		.stage = SAVED_STAGE_STOPPED,
		.exit_status = 4,
		.exited_at_ns = 6,
		.unread = { [2] = { "not\0read", 8 } },
	};
}

UNUSED static void add_others(struct model *m)
{
	set_others(m, m->execs, 4);
	set_others(m, m->others, 7);
	m->containers[0].execs = m->execs;
	m->containers[0].n_execs = 2;
	m->s.vm.processes = m->others;
	m->s.vm.n_processes = 2;
	m->s.vm.session = T("secret");
	m->s.vm.next_id = 20;
	m->s.vm.next_port = 0x40000040;
}

UNUSED static void set_container(struct model *m, struct saved_container *c,
				 const char *id, int i)
{
	static const char *const ids[3][2] = {
		{ "10000000-0000-4000-8000-000000000001",
		  "20000000-0000-4000-8000-000000000002" },
		{ "30000000-0000-4000-8000-000000000003",
		  "40000000-0000-4000-8000-000000000004" },
		{ "50000000-0000-4000-8000-000000000005",
		  "60000000-0000-4000-8000-000000000006" },
	};

	set_process(&m->init[i], i);
	m->layers[i][0] = (struct saved_layer){ saved_text_of(ids[i][0]),
						T("/run/mounts/scsi/0_1_0") };
	m->layers[i][1] = (struct saved_layer){ saved_text_of(ids[i][1]),
						T("/run/mounts/scsi/0_2_1/s") };
	*c = (struct saved_container){
		.version = 1,
		.id = saved_text_of(id),
		.gcs_id = saved_text_of(id),
		.has_layers = true,
		.ro_layers = &m->layers[i][0],
		.n_ro_layers = 1,
		.has_scratch = true,
		.scratch = m->layers[i][1],
		.layers_combined = true,
		.rootfs = T("/run/gcs/pods/p/c/rootfs"),
		.processes = &m->init[i],
		.n_processes = 1,
	};
}

UNUSED static void set_disks(struct model *m)
{
	static const char *const paths[] = { "/boot.img", "/layer.img",
					     "/scratch.img" };
	static const char *const ids[] = {
		"10000000-0000-4000-8000-000000000001",
		"20000000-0000-4000-8000-000000000002",
		"30000000-0000-4000-8000-000000000003",
		"40000000-0000-4000-8000-000000000004",
		"50000000-0000-4000-8000-000000000005",
		"60000000-0000-4000-8000-000000000006",
		"70000000-0000-4000-8000-000000000007",
	};
	uint32_t i;

	for (i = 0; i < 3; i++)
		m->disks[i] = (struct saved_disk){
			.slot = i,
			.has_config = true,
			.host_path = saved_text_of(paths[i]),
			.type = i == 2 ? T("PassThru") : T("VirtualDisk"),
			.mounts = m->mounts[i],
			.n_mounts = i == 0 ? 0 : i,
		};
	m->options[0] = T("rshared");
	m->options[1] = T("");
	for (i = 0; i < 3; i++)
		m->mounts[i][0] = m->mounts[i][1] = (struct saved_mount){
			.partition = i == 2,
			.has_config = true,
			.options = m->options,
			.n_options = 2,
			.filesystem = T("ext4"),
			.ref_count = 3,
			.guest_path = T("/run/mounts/scsi/x"),
		};
	m->mounts[2][1].partition = 9;
	m->mounts[2][1].ref_count = 1;
	for (i = 0; i < 7; i++)
		m->reservations[i] = (struct saved_reservation){
			.id = saved_text_of(ids[i]),
			.slot = i == 6 ? 2 : 1 + i % 2,
			.partition = i == 6 ? 9 : i % 2,
		};
}

UNUSED static void model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	set_disks(m);
	set_container(m, &m->pause[0], "p", 0);
	set_container(m, &m->app, "c", 1);
	set_container(m, &m->pause[1], "q", 2);
	m->extra[0] = T("70000000-0000-4000-8000-000000000007");
	m->app.reservations = m->extra;
	m->app.n_reservations = 1;
	m->containers[0] = m->app;
	m->containers[1] = m->pause[0];
	m->nics[0] = (struct saved_endpoint){
		.nic_id = T("a0000000-0000-4000-8000-00000000000a"),
		.endpoint_id = T("tap0"),
		.mac = T("00-15-5D-00-00-01"),
		.name = T("eth0"),
	};
	m->nics[1] = m->nics[0];
	m->nics[1].nic_id = T("b0000000-0000-4000-8000-00000000000b");
	m->pods[0] = (struct saved_pod){
		.version = 1,
		.id = T("p"),
		.gcs_id = T("p"),
		.network = { .version = 1,
			     .namespace_id = T("ns"),
			     .guest_support = true,
			     .endpoints = m->nics,
			     .n_endpoints = 2 },
		.containers = m->containers,
		.n_containers = 2,
	};
	m->pods[1] = (struct saved_pod){
		.version = 1,
		.id = T("q"),
		.gcs_id = T("g"),
		.network = { .version = 1 },
		.containers = &m->pause[1],
		.n_containers = 1,
	};
	m->s = (struct saved){
		.version = 1,
		.vm = { .version = 1,
			.id = T("s@vm"),
			.has_options = true,
			.architecture = T("amd64"),
			.has_scsi = true,
			.scsi = { .version = 1,
				  .n_controllers = 1,
				  .disks = m->disks,
				  .n_disks = 3,
				  .reservations = m->reservations,
				  .n_reservations = 7 },
			.next_port = 0x40000007,
			.compat = T("{}"),
			.document = T(" {\"a\":1}"),
			.next_id = 4 },
		.pods = m->pods,
		.n_pods = 2,
	};
}

#define VPCI_A T("d0000000-0000-4000-8000-00000000000d")
#define VPCI_B T("d1000000-0000-4000-8000-00000000000d")
#define SHARE_A T("e0000000-0000-4000-8000-00000000000e")
#define SHARE_B T("e1000000-0000-4000-8000-00000000000e")

/* What only a save to a file has: two devices, two shares, held by two. */
UNUSED static void add_devices(struct model *m)
{
	m->vpci[0] = (struct saved_vpci){ VPCI_A, T("0000:01:00.0"),
					  SAVED_STAGE_ATTACHED };
	m->vpci[1] = (struct saved_vpci){ VPCI_B, T("0000:01:00.1"),
					  SAVED_STAGE_RESERVED };
	m->shares[0] = (struct saved_share){
		SHARE_A, T("/srv"),	     T("7"), T("/g"), true,
		2,	 SAVED_STAGE_MOUNTED
	};
	m->shares[1] = (struct saved_share){
		SHARE_B, T("/srv"),	     T("8"), T("/h"), false,
		1,	 SAVED_STAGE_DEFAULT
	};
	m->vpci_refs[0] = VPCI_A;
	m->vpci_refs[1] = VPCI_B;
	m->share_refs[0][0] = m->share_refs[1][0] = SHARE_A;
	m->share_refs[0][1] = SHARE_B;
	m->s.vm.vpci = m->vpci;
	m->s.vm.shares = m->shares;
	m->s.vm.n_vpci = m->s.vm.n_shares = 2;
	m->containers[0].vpci_guids = m->vpci_refs;
	m->containers[0].n_vpci_guids = 2;
	m->containers[0].share_reservations = m->share_refs[0];
	m->containers[0].n_share_reservations = 2;
	m->containers[1].share_reservations = m->share_refs[1];
	m->containers[1].n_share_reservations = 1;
}

/* Encodes, decodes; the rule, "" when accepted. */
UNUSED static const char *verdict(const struct model *m, int *ret_code)
{
	struct saved_fault fault;
	struct err e = { 0 };
	struct saved again;
	struct text bytes;
	struct arena a;
	int r;

	text_heap(&bytes, 2 * SAVED_BYTES_MAX);
	r = saved_encode(&m->s, &bytes, &e);
	if (r < 0) {
		*ret_code = -r;
		text_done(&bytes);
		return "encode";
	}
	saved_arena_init(&a, bytes.len);
	memset(&again, 0x5a, sizeof(again));
	r = saved_decode(bytes.buf, bytes.len, "amd64", &a, &again, &fault, &e);
	if (r < 0) { /* refused: the output was left alone */
		const unsigned char *p = (const unsigned char *)&again;
		size_t i;

		for (i = 0; i < sizeof(again); i++)
			assert_int_equal(p[i], 0x5a);
		assert_true(e.text[0] != '\0');
	}
	arena_done(&a);
	text_done(&bytes);
	*ret_code = -r;
	return fault.rule;
}

#endif
