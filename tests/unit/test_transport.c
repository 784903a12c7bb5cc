/* tests/unit/test_transport.c - spellings, and unix streams by port */
#include "tests/unit/unit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "bridge/io/fd.h"
#include "bridge/io/transport.h"
#include "config/util.h"

/* --- what the kernel is asked for ------------------------------------------ */

static struct timeval asked;
static unsigned int n_asked;

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	if (level == AF_VSOCK && name == SO_VM_SOCKETS_CONNECT_TIMEOUT &&
	    len == sizeof(asked)) {
		memcpy(&asked, value, sizeof(asked));
		n_asked++;
		return 0;
	}
	return (int)syscall(SYS_setsockopt, fd, level, name, value, len);
}

/* There may be no virtual sockets here: the dial fails, and was asked for. */
int socket(int family, int type, int protocol)
{
	return (int)syscall(SYS_socket, family == AF_VSOCK ? AF_UNIX : family,
			    type, protocol);
}

/* A dial that the host has taken may not be given up after 2 s. */
static void test_a_patient_dial_waits_as_long_as_it_is_told(void **state)
{
	struct transport t = { .kind = TRANSPORT_VSOCK,
			       .cid = TRANSPORT_CID_HOST };
	int fd = -1;

	(void)state;
	n_asked = 0;
	assert_true(transport_dial(&t, 5, &fd, NULL) < 0);
	assert_int_equal(n_asked, 0);
	t.patience_ms = 10250;
	assert_true(transport_dial(&t, 5, &fd, NULL) < 0);
	assert_int_equal(n_asked, 1);
	assert_int_equal(asked.tv_sec, 10);
	assert_int_equal(asked.tv_usec, 250000);
}

static void test_parse_takes_three_spellings(void **state)
{
	static const struct {
		const char *text;
		int want;
		enum transport_kind kind;
		uint32_t cid;
	} cases[] = {
		{ "vsock", 0, TRANSPORT_VSOCK, TRANSPORT_CID_HOST },
		{ "vsock:7", 0, TRANSPORT_VSOCK, 7 },
		{ "unix:/run/x", 0, TRANSPORT_UNIX, TRANSPORT_CID_HOST },
		{ "vsock:", -EINVAL, 0, 0 },
		{ "vsock:0", -ERANGE, 0, 0 },
		{ "vsock:4294967295", -ERANGE, 0, 0 },
		{ "vsock:x", -EINVAL, 0, 0 },
		{ "unix:", -EINVAL, 0, 0 },
		{ "tcp:1", -EINVAL, 0, 0 },
		{ "", -EINVAL, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct transport t = { .cid = 99 };
		struct err e = { 0 };

		assert_int_equal(transport_parse(cases[i].text, &t, &e),
				 cases[i].want);
		if (cases[i].want < 0) {
			assert_int_equal(t.cid, 99);
			assert_true(e.text[0] != '\0');
			continue;
		}
		assert_int_equal(t.kind, cases[i].kind);
		assert_int_equal(t.cid, cases[i].cid);
	}
}

static void test_longest_base_still_takes_the_largest_port(void **state)
{
	char text[5 + TRANSPORT_BASE_MAX + 1] = "unix:";
	struct transport t;
	int fd = -1;

	(void)state;
	memset(text + 5, 'x', TRANSPORT_BASE_MAX);
	text[5 + TRANSPORT_BASE_MAX] = '\0';
	assert_int_equal(transport_parse(text, &t, NULL), -ENAMETOOLONG);
	text[4 + TRANSPORT_BASE_MAX] = '\0';
	assert_int_equal(transport_parse(text, &t, NULL), 0);
	/* Nobody there is the answer, not a cut path. */
	assert_int_equal(transport_dial(&t, UINT32_MAX, &fd, NULL), -ENOENT);
	assert_int_equal(fd, -1);
}

static void test_unix_stream_stale_file_and_mode(void **state)
{
	char dir[] = "/tmp/ferry-transport-XXXXXX";
	char text[64], path[64], byte = 0;
	cleanup_fd lfd = -1, lfd2 = -1, a = -1, b = -1;
	struct transport t;
	struct stat st;
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(text, sizeof(text), "unix:%s/v", dir);
	(void)snprintf(path, sizeof(path), "%s/v_5", dir);
	assert_int_equal(transport_parse(text, &t, NULL), 0);

	assert_int_equal(transport_listen(&t, 5, 4, &lfd, &e), 0);
	fd_close(&lfd); /* leaves the file, as a killed process would */
	assert_int_equal(transport_dial(&t, 5, &a, &e), -ECONNREFUSED);
	assert_int_equal(transport_listen(&t, 5, 4, &lfd, &e), 0);
	assert_int_equal(transport_listen(&t, 5, 4, &lfd2, &e), -EADDRINUSE);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	/* The probe of the refused listener may wait here first. */
	assert_int_equal(transport_dial(&t, 5, &a, &e), 0);
	assert_int_equal(transport_dial_result(a), 0);
	assert_int_equal(write(a, "x", 1), 1);
	while (byte != 'x') {
		fd_close(&b);
		assert_int_equal(transport_accept(&t, lfd, &b, &e), 0);
		assert_int_equal(fd_nonblock(b, false), 0);
		if (fd_read_full(b, &byte, 1) == 0)
			byte = 0;
	}
	fd_close(&a);
	fd_close(&a); /* -1 by now: harmless */
	a = -1;
	assert_int_equal(transport_accept(&t, lfd, &a, &e), -EAGAIN);

	transport_unlink(&t, 5);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_patient_dial_waits_as_long_as_it_is_told),
		cmocka_unit_test(test_parse_takes_three_spellings),
		cmocka_unit_test(
			test_longest_base_still_takes_the_largest_port),
		cmocka_unit_test(test_unix_stream_stale_file_and_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
