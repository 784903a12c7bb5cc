/*
 * tests/unit/test_saved_rules.c - the rules S1 to S62 of the saved state, each from
 * both sides: a state that keeps it just so, and one that breaks it; raw bytes are
 * in test_saved_bytes.c
 */
#include "tests/unit/saved_model.h"

#include <stdio.h>
#include <string.h>

#include "config/util.h"
#include "migration/saved.h"
#include "migration/saved_json.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_rule_from_both_sides),
	};

	return cmocka_run_group_tests_name("saved_rules", tests, NULL, NULL);
}
