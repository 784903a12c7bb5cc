/*
 * The rules S1 to S62 of the saved state, each from both sides: a state that
 * keeps it just so, and one that breaks it. The states are made as structs and
 * encoded, which checks nothing; what cannot be said so is made of raw bytes.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
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

static void set_process(struct saved_process *p, int i)
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

static char many_bytes[2 << 20];

/* Two execs of a container and two processes of the VM, one of each stopped. */
static void set_others(struct model *m, struct saved_process *p, int i)
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

static void add_others(struct model *m)
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

static void set_container(struct model *m, struct saved_container *c,
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

static void set_disks(struct model *m)
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

static void model_init(struct model *m)
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
static void add_devices(struct model *m)
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
static const char *verdict(const struct model *m, int *ret_code)
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

/* One row of the table: what is done to the model, and what comes of it. */
struct row {
	const char *rule; /* "": accepted */
	int code;
	void (*change)(struct model *m);
	const char *what;
};

static char long_id[258], long_path[4098];
static struct saved_vpci many_vpci[63];
static struct saved_text many_refs[63];
static char many_guids[63][40];
static char spaces[SAVED_BLOB_MAX + 1]; /* behind {} */

#define CHANGE(name, ...)                                                      \
	static void name(struct model *m)                                      \
	{                                                                      \
		__VA_ARGS__;                                                   \
	}

/* clang-format off */
CHANGE(nothing, (void)m)
CHANGE(vm_version, m->s.vm.version = 2)
CHANGE(version_0, m->s.version = 0)
CHANGE(scsi_version, m->s.vm.scsi.version = 3)
CHANGE(pod_version, m->pods[0].version = 0)
CHANGE(network_version, m->pods[0].network.version = 2)
CHANGE(container_version, m->containers[0].version = 2)
CHANGE(process_version, m->init[0].version = 9)
CHANGE(utf8, m->s.vm.id = T("a\xff"))
CHANGE(utf8_key, m->containers[0].processes[0].key = T("\xc0\xaf"))
CHANGE(utf8_option, m->options[1] = T("\xed\xa0\x80"))
CHANGE(utf8_good, m->options[1] = T("\xc3\xa4"))
CHANGE(doc_max, m->s.vm.document = (struct saved_text){ spaces, SAVED_BLOB_MAX })
CHANGE(doc_over, m->s.vm.document = (struct saved_text){ spaces, SAVED_BLOB_MAX + 1 })
CHANGE(compat_max, m->s.vm.compat = (struct saved_text){ spaces, SAVED_BLOB_MAX })
CHANGE(compat_over, m->s.vm.compat = (struct saved_text){ spaces, SAVED_BLOB_MAX + 1 })
CHANGE(spec_over, m->init[0].document = (struct saved_text){ spaces, SAVED_BLOB_MAX + 1 })
CHANGE(spec_max, m->init[0].document = (struct saved_text){ spaces, SAVED_BLOB_MAX })
CHANGE(slot_twice, m->disks[1].slot = 0; m->disks[1].n_mounts = 0)
CHANGE(partition_twice, m->mounts[2][1].partition = 1)
CHANGE(reservation_twice, m->reservations[6].id = T("10000000-0000-4000-8000-000000000001"))
CHANGE(guid_case_twice, m->nics[0].nic_id = T("B0000000-0000-4000-8000-00000000000B"))
CHANGE(nic_twice, m->nics[1].nic_id = m->nics[0].nic_id)
CHANGE(id_empty, m->s.vm.id = T(""))
CHANGE(id_dots, m->pods[1].gcs_id = T(".."))
CHANGE(id_dot, m->pods[1].gcs_id = T("."))
CHANGE(id_three_dots, m->pods[1].gcs_id = T("..."))
CHANGE(id_slash, m->containers[0].gcs_id = T("a/b"))
CHANGE(id_nul, m->containers[0].gcs_id = T("a\0b"))
CHANGE(id_control, m->containers[0].id = T("a\x1f"))
CHANGE(id_del, m->containers[0].id = T("a\x7f"))
CHANGE(id_c1, m->containers[0].id = T("a\xc2\x85"))
CHANGE(id_c1_good, m->s.vm.id = T("a\xc2\xa0"))
CHANGE(id_256, m->s.vm.id = (struct saved_text){ long_id, 256 })
CHANGE(id_257, m->s.vm.id = (struct saved_text){ long_id, 257 })
CHANGE(path_relative, m->disks[0].host_path = T("x"))
CHANGE(path_empty, m->disks[0].host_path = T(""))
CHANGE(path_up, m->disks[0].host_path = T("/a/../b"))
CHANGE(path_dot, m->containers[0].rootfs = T("/a/."))
CHANGE(path_dots_ok, m->disks[0].host_path = T("/a/..b/.c/..."))
CHANGE(path_nul, m->disks[0].host_path = T("/a\0b"))
CHANGE(path_4095, m->disks[0].host_path = (struct saved_text){ long_path, 4095 })
CHANGE(path_4096, m->disks[0].host_path = (struct saved_text){ long_path, 4096 })
CHANGE(path_mount, m->mounts[1][0].guest_path = T("rel"))
CHANGE(path_layer, m->layers[0][0].guest_path = T("rel"))
CHANGE(path_rootfs, m->containers[0].rootfs = T(""))
CHANGE(guid_reservation, m->reservations[0].id = T("1"))
CHANGE(guid_reference, m->extra[0] = T("{70000000-0000-4000-8000-00000000000}"))
CHANGE(guid_upper, m->reservations[6].id = T("7ABCDEF0-0000-4000-8000-000000000007"); m->extra[0] = T("7abcdef0-0000-4000-8000-000000000007"))
CHANGE(seconds_max, m->init[0].io_retry = ((struct saved_duration){ true, 315576000000, 999999999 }))
CHANGE(seconds_over, m->init[0].io_retry = ((struct saved_duration){ true, 315576000001, 0 }))
CHANGE(seconds_negative, m->containers[0].io_retry = ((struct saved_duration){ true, -1, 0 }))
CHANGE(nanos_over, m->init[0].io_retry = ((struct saved_duration){ true, 0, 1000000000 }))
CHANGE(nanos_negative, m->init[0].io_retry = ((struct saved_duration){ true, 0, -1 }))
CHANGE(doc_empty, m->s.vm.document = T(""))
CHANGE(doc_array, m->s.vm.document = T("[]"))
CHANGE(doc_cut, m->s.vm.document = T("{\"a\":"))
CHANGE(doc_two, m->s.vm.document = T("{}{}"))
CHANGE(arch_other, m->s.vm.architecture = T("arm64"))
CHANGE(arch_empty, m->s.vm.architecture = T(""))
CHANGE(no_options, m->s.vm.has_options = false; m->s.vm.architecture = T(""))
CHANGE(port_floor, m->s.vm.next_port = 0x40000006)
CHANGE(port_no_floor, m->s.vm.next_port = 0)
CHANGE(wait_floor, m->s.vm.next_id = 3)
CHANGE(next_id_negative, m->s.vm.next_id = -1)
CHANGE(controllers_0, m->s.vm.scsi.n_controllers = 0)
CHANGE(controllers_4, m->s.vm.scsi.n_controllers = 4; m->disks[0].slot = 255)
CHANGE(controllers_5, m->s.vm.scsi.n_controllers = 5)
CHANGE(controllers_max, m->s.vm.scsi.n_controllers = UINT32_MAX)
CHANGE(slot_63, m->disks[0].slot = 63)
CHANGE(slot_64, m->disks[0].slot = 64)
CHANGE(slot_huge, m->disks[0].slot = UINT32_MAX)
CHANGE(disk_no_config, m->disks[0].has_config = false)
CHANGE(path_twice, m->disks[0].host_path = m->disks[1].host_path)
CHANGE(type_empty, m->disks[0].type = T(""))
CHANGE(type_other, m->disks[0].type = T("virtualdisk"))
CHANGE(type_evd, m->disks[0].type = T("ExtensibleVirtualDisk"))
CHANGE(evd_type, m->disks[0].evd_type = T("x"))
CHANGE(mount_no_config, m->mounts[1][0].has_config = false)
CHANGE(mount_no_path, m->mounts[1][0].guest_path = T(""))
CHANGE(reservation_no_disk, m->reservations[6].slot = 7)
CHANGE(reservation_no_partition, m->reservations[6].partition = 7)
CHANGE(reservation_boot, m->reservations[6].slot = 0; m->reservations[6].partition = 0)
CHANGE(refs_0, m->mounts[1][0].ref_count = 0)
CHANGE(refs_few, m->mounts[1][0].ref_count = 2)
CHANGE(refs_many, m->mounts[1][0].ref_count = 4)
CHANGE(refs_unheld, m->s.vm.scsi.n_reservations = 6; m->containers[0].n_reservations = 0)
CHANGE(pod_twice, m->pods[1].id = T("p"); m->pause[1].id = T("p"))
CHANGE(container_twice, m->containers[0].id = T("q"))
CHANGE(guest_id_twice, m->containers[0].gcs_id = T("q"))
CHANGE(no_sandbox, m->containers[1].id = T("x"))
CHANGE(nic_no_guid, m->nics[0].nic_id = T("a"))
CHANGE(nic_no_endpoint, m->nics[0].endpoint_id = T(""))
CHANGE(nic_no_namespace, m->pods[0].network.namespace_id = T(""))
CHANGE(dangling, m->extra[0] = T("80000000-0000-4000-8000-000000000008"))
CHANGE(dangling_layer, m->layers[0][0].reservation = T("80000000-0000-4000-8000-000000000008"))
CHANGE(unreferenced, m->containers[0].n_reservations = 0)
CHANGE(no_scratch, m->containers[0].has_scratch = false)
CHANGE(no_layers, m->containers[0].has_layers = false)
CHANGE(used_twice, m->extra[0] = T("10000000-0000-4000-8000-000000000001"))
CHANGE(no_processes, m->containers[0].n_processes = 0)
CHANGE(no_init, m->init[1].key = m->init[1].exec_id = T("e"))
CHANGE(key_differs, m->init[1].exec_id = T("e"))
CHANGE(exec, set_process(&m->two[0], 1); set_process(&m->two[1], 3);
	m->two[1].key = m->two[1].exec_id = T("e");
	m->two[1].wait_id = 4; m->s.vm.next_id = 9; m->s.vm.next_port = 0x40000020;
	m->containers[0].processes = m->two; m->containers[0].n_processes = 2)
CHANGE(others, add_others(m))
CHANGE(exec_of_init, add_others(m); m->execs[0].key = m->execs[0].exec_id = T(""))
CHANGE(exec_twice, add_others(m); m->execs[1].key = m->execs[1].exec_id = T("e"))
CHANGE(exec_no_wait, add_others(m); m->execs[0].wait_id = 0)
CHANGE(exec_wait_twice, add_others(m); m->execs[0].wait_id = m->others[0].wait_id)
CHANGE(exec_mounted, add_others(m); m->execs[0].stage = SAVED_STAGE_MOUNTED)
CHANGE(stopped_waits, add_others(m); m->execs[1].wait_id = 12)
CHANGE(stopped_init, m->init[0].stage = SAVED_STAGE_STOPPED; m->init[0].wait_id = 0)
CHANGE(other_slash, add_others(m); m->others[1].key = m->others[1].exec_id = T("a/b"))
CHANGE(other_pid, add_others(m); m->others[1].pid = 0)
CHANGE(other_port, add_others(m); m->others[0].port[0] = m->execs[0].port[0];
	m->streams[2].port = m->execs[0].port[0])
CHANGE(stream_elsewhere, add_others(m); m->streams[0].port = 0x40000030)
CHANGE(stream_twice, add_others(m); m->streams[1].port = m->streams[0].port)
CHANGE(stream_short, add_others(m); m->streams[1].length = 8)
CHANGE(stream_offset, add_others(m); m->streams[0].offset = UINT64_MAX)
CHANGE(stream_window, add_others(m);
	m->streams[0].unacknowledged = (struct saved_text){ many_bytes, 1048577 })
CHANGE(stream_kept, add_others(m);
	m->streams[0].kept = (struct saved_text){ many_bytes, SAVED_KEPT_MAX + 1 })
CHANGE(pid_0, m->init[0].pid = 0)
CHANGE(pid_negative, m->init[0].pid = -1)
CHANGE(pid_max, m->init[0].pid = INT32_MAX)
CHANGE(wait_0, m->init[0].wait_id = 0)
CHANGE(wait_negative, m->init[0].wait_id = -5)
CHANGE(wait_twice, m->init[0].wait_id = 2)
CHANGE(port_low, m->init[0].port[0] = 0x40000000)
CHANGE(port_high, m->init[0].port[0] = 0xffffffff; m->s.vm.next_port = 0xffffffff)
CHANGE(port_max, m->init[0].port[0] = 0xfffffffe; m->s.vm.next_port = 0xffffffff)
CHANGE(port_twice, m->init[0].port[0] = 0x40000003)
CHANGE(port_twice_one, m->init[0].port[0] = 0x40000001)
CHANGE(dev_good, add_devices(m))
CHANGE(dev_upper, add_devices(m); m->vpci_refs[0] = T("D0000000-0000-4000-8000-00000000000D"))
CHANGE(dev_no_guid, add_devices(m); m->vpci[0].vmbus_guid = T("d"))
CHANGE(dev_twice, add_devices(m); m->vpci[1].vmbus_guid = VPCI_A)
CHANGE(dev_no_host, add_devices(m); m->vpci[0].host_device = T(""))
CHANGE(dev_mounted, add_devices(m); m->vpci[0].stage = SAVED_STAGE_MOUNTED)
CHANGE(dev_stage, add_devices(m); m->vpci[0].stage = SAVED_STAGES)
CHANGE(dev_dangling, add_devices(m); m->vpci_refs[0] = SHARE_A)
CHANGE(dev_used_twice, add_devices(m); m->vpci_refs[0] = VPCI_B)
CHANGE(dev_unheld, add_devices(m); m->containers[0].n_vpci_guids = 1)
CHANGE(dev_ref_no_guid, add_devices(m); m->vpci_refs[0] = T(""))
CHANGE(share_no_guid, add_devices(m); m->shares[0].reservation = T("r"))
CHANGE(share_twice, add_devices(m); m->shares[1].reservation = SHARE_A)
CHANGE(share_host, add_devices(m); m->shares[0].host_path = T("srv"))
CHANGE(share_guest, add_devices(m); m->shares[0].guest_path = T("/a/.."))
CHANGE(share_name, add_devices(m); m->shares[0].name = T("a/b"))
CHANGE(share_running, add_devices(m); m->shares[0].stage = SAVED_STAGE_RUNNING)
CHANGE(share_refs, add_devices(m); m->shares[0].ref_count = 1)
CHANGE(share_no_refs, add_devices(m); m->shares[0].ref_count = 0)
CHANGE(share_dangling, add_devices(m); m->share_refs[0][0] = VPCI_A)
CHANGE(share_used_twice, add_devices(m); m->share_refs[0][0] = SHARE_B)
CHANGE(devices_64, add_devices(m); m->s.vm.vpci = many_vpci; m->s.vm.n_vpci = 62; m->containers[0].vpci_guids = many_refs; m->containers[0].n_vpci_guids = 62)
CHANGE(devices_65, add_devices(m); m->s.vm.vpci = many_vpci; m->s.vm.n_vpci = 63; m->containers[0].vpci_guids = many_refs; m->containers[0].n_vpci_guids = 63)
CHANGE(pods_none, m->s.n_pods = 0)
CHANGE(scsi_none, m->s.n_pods = 0; m->s.vm.has_scsi = false)
CHANGE(scsi_none_but_used, m->s.vm.has_scsi = false)

#define BAD(rule, f) { rule, EINVAL, f, #f }
#define PRE(rule, f) { rule, EPRECONDITION, f, #f }
#define FULL(f) { "S1", EEXHAUSTED, f, #f }
#define GOOD(f) { "", 0, f, #f }

static const struct row rows[] = {
	GOOD(nothing), GOOD(pods_none), GOOD(scsi_none), GOOD(unreferenced),
	FULL(doc_over), GOOD(doc_max), FULL(compat_over), GOOD(compat_max),
	FULL(spec_over), GOOD(spec_max),
	BAD("S4", vm_version), BAD("S4", version_0), BAD("S4", scsi_version),
	BAD("S4", pod_version), BAD("S4", network_version),
	BAD("S4", container_version), BAD("S4", process_version),
	BAD("S5", utf8), BAD("S5", utf8_key), BAD("S5", utf8_option), GOOD(utf8_good),
	BAD("S8", slot_twice), BAD("S8", partition_twice), BAD("S8", reservation_twice),
	BAD("S8", guid_case_twice), BAD("S8", nic_twice),
	BAD("S9", id_empty), BAD("S9", id_dots), BAD("S9", id_dot), GOOD(id_three_dots),
	BAD("S9", id_slash), BAD("S9", id_nul), BAD("S9", id_control), BAD("S9", id_del),
	BAD("S9", id_c1), GOOD(id_c1_good),
	GOOD(id_256), BAD("S9", id_257),
	BAD("S10", path_relative), BAD("S10", path_empty), BAD("S10", path_up),
	BAD("S10", path_dot), GOOD(path_dots_ok), BAD("S10", path_nul), GOOD(path_4095),
	BAD("S10", path_4096), BAD("S10", path_mount), BAD("S10", path_layer),
	BAD("S10", path_rootfs),
	BAD("S11", guid_reservation), BAD("S11", guid_reference), GOOD(guid_upper),
	GOOD(seconds_max), BAD("S12", seconds_over), BAD("S12", seconds_negative),
	BAD("S12", nanos_over), BAD("S12", nanos_negative),
	BAD("S14", doc_empty), BAD("S14", doc_array), BAD("S14", doc_cut), BAD("S14", doc_two),
	PRE("S15", arch_other), GOOD(arch_empty), GOOD(no_options),
	BAD("S16", port_floor), BAD("S16", port_no_floor),
	BAD("S17", wait_floor), BAD("S17", next_id_negative),
	BAD("S20", controllers_0), GOOD(controllers_4), BAD("S20", controllers_5),
	BAD("S20", controllers_max),
	GOOD(slot_63), BAD("S21", slot_64), BAD("S21", slot_huge),
	BAD("S22", disk_no_config), BAD("S22", path_twice),
	BAD("S23", type_empty), BAD("S23", type_other), PRE("S23", type_evd), BAD("S23", evd_type),
	BAD("S24", mount_no_config), BAD("S24", mount_no_path),
	BAD("S25", reservation_no_disk), BAD("S25", reservation_no_partition),
	BAD("S25", reservation_boot),
	BAD("S26", refs_0), BAD("S26", refs_few), BAD("S26", refs_many), BAD("S26", refs_unheld),
	BAD("S31", pod_twice), BAD("S32", container_twice), BAD("S32", guest_id_twice),
	BAD("S33", no_sandbox),
	BAD("S40", nic_no_guid), BAD("S40", nic_no_endpoint), BAD("S41", nic_no_namespace),
	BAD("S50", dangling), BAD("S50", dangling_layer), BAD("S50", scsi_none_but_used),
	BAD("S51", no_scratch), GOOD(no_layers), BAD("S52", used_twice),
	BAD("S53", no_processes), BAD("S53", no_init), BAD("S54", key_differs), PRE("S55", exec),
	BAD("S60", pid_0), BAD("S60", pid_negative), GOOD(pid_max),
	BAD("S61", wait_0), BAD("S61", wait_negative), BAD("S61", wait_twice),
	BAD("S62", port_low), BAD("S62", port_high), GOOD(port_max), BAD("S62", port_twice),
	BAD("S62", port_twice_one),
	GOOD(dev_good), GOOD(dev_upper), BAD("S11", dev_no_guid), BAD("S8", dev_twice),
	BAD("S9", dev_no_host), BAD("S3", dev_mounted), BAD("S3", dev_stage),
	BAD("S50", dev_dangling), BAD("S52", dev_used_twice), BAD("S26", dev_unheld),
	BAD("S11", dev_ref_no_guid), BAD("S11", share_no_guid), BAD("S8", share_twice),
	BAD("S10", share_host), BAD("S10", share_guest), BAD("S9", share_name),
	BAD("S3", share_running), BAD("S26", share_refs), BAD("S26", share_no_refs),
	BAD("S50", share_dangling), BAD("S52", share_used_twice),
	GOOD(devices_64), FULL(devices_65),
	GOOD(others), BAD("S9", exec_of_init), BAD("S8", exec_twice), BAD("S61", exec_no_wait),
	BAD("S61", exec_wait_twice), BAD("S3", exec_mounted), BAD("S61", stopped_waits),
	BAD("S61", stopped_init), BAD("S9", other_slash), BAD("S60", other_pid),
	BAD("S62", other_port), BAD("S62", stream_elsewhere), BAD("S8", stream_twice),
	BAD("S3", stream_short), BAD("S3", stream_offset), FULL(stream_window), FULL(stream_kept),
};
/* clang-format on */

static void test_each_rule_from_both_sides(void **state UNUSED)
{
	struct model m, plain;
	unsigned wrong = 0;
	size_t i;

	for (i = 0; i < 63; i++) {
		(void)snprintf(many_guids[i], sizeof(many_guids[i]),
			       "f%07zu-0000-4000-8000-00000000000f", i);
		many_refs[i] = saved_text_of(many_guids[i]);
		many_vpci[i] = (struct saved_vpci){ many_refs[i], T("a"),
						    SAVED_STAGE_DEFAULT };
	}
	memset(spaces, ' ', sizeof(spaces));
	spaces[0] = '{';
	spaces[1] = '}';
	memset(long_id, 'x', sizeof(long_id) - 1);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[0] = '/';
	model_init(&plain);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		const char *rule;
		int code = 0;

		model_init(&m);
		rows[i].change(&m);
		rule = verdict(&m, &code);
		if (strcmp(rule, rows[i].rule) != 0 || code != rows[i].code) {
			print_error("%s: rule '%s' code %d, want '%s' %d\n",
				    rows[i].what, rule, code, rows[i].rule,
				    rows[i].code);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

/* --- raw bytes --- */

static const char *raw_verdict(const void *p, size_t n)
{
	static struct saved_fault fault;
	struct err e = { 0 };
	struct saved s;
	struct arena a;

	saved_arena_init(&a, n);
	(void)saved_decode(p, n, "amd64", &a, &s, &fault, &e);
	arena_done(&a);
	return fault.rule;
}

#define RAW(rule, bytes)                                                       \
	assert_string_equal(raw_verdict(bytes, sizeof(bytes) - 1), rule)

static void test_s3_malformed_bytes(void **state UNUSED)
{
	RAW("S2", "");
	RAW("S3", "\x0a"); /* no length */
	RAW("S3", "\x0a\x05"
		  "ab"); /* cut */
	RAW("S3", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
	RAW("S3", "\x02\x00"); /* field number 0 */
	RAW("S3", "\x0b\x0c"); /* groups */
	RAW("S3", "\x0e\x00"); /* reserved wire types */
	RAW("S3", "\x0f\x00");
	RAW("S3", "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
	RAW("S3", "\x19\x01"); /* fixed64, cut */
	RAW("S3", "\x1d\x01"); /* fixed32, cut */
	RAW("S3", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00");
	RAW("S2",
	    "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"); /* 10 bytes */
	RAW("S2", "\x0a\x01x");
}

static void wrap_long(struct text *out, const char *controller,
		      const char *value, size_t n)
{
	char type[128];
	size_t len;

	(void)snprintf(
		type, sizeof(type),
		"type.microsoft.com/hcsshim.controller.%s.save.v1.Payload",
		controller);
	len = strlen(type);
	text_addc(out, 0x0a);
	text_addc(out, (char)len);
	text_addn(out, type, len);
	text_addc(out, 0x12);
	for (len = n; len >= 128; len >>= 7)
		text_addc(out, (char)(len | 128));
	text_addc(out, (char)len);
	text_addn(out, value, n);
}

static void wrap(struct text *out, const char *controller, const char *value,
		 size_t n)
{
	assert_true(n < 128);
	wrap_long(out, controller, value, n);
}

static void test_s2_s13_what_is_missing(void **state UNUSED)
{
	struct text t;

	text_heap(&t, 4096);
	wrap(&t, "migration", "\x08\x01", 2);
	assert_string_equal(raw_verdict(t.buf, t.len), "S13");
	text_reset(&t);
	wrap(&t, "migration", "\x08\x01\x12\x00", 4);
	assert_string_equal(raw_verdict(t.buf, t.len), "S2");
	text_reset(&t);
	wrap(&t, "vm", "\x08\x01", 2);
	assert_string_equal(raw_verdict(t.buf, t.len), "S2");
	text_reset(&t); /* the type URL of other pack helpers */
	text_addn(&t, "\x0a\x0etype.googleapi", 16);
	assert_string_equal(raw_verdict(t.buf, t.len), "S2");
	text_done(&t);
}

/* A pod of a version, its ids, and no network. */
static void test_s30_a_pod_has_a_network(void **state UNUSED)
{
	struct text pod, outer, vm;

	text_heap(&pod, 4096);
	text_heap(&vm, 4096);
	text_heap(&outer, 4096);
	wrap(&vm, "vm", "\x08\x01\x12\x01v\x3a\x02{}", 9);
	wrap(&pod, "pod", "\x08\x01\x12\x01p\x1a\x01p", 8);
	text_addn(&outer, "\x08\x01\x12", 3);
	text_addc(&outer, (char)vm.len);
	text_addn(&outer, vm.buf, vm.len);
	text_addc(&outer, 0x1a);
	text_addc(&outer, (char)pod.len);
	text_addn(&outer, pod.buf, pod.len);
	text_reset(&vm);
	wrap_long(&vm, "migration", outer.buf, outer.len);
	assert_string_equal(raw_verdict(vm.buf, vm.len), "S30");
	text_done(&pod);
	text_done(&vm);
	text_done(&outer);
}

static void test_s1_the_whole_is_bounded(void **state UNUSED)
{
	char *big = calloc(1, SAVED_BYTES_MAX + 1);
	struct saved_pod *many = calloc(65, sizeof(*many));
	struct model m;
	int code = 0;
	int i;

	assert_non_null(big);
	assert_non_null(many);
	assert_string_equal(raw_verdict(big, SAVED_BYTES_MAX + 1), "S1");
	assert_string_equal(raw_verdict(big, SAVED_BYTES_MAX), "S3");
	model_init(&m);
	for (i = 0; i < 65; i++)
		many[i] = m.pods[1];
	m.s.pods = many;
	m.s.n_pods = 65;
	assert_string_equal(verdict(&m, &code), "S1");
	assert_int_equal(code, EEXHAUSTED);
	m.s.n_pods = 64; /* as many as may be; but they are all one pod */
	assert_string_equal(verdict(&m, &code), "S31");
	/* W26: what would not fit a frame is not even written. */
	model_init(&m);
	m.s.vm.compat = (struct saved_text){ big, SAVED_BYTES_MAX };
	assert_string_equal(verdict(&m, &code), "encode");
	assert_int_equal(code, EEXHAUSTED);
	free(big);
	free(many);
}

/* Two bytes of the peer must not become a hundred of ours without an end. */
static void test_s1_memory_is_a_small_multiple_of_the_input(void **state UNUSED)
{
	const size_t n = 1000000;
	struct text inner, outer;
	size_t i;

	text_heap(&inner, 4 * n);
	text_heap(&outer, 4 * n);
	text_addn(&inner, "\x08\x01", 2);
	for (i = 0; i < n; i++)
		text_addn(&inner, "\x1a\x00", 2); /* pods: empty Any */
	text_addn(&outer, "\x0a\x42", 2);
	text_add(&outer,
		 "type.microsoft.com/hcsshim.controller.migration.save.v1."
		 "Payload");
	outer.buf[1] = (char)(outer.len - 2);
	text_addc(&outer, 0x12);
	for (i = inner.len; i >= 128; i >>= 7)
		text_addc(&outer, (char)(i | 128));
	text_addc(&outer, (char)i);
	text_addn(&outer, inner.buf, inner.len);
	assert_string_equal(raw_verdict(outer.buf, outer.len), "S1");
	text_done(&inner);
	text_done(&outer);
}

/* What comes last counts, a zero and an empty text too, and however often. */
static void test_s7_fields_that_occur_again(void **state UNUSED)
{
	static const char empty_type[] = "\x12\x02\x0a";
	const size_t n = 1000000;
	struct text inner, outer, vm;

	text_heap(&inner, 4 * n);
	text_heap(&outer, 4 * n);
	text_heap(&vm, 4096);
	wrap(&vm, "vm", "\x08\x01\x12\x01v\x3a\x02{}", 9);
	text_addn(&inner, "\x08\x01\x12", 3);
	text_addc(&inner, (char)vm.len);
	text_addn(&inner, vm.buf, vm.len);
	text_addn(&inner, "\x12\x00", 2);
	wrap_long(&outer, "migration", inner.buf, inner.len);
	assert_string_equal(raw_verdict(outer.buf, outer.len), "");
	for (size_t i = 0; i < n; i++)
		text_addn(&inner, "\x08\x01", 2);
	text_reset(&outer);
	wrap_long(&outer, "migration", inner.buf, inner.len);
	assert_string_equal(raw_verdict(outer.buf, outer.len), "");
	text_addn(&inner, "\x08\x00", 2); /* no version after all */
	text_reset(&outer);
	wrap_long(&outer, "migration", inner.buf, inner.len);
	assert_string_equal(raw_verdict(outer.buf, outer.len), "S4");
	inner.len -= 2;
	text_addn(&inner, empty_type, sizeof(empty_type)); /* nor a type */
	text_reset(&outer);
	wrap_long(&outer, "migration", inner.buf, inner.len);
	assert_string_equal(raw_verdict(outer.buf, outer.len), "S2");
	text_done(&inner);
	text_done(&outer);
	text_done(&vm);
}

static void test_equal_state_gives_equal_bytes(void **state UNUSED)
{
	struct text a, b;
	struct model m;
	struct saved s;
	struct arena arena;
	struct err e = { 0 };

	model_init(&m);
	m.s.vm.annotation_lock = T("lock\0bytes");
	m.s.vm.epoch = 7;
	m.s.vm.producer = T("ferry 0.1");
	add_devices(&m);
	m.disks[0].boot = true;
	m.disks[1].stage = SAVED_STAGE_RESERVED;
	m.mounts[1][0].stage = SAVED_STAGE_RESERVED;
	m.nics[1].settings = T("{}");
	m.containers[0].stage = SAVED_STAGE_STOPPED;
	m.containers[0].exit_status = 3;
	m.init[1].terminal = true;
	add_others(&m);
	text_heap(&a, SAVED_BYTES_MAX);
	text_heap(&b, SAVED_BYTES_MAX);
	assert_int_equal(saved_encode(&m.s, &a, &e), 0);
	saved_arena_init(&arena, a.len);
	assert_int_equal(
		saved_decode(a.buf, a.len, "amd64", &arena, &s, NULL, &e), 0);
	assert_int_equal(saved_encode(&s, &b, &e), 0);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.buf, b.buf, a.len);
	assert_int_equal(s.vm.epoch, 7);
	assert_int_equal(s.vm.annotation_lock.n, 10);
	assert_true(s.vm.scsi.disks[0].boot);
	assert_int_equal(s.vm.scsi.disks[1].mounts[0].stage,
			 SAVED_STAGE_RESERVED);
	assert_int_equal(s.pods[0].containers[0].exit_status, 3);
	assert_true(s.pods[0].containers[0].processes[0].terminal);
	assert_int_equal(s.pods[0].network.endpoints[1].settings.n, 2);
	assert_int_equal(s.vm.session.n, 6);
	assert_int_equal(s.vm.processes[0].streams[0].unacknowledged.n, 6);
	assert_int_equal(s.vm.processes[1].exit_status, 4);
	assert_int_equal(s.pods[0].containers[0].execs[0].stdio[1].n, 5);
	assert_true(s.pods[0].containers[0].execs[0].streams[1].marked);
	arena_done(&arena);
	text_done(&a);
	text_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_rule_from_both_sides),
		cmocka_unit_test(test_s3_malformed_bytes),
		cmocka_unit_test(test_s2_s13_what_is_missing),
		cmocka_unit_test(test_s30_a_pod_has_a_network),
		cmocka_unit_test(test_s1_the_whole_is_bounded),
		cmocka_unit_test(
			test_s1_memory_is_a_small_multiple_of_the_input),
		cmocka_unit_test(test_s7_fields_that_occur_again),
		cmocka_unit_test(test_equal_state_gives_equal_bytes),
	};

	return cmocka_run_group_tests_name("saved_rules", tests, NULL, NULL);
}
