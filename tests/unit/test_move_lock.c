/*
 * The lock of annotations over a move: it travels, and a destination that was
 * told something else refuses by name, before anything is taken.
 */
#include "tests/unit/fake_move.h"

#include "config/annotation_lock.h"

#define MEMORY "io.microsoft.virtualmachine.computetopology.memory.sizeinmb"
#define COUNT "io.microsoft.virtualmachine.computetopology.processor.count"

/* The source's VM was built of @key=@value. */
static void lock_source(struct move *m, const char *key, const char *value)
{
	struct vm_ctl *v = &m->src.s.vm;
	struct annotation_map lock;
	struct text t;

	annotation_map_init(&lock);
	assert_int_equal(annotation_map_set(&lock, key, value, &m->e), 0);
	text_heap(&t, 4096);
	annotation_lock_put(&lock, &t);
	free(v->annotation_lock);
	assert_int_equal(vm_ctl_blob(t.buf, t.len, &v->annotation_lock), 0);
	v->annotation_lock_len = t.len;
	text_done(&t);
	annotation_map_done(&lock);
}

static void assert_nothing_taken(const struct world *w)
{
	assert_int_equal(w->session.state, SESSION_IDLE);
	assert_int_equal(w->s.vm.state, VM_NOT_CREATED);
	assert_null(w->s.pods);
}

static void test_a_differing_annotation_is_refused_by_name(void **state UNUSED)
{
	struct annotation_map own;
	struct move m;

	move_init(&m);
	lock_source(&m, MEMORY, "512");
	assert_int_equal(move_export(&m), 0);
	annotation_map_init(&own);
	assert_int_equal(annotation_map_set(&own, MEMORY, "1024", &m.e), 0);
	m.dst.session.annotations = &own;
	assert_int_equal(move_import(&m), -EPRECONDITION);
	assert_int_equal(status_of(-m.e.code), STATUS_FAILED_PRECONDITION);
	assert_non_null(strstr(m.e.text, MEMORY));
	assert_non_null(strstr(m.e.text, "'512'"));
	assert_non_null(strstr(m.e.text, "'1024'"));
	assert_nothing_taken(&m.dst);
	/* The same in another spelling, and with what no lock knows. */
	assert_int_equal(annotation_map_set(&own, MEMORY, "0512", &m.e), 0);
	assert_int_equal(annotation_map_set(&own, "org.example", "1", &m.e), 0);
	assert_int_equal(move_import(&m), 0);
	assert_int_equal(m.dst.s.vm.annotation_lock_len,
			 m.src.s.vm.annotation_lock_len);
	assert_memory_equal(m.dst.s.vm.annotation_lock,
			    m.src.s.vm.annotation_lock,
			    m.src.s.vm.annotation_lock_len);
	move_done(&m);
	annotation_map_done(&own);
}

/* A key that the source left at its default is locked at that default. */
static void test_a_default_is_locked_too(void **state UNUSED)
{
	struct annotation_map own;
	struct move m;

	move_init(&m);
	lock_source(&m, MEMORY, "512");
	assert_int_equal(move_export(&m), 0);
	annotation_map_init(&own);
	assert_int_equal(annotation_map_set(&own, COUNT, "7", &m.e), 0);
	m.dst.session.annotations = &own;
	assert_int_equal(move_import(&m), -EPRECONDITION);
	assert_non_null(strstr(m.e.text, COUNT));
	assert_nothing_taken(&m.dst);
	m.dst.session.annotations = NULL;
	assert_int_equal(move_import(&m), 0);
	move_done(&m);
	annotation_map_done(&own);
}

static void test_a_damaged_lock_is_refused(void **state UNUSED)
{
	struct move m;

	move_init(&m);
	lock_source(&m, MEMORY, "512");
	((char *)m.src.s.vm.annotation_lock)[3] ^= 1; /* number of pairs */
	assert_int_equal(move_export(&m), 0);
	assert_int_equal(move_import(&m), -EINVAL);
	assert_non_null(strstr(m.e.text, "annotations"));
	assert_nothing_taken(&m.dst);
	move_done(&m);
	move_init(&m);
	lock_source(&m, MEMORY, "512");
	((char *)m.src.s.vm.annotation_lock)[0] ^= 2; /* version */
	assert_int_equal(move_export(&m), 0);
	assert_int_equal(move_import(&m), -EPROTO);
	assert_nothing_taken(&m.dst);
	move_done(&m);
}

/* A container of the destination cannot say otherwise either. */
static void test_a_patch_is_compared_with_the_lock(void **state UNUSED)
{
	const char *const layers[] = { "/there/base", "/there/app" };
	struct annotation_map own;
	struct session_patch p = {
		.source_id = "c",
		.id = "c2",
		.bundle = "/there/bundle",
		.layers = layers,
		.n_layers = 2,
		.scratch = "/there/scratch-c",
		.annotations = &own,
	};
	struct op op = { 0 };
	struct move m;

	move_init(&m);
	lock_source(&m, MEMORY, "512");
	assert_int_equal(move_export(&m), 0);
	assert_int_equal(move_import(&m), 0);
	annotation_map_init(&own);
	assert_int_equal(annotation_map_set(&own, MEMORY, "513", &m.e), 0);
	assert_int_equal(
		world_wait(&m.dst,
			   session_ctl_patch(&m.dst.session, &p,
					     world_op(&m.dst, &op), &m.e)),
		-EPRECONDITION);
	assert_non_null(strstr(m.e.text, MEMORY));
	assert_int_equal(annotation_map_set(&own, MEMORY, "512", &m.e), 0);
	assert_int_equal(
		world_wait(&m.dst,
			   session_ctl_patch(&m.dst.session, &p,
					     world_op(&m.dst, &op), &m.e)),
		0);
	move_done(&m);
	annotation_map_done(&own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_differing_annotation_is_refused_by_name),
		cmocka_unit_test(test_a_default_is_locked_too),
		cmocka_unit_test(test_a_damaged_lock_is_refused),
		cmocka_unit_test(test_a_patch_is_compared_with_the_lock),
	};

	return cmocka_run_group_tests_name("move_lock", tests, NULL, NULL);
}
