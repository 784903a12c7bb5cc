/* bridge/host/ports, listener, entropy: what the guest may dial, and how often */
#include "tests/unit/fake_guest.h"

#include "bridge/host/entropy.h"
#include "bridge/host/listener.h"
#include "bridge/host/ports.h"

#define SEED_ROOM ((size_t)1024)

struct fixture {
	struct fake fake;
	struct host_listener listener;
	int calls;
	int fd;
	struct err why;
	int served;
};

static void on_dialled(void *ctx, int fd, const struct err *e)
{
	struct fixture *x = ctx;

	x->calls++;
	x->fd = fd;
	if (e)
		x->why = *e;
}

static void on_served(void *ctx)
{
	struct fixture *x = ctx;

	x->served++;
}

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	if (!x)
		return -1;
	fake_init(&x->fake);
	x->fd = -1;
	host_listener_init(&x->listener, x->fake.loop, &x->fake.transport,
			   on_dialled, x);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	host_listener_stop(&x->listener);
	fd_close(&x->fd);
	fake_done(&x->fake);
	free(x);
	return 0;
}

/* --- the counter ----------------------------------------------------------- */

static void test_ports_rise_and_never_come_back(void **state)
{
	struct host_ports p;
	uint32_t port = 0;

	(void)state;
	host_ports_init(&p);
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(host_ports_take(&p, &port, NULL), 0);
		assert_int_equal(port, 0x40000001u + i);
	}
	host_ports_raise(&p, 0x50000000u);
	host_ports_raise(&p, 0x40000001u);
	assert_int_equal(host_ports_take(&p, &port, NULL), 0);
	assert_int_equal(port, 0x50000000u);
}

static void test_w_h15_ports_end_instead_of_wrapping(void **state)
{
	struct host_ports p;
	struct err e = { 0 };
	uint32_t port = 0;

	(void)state;
	host_ports_init(&p);
	host_ports_raise(&p, HOST_PORT_LAST);
	assert_int_equal(host_ports_take(&p, &port, &e), 0);
	assert_int_equal(port, HOST_PORT_LAST);
	for (int i = 0; i < 3; i++)
		assert_int_equal(host_ports_take(&p, &port, &e),
				 -EADDRNOTAVAIL);
	assert_int_equal(port, HOST_PORT_LAST);
}

/* --- the listener ---------------------------------------------------------- */

static void test_one_connection_and_the_port_is_closed(void **state)
{
	struct fixture *x = *state;
	int first;

	assert_int_equal(host_listener_start(&x->listener, 7, -1, NULL), 0);
	assert_true(host_listener_active(&x->listener));
	first = fake_dial(&x->fake, 7);
	FAKE_UNTIL(&x->fake, x->calls == 1);
	assert_true(x->fd >= 0);
	assert_false(host_listener_active(&x->listener));
	assert_int_equal(fake_try_dial(&x->fake, 7), -1);
	assert_int_equal(write(first, "x", 1), 1);
	fd_close(&first);
}

static void test_a_connection_that_never_comes(void **state)
{
	struct fixture *x = *state;

	assert_int_equal(host_listener_start(&x->listener, 7, -1, NULL), 0);
	assert_int_equal(host_listener_limit(&x->listener, 30, NULL), 0);
	FAKE_UNTIL(&x->fake, x->calls == 1);
	assert_int_equal(x->fd, -1);
	assert_int_equal(x->why.code, ETIMEDOUT);
	assert_int_equal(fake_ports(&x->fake), 0);
}

static void test_a_port_in_use_is_an_error(void **state)
{
	struct fixture *x = *state;
	struct host_listener other;

	host_listener_init(&other, x->fake.loop, &x->fake.transport, on_dialled,
			   x);
	assert_int_equal(host_listener_start(&x->listener, 7, -1, NULL), 0);
	assert_int_equal(host_listener_start(&other, 7, -1, NULL), -EADDRINUSE);
	assert_false(host_listener_active(&other));
	host_listener_stop(&x->listener);
	assert_int_equal(host_listener_start(&other, 7, -1, NULL), 0);
	host_listener_stop(&other);
	host_listener_stop(&other);
}

/* --- entropy --------------------------------------------------------------- */

/* Dials, and reads to the end. Return: number of bytes. */
static size_t take_seed(struct fake *f, uint8_t seed[SEED_ROOM])
{
	int fd = fake_dial(f, WIRE_PORT_ENTROPY);
	size_t got = 0;
	ssize_t n = -1;

	while (n != 0) {
		FAKE_UNTIL(f, (n = recv(fd, seed + got, SEED_ROOM - got,
					MSG_DONTWAIT)) >= 0);
		got += (size_t)n;
	}
	fd_close(&fd);
	return got;
}

static void test_entropy_is_512_bytes_and_not_the_same(void **state)
{
	struct fixture *x = *state;
	uint8_t a[SEED_ROOM] = { 0 };
	uint8_t b[SEED_ROOM] = { 0 };
	struct host_entropy *s = NULL;

	assert_int_equal(host_entropy_new(x->fake.loop, &x->fake.transport,
					  on_served, x, &s, NULL),
			 0);
	assert_int_equal(take_seed(&x->fake, a), 512);
	assert_int_equal(take_seed(&x->fake, b), 512);
	assert_int_equal(x->served, 2);
	assert_memory_not_equal(a, b, 512);
	host_entropy_free(s);
}

static void test_entropy_is_not_given_without_end(void **state)
{
	struct fixture *x = *state;
	uint8_t a[SEED_ROOM];
	struct host_entropy *s = NULL;

	assert_int_equal(host_entropy_new(x->fake.loop, &x->fake.transport,
					  on_served, x, &s, NULL),
			 0);
	for (unsigned int i = 0; i < ENTROPY_SERVES_MAX; i++)
		assert_int_equal(take_seed(&x->fake, a), 512);
	assert_int_equal(fake_try_dial(&x->fake, WIRE_PORT_ENTROPY), -1);
	host_entropy_free(s);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_ports_rise_and_never_come_back),
		T(test_w_h15_ports_end_instead_of_wrapping),
		T(test_one_connection_and_the_port_is_closed),
		T(test_a_connection_that_never_comes),
		T(test_a_port_in_use_is_an_error),
		T(test_entropy_is_512_bytes_and_not_the_same),
		T(test_entropy_is_not_given_without_end),
	};

	return cmocka_run_group_tests_name("host ports", tests, NULL, NULL);
}
