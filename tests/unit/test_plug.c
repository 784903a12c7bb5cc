/* tests/unit/test_plug.c - hot-plug against a monitor that the test plays */
#include "tests/unit/qmp_peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bridge/io/fd.h"
#include "tools/qemu/plug.h"
#include "tools/qemu/plug_args.h"

#define NOT_YET 1

static const struct plug_disk disk = {
	.controller = 1,
	.lun = 5,
	.path = "/tmp/a \"b\".img",
	.read_only = true,
};
static const struct plug_nic user_nic = {
	.port = 0,
	.mac = "00-15-5D-01-02-03",
	.net = PLUG_NET_USER,
	.fd = -1,
};

struct fixture {
	struct loop *loop;
	struct qmp *q;
	struct plug *p;
	int peer;
	int id; /* of the last command */
	int done;
	int result; /* of the last operation */
	char why[ERR_TEXT_MAX];
};

static void on_event(void *ctx, const char *name, const struct qmp_data *data)
{
	plug_event(((struct fixture *)ctx)->p, name, data);
}

static void on_done(void *ctx, int result, const struct err *e)
{
	struct fixture *f = ctx;

	f->done++;
	f->result = result;
	(void)snprintf(f->why, sizeof(f->why), "%s", e ? e->text : "");
}

static void say(struct fixture *f, const char *text)
{
	qmp_peer_say(f->loop, f->peer, text);
}

/* The next command begins so; its number is kept. */
static void expect(struct fixture *f, const char *begin)
{
	static char buf[8192];
	const char *id;
	ssize_t n;

	qmp_peer_turn(f->loop);
	n = recv(f->peer, buf, sizeof(buf) - 1, MSG_DONTWAIT);
	buf[n > 0 ? n : 0] = '\0';
	id = strstr(buf, "\"id\":");
	while (id && strstr(id + 1, ",\"id\":"))
		id = strstr(id + 1, ",\"id\":") + 1;
	if (strncmp(buf, begin, strlen(begin)) != 0 || !id)
		fail_msg("wanted %s, got %s", begin, buf);
	f->id = (int)strtol(id + 5, NULL, 10);
}

static void answer(struct fixture *f)
{
	char buf[64];

	(void)snprintf(buf, sizeof(buf), "{\"return\": {}, \"id\": %d}\n",
		       f->id);
	say(f, buf);
}

static void refuse(struct fixture *f, const char *words)
{
	char buf[256];

	(void)snprintf(buf, sizeof(buf),
		       "{\"error\": {\"desc\": \"%s\"}, \"id\": %d}\n", words,
		       f->id);
	say(f, buf);
}

static void deleted(struct fixture *f, const char *device)
{
	char buf[256];

	(void)snprintf(
		buf, sizeof(buf),
		"{\"event\": \"DEVICE_DELETED\", \"data\": {\"path\": \"/x\"}}\n"
		"{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"%s\"}}\n",
		device);
	say(f, buf);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct qmp_handler h = { .event = on_event, .ctx = f };
	struct err e;

	assert_non_null(f);
	qmp_peer_open(&f->loop, &f->q, &f->peer, &h);
	assert_int_equal(plug_new(&f->p, f->loop, 2, 1, &e), 0);
	plug_up(f->p, f->q);
	say(f, GREETING);
	expect(f, "{\"execute\":\"qmp_capabilities\"");
	answer(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	qmp_free(f->q);
	plug_free(f->p);
	loop_free(f->loop);
	fd_close(&f->peer);
	free(f);
	return 0;
}

static void add(struct fixture *f)
{
	struct err e;

	f->result = NOT_YET;
	assert_int_equal(plug_disk_add(f->p, &disk, on_done, f, &e), 0);
	expect(f, "{\"execute\":\"blockdev-add\",\"arguments\":{"
		  "\"driver\":\"raw\",\"node-name\":\"node-1-5\","
		  "\"read-only\":true,\"discard\":\"unmap\",\"file\":{"
		  "\"driver\":\"file\",\"read-only\":true,"
		  "\"discard\":\"unmap\","
		  "\"filename\":\"\\/tmp\\/a \\\"b\\\".img\"}}");
}

static void add_whole(struct fixture *f)
{
	add(f);
	answer(f);
	expect(f, "{\"execute\":\"device_add\",\"arguments\":{"
		  "\"driver\":\"scsi-hd\",\"id\":\"disk-1-5\","
		  "\"bus\":\"scsi1.0\",\"channel\":0,\"scsi-id\":0,"
		  "\"lun\":5,\"drive\":\"node-1-5\","
		  "\"rerror\":\"report\",\"werror\":\"report\"}");
	assert_int_equal(f->result, NOT_YET);
	answer(f);
	assert_int_equal(f->result, 0);
	assert_true(plug_disk_there(f->p, 1, 5));
}

static void begin_remove(struct fixture *f)
{
	struct err e;

	f->result = NOT_YET;
	assert_int_equal(plug_disk_remove(f->p, 1, 5, on_done, f, &e), 0);
	expect(f, "{\"execute\":\"device_del\",\"arguments\":{"
		  "\"id\":\"disk-1-5\"}");
}

static void end_remove(struct fixture *f)
{
	assert_int_equal(f->result, NOT_YET);
	expect(f, "{\"execute\":\"blockdev-del\",\"arguments\":{"
		  "\"node-name\":\"node-1-5\"}");
	answer(f);
	assert_int_equal(f->result, 0);
	assert_false(plug_disk_there(f->p, 1, 5));
}

static void a_disk_comes_and_goes_and_comes(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++) {
		add_whole(f);
		begin_remove(f);
		answer(f);
		assert_int_equal(f->result, NOT_YET);
		deleted(f, "disk-1-5");
		end_remove(f);
	}
	assert_int_equal(f->done, 6);
}

static void the_guest_may_let_go_before_the_answer(void **state)
{
	struct fixture *f = *state;

	add_whole(f);
	begin_remove(f);
	deleted(f, "disk-1-5");
	answer(f);
	end_remove(f);
}

static void a_backend_that_is_refused_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	add(f);
	refuse(f, "Could not open");
	assert_int_equal(f->result, -EREMOTEIO);
	assert_string_equal(f->why, "QEMU: Could not open");
	add_whole(f);
}

static void a_device_that_is_refused_takes_its_backend_back(void **state)
{
	struct fixture *f = *state;

	add(f);
	answer(f);
	expect(f, "{\"execute\":\"device_add\"");
	refuse(f, "lun already used");
	assert_int_equal(f->result, NOT_YET);
	expect(f, "{\"execute\":\"blockdev-del\"");
	answer(f);
	assert_int_equal(f->result, -EREMOTEIO);
	assert_string_equal(f->why, "QEMU: lun already used");
	add_whole(f);
}

static void a_backend_that_stays_is_taken_by_the_next_removal(void **state)
{
	struct fixture *f = *state;
	struct err e;

	add(f);
	answer(f);
	expect(f, "{\"execute\":\"device_add\"");
	refuse(f, "no");
	expect(f, "{\"execute\":\"blockdev-del\"");
	refuse(f, "Node is in use");
	assert_string_equal(f->why, "QEMU: no");
	assert_int_equal(plug_disk_add(f->p, &disk, on_done, f, &e), -EBUSY);
	f->result = NOT_YET;
	assert_int_equal(plug_disk_remove(f->p, 1, 5, on_done, f, &e), 0);
	end_remove(f);
}

static void a_removal_that_is_refused_leaves_the_disk(void **state)
{
	struct fixture *f = *state;

	add_whole(f);
	begin_remove(f);
	refuse(f, "Bus does not support hotplugging");
	assert_int_equal(f->result, -EREMOTEIO);
	assert_true(plug_disk_there(f->p, 1, 5));
	begin_remove(f);
	answer(f);
	say(f, "{\"event\": \"DEVICE_UNPLUG_GUEST_ERROR\","
	       " \"data\": {\"device\": \"disk-1-5\"}}\n");
	assert_int_equal(f->result, -EBUSY);
	assert_true(plug_disk_there(f->p, 1, 5));
}

static void addresses_are_checked(void **state)
{
	struct fixture *f = *state;
	struct plug_disk d = disk;
	struct plug_nic n = user_nic;
	struct err e;

	d.controller = 2;
	assert_int_equal(plug_disk_add(f->p, &d, NULL, NULL, &e), -EINVAL);
	d = disk;
	d.lun = QEMU_LUNS;
	assert_int_equal(plug_disk_add(f->p, &d, NULL, NULL, &e), -EINVAL);
	d = disk;
	d.path = "a";
	assert_int_equal(plug_disk_add(f->p, &d, NULL, NULL, &e), -EINVAL);
	d.path = "/\xff";
	assert_int_equal(plug_disk_add(f->p, &d, NULL, NULL, &e), -EINVAL);
	n.port = 1;
	assert_int_equal(plug_nic_add(f->p, &n, NULL, NULL, &e), -EINVAL);
	n.port = 0;
	n.mac = "01:00:00:00:00:00";
	assert_int_equal(plug_nic_add(f->p, &n, NULL, NULL, &e), -EINVAL);
	n.mac = "00:15:5d:01:02";
	assert_int_equal(plug_nic_add(f->p, &n, NULL, NULL, &e), -EINVAL);
	assert_int_equal(plug_disk_remove(f->p, 0, 0, NULL, NULL, &e), -ENOENT);
	add_whole(f);
	assert_int_equal(plug_disk_add(f->p, &disk, NULL, NULL, &e), -EEXIST);
	begin_remove(f);
	assert_int_equal(plug_disk_remove(f->p, 1, 5, NULL, NULL, &e), -EBUSY);
	assert_int_equal(plug_disk_add(f->p, &disk, NULL, NULL, &e), -EBUSY);
}

static void the_end_of_the_vm_ends_every_operation(void **state)
{
	struct fixture *f = *state;
	struct err e;

	add(f);
	fd_close(&f->peer);
	qmp_peer_turn(f->loop);
	assert_int_equal(f->done, 1);
	assert_int_equal(f->result, -ESHUTDOWN);
	plug_down(f->p);
	assert_int_equal(f->done, 1);
	assert_int_equal(plug_disk_add(f->p, &disk, NULL, NULL, &e),
			 -ESHUTDOWN);
}

static void a_card_has_a_fixed_port_and_mac(void **state)
{
	struct fixture *f = *state;
	struct err e;

	assert_int_equal(plug_nic_add(f->p, &user_nic, on_done, f, &e), 0);
	expect(f, "{\"execute\":\"netdev_add\",\"arguments\":{"
		  "\"type\":\"user\",\"id\":\"net-0\"}");
	answer(f);
	expect(f, "{\"execute\":\"device_add\",\"arguments\":{"
		  "\"driver\":\"virtio-net-pci\",\"id\":\"card-0\","
		  "\"bus\":\"nic0\",\"netdev\":\"net-0\","
		  "\"mac\":\"00:15:5d:01:02:03\",\"romfile\":\"\"}");
	answer(f);
	assert_true(plug_nic_there(f->p, 0));
	assert_int_equal(plug_nic_remove(f->p, 0, on_done, f, &e), 0);
	expect(f, "{\"execute\":\"device_del\"");
	answer(f);
	deleted(f, "card-0");
	expect(f, "{\"execute\":\"netdev_del\",\"arguments\":{"
		  "\"id\":\"net-0\"}");
	answer(f);
	assert_int_equal(f->done, 2);
	assert_int_equal(f->result, 0);
}

static void a_tap_goes_to_qemu_first(void **state)
{
	struct fixture *f = *state;
	struct plug_nic n = user_nic;
	struct err e;

	n.net = PLUG_NET_TAP;
	n.fd = STDIN_FILENO;
	assert_int_equal(plug_nic_add(f->p, &n, on_done, f, &e), 0);
	expect(f, "{\"execute\":\"getfd\",\"arguments\":{"
		  "\"fdname\":\"tap-0\"}");
	answer(f);
	expect(f, "{\"execute\":\"netdev_add\",\"arguments\":{"
		  "\"type\":\"tap\",\"id\":\"net-0\",\"fd\":\"tap-0\"}");
	refuse(f, "not a tap");
	expect(f, "{\"execute\":\"closefd\",\"arguments\":{"
		  "\"fdname\":\"tap-0\"}");
	refuse(f, "File descriptor named 'tap-0' not found");
	assert_int_equal(f->result, -EREMOTEIO);
	assert_string_equal(f->why, "QEMU: not a tap");
	assert_int_equal(plug_nic_add(f->p, &user_nic, on_done, f, &e), 0);
}

#define PLUG_TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLUG_TEST(a_disk_comes_and_goes_and_comes),
		PLUG_TEST(the_guest_may_let_go_before_the_answer),
		PLUG_TEST(a_backend_that_is_refused_leaves_nothing),
		PLUG_TEST(a_device_that_is_refused_takes_its_backend_back),
		PLUG_TEST(a_backend_that_stays_is_taken_by_the_next_removal),
		PLUG_TEST(a_removal_that_is_refused_leaves_the_disk),
		PLUG_TEST(addresses_are_checked),
		PLUG_TEST(the_end_of_the_vm_ends_every_operation),
		PLUG_TEST(a_card_has_a_fixed_port_and_mac),
		PLUG_TEST(a_tap_goes_to_qemu_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
