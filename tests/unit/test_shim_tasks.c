/*
 * tests/unit/test_shim_tasks.c - containers of a shim, from create to delete,
 * with a pretended guest
 */
#include "tests/unit/fake_world.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "tools/shim/shim.h"

/* A shim of which only the tasks live, and a bundle whose disks have names. */
struct place {
	struct world world;
	struct launch launch;
	struct shim_birth birth;
	struct shim shim;
	struct shim_tasks *tasks;
	char dir[64];
};

static const char *in_dir(const struct place *p, const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	return path;
}

static void put(const struct place *p, const char *name, const char *text)
{
	const int fd = open(in_dir(p, name),
			    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	(void)close(fd);
}

static void boot(struct place *p)
{
	const struct vm_spec spec = { .id = "x@vm",
				      .document = "{}",
				      .document_len = 2,
				      .n_controllers = 1,
				      .architecture = "amd64" };
	struct op op = { 0 };
	struct err e;

	assert_int_equal(
		sandbox_ctl_init(&p->tasks->ctl, "x", &p->world.seams, &e), 0);
	p->tasks->has_ctl = true;
	assert_int_equal(vm_ctl_set(&p->tasks->ctl.vm, &spec, &e), 0);
	assert_int_equal(world_wait(&p->world,
				    vm_ctl_boot(&p->tasks->ctl.vm,
						world_op(&p->world, &op), &e)),
			 0);
	p->tasks->booted = true;
}

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	char text[640];

	assert_non_null(p);
	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/ferry-tasks-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	assert_int_equal(mkdir(in_dir(p, "r"), 0700), 0);
	put(p, "root", "");
	put(p, "scratch", "");
	(void)snprintf(text, sizeof(text),
		       "{\"process\":{\"args\":[\"/bin/sh\"]},"
		       "\"root\":{\"path\":\"r\"},\"annotations\":{"
		       "\"" SHIM_DISK_ROOTFS "\":\"%s/root\","
		       "\"" SHIM_DISK_SCRATCH "\":\"%s/scratch\"}}",
		       p->dir, p->dir);
	put(p, "config.json", text);
	world_init(&p->world, "x");
	p->shim = (struct shim){ .launch = &p->launch,
				 .birth = &p->birth,
				 .name = "x" };
	p->tasks = &p->shim.tasks;
	p->tasks->shim = &p->shim;
	boot(p);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	static const char *const files[] = { "root", "scratch", "config.json" };
	struct place *p = *state;

	shim_tasks_done(p->tasks);
	world_done(&p->world);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		(void)unlink(in_dir(p, files[i]));
	(void)rmdir(in_dir(p, "r"));
	(void)rmdir(p->dir);
	free(p);
	return 0;
}

/* Everything happens, but for operations of these two kinds. */
static int create(struct place *p, enum world_kind bad, enum world_kind worse)
{
	const struct task_wish wish = { .id = "c",
					.dir = p->dir,
					.stdio = { "", "", "" } };
	struct world *w = &p->world;
	struct op op = { 0 };
	struct err e;

	assert_int_equal(
		shim_task_create(p->tasks, &wish, world_op(w, &op), &e), 0);
	while (w->n_queue > 0) {
		const enum world_kind k = w->queue[0].kind;

		world_let(w, 0, k == bad || k == worse ? -EIO : 0);
	}
	assert_true(w->over);
	return w->result;
}

static int delete (struct place *p)
{
	struct shim_task *t = shim_task_find(p->tasks, "c");
	struct op op = { 0 };
	struct err e;

	assert_non_null(t);
	return world_wait(&p->world,
			  shim_task_delete(t, world_op(&p->world, &op), &e));
}

static void nothing_is_left(const struct place *p)
{
	assert_null(shim_task_find(p->tasks, "c"));
	assert_null(sandbox_ctl_pod(&p->tasks->ctl, "c"));
	assert_int_equal(p->tasks->n, 0);
	assert_int_equal(p->world.containers.n, 0);
	assert_int_equal(p->world.overlays.n, 0);
	assert_int_equal(p->world.disks.n, 0);
}

/* Whoever opened a FIFO would wait for its other end for ever. */
static void test_a_fifo_is_no_disk(void **state)
{
	struct place *p = *state;
	struct task_disk d = { 0 };
	struct err e;

	assert_int_equal(mkfifo(in_dir(p, "fifo"), 0600), 0);
	assert_int_equal(task_disk_name(&d, in_dir(p, "fifo"), true, &e),
			 -EINVAL);
	assert_non_null(strstr(e.text, "neither a file nor a block device"));
	assert_int_equal(unlink(in_dir(p, "fifo")), 0);
	assert_int_equal(task_disk_name(&d, in_dir(p, "fifo"), true, &e),
			 -ENOENT);
	assert_null(d.named);
}

static void test_there_and_gone(void **state)
{
	struct place *p = *state;

	assert_int_equal(create(p, W_KINDS, W_KINDS), 0);
	assert_non_null(shim_task_find(p->tasks, "c"));
	assert_int_equal(p->world.containers.n, 1);
	assert_int_equal(delete (p), 0);
	nothing_is_left(p);
}

static void test_a_create_that_fails_leaves_nothing(void **state)
{
	struct place *p = *state;

	assert_int_equal(create(p, W_CONTAINER_CREATE, W_KINDS), -EIO);
	nothing_is_left(p);
}

/* Until its deletion succeeds, and its id is free again. */
static void test_a_create_whose_way_back_fails_is_kept(void **state)
{
	struct place *p = *state;
	const struct shim_task *t;

	assert_int_equal(create(p, W_CONTAINER_CREATE, W_UNCOMBINE), -EIO);
	assert_non_null(strstr(p->world.err.text, "container_create failed"));
	assert_non_null(strstr(p->world.err.text, "uncombine failed"));
	t = shim_task_find(p->tasks, "c");
	assert_non_null(t);
	assert_int_equal(t->ctl->state, CONTAINER_INVALID);
	assert_int_equal(p->world.overlays.n, 1);
	p->world.fault = WORLD_FAIL_LATER;
	p->world.fail_at = p->world.n_ops + 1;
	assert_int_equal(delete (p), -EIO);
	assert_int_equal(p->world.overlays.n, 1);
	assert_int_equal(delete (p), 0);
	nothing_is_left(p);
	assert_int_equal(create(p, W_KINDS, W_KINDS), 0);
	assert_int_equal(delete (p), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_fifo_is_no_disk, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_there_and_gone, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_create_that_fails_leaves_nothing, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_create_whose_way_back_fails_is_kept, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
