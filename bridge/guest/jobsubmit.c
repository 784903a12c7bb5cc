/* Jobs as they are asked for: checked, copied, queued. See job.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/guest/job.h"
#include "bridge/guest/jobchild.h"
#include "bridge/guest/jobobject.h"
#include "config/arena.h"

/* Memory for the copies of one program's arguments. */
#define COPIES_MAX (JOB_INPUT_MAX + ((size_t)4 << 20))

static struct job *job_new(struct jobs *all, const struct job_call *c)
{
	struct job *j = calloc(1, sizeof(*j));
	size_t max = c->output_max > 0 ? c->output_max : JOB_OUTPUT_DEFAULT;

	if (!j)
		return NULL;
	if (max > JOB_OUTPUT_MAX)
		max = JOB_OUTPUT_MAX;
	list_init(&j->node);
	j->owner = all;
	j->call = *c;
	j->call.output_max = max;
	j->pid = -1;
	j->pidfd = -1;
	for (int i = 0; i < 3; i++)
		j->stdio[i] = -1;
	arena_init(&j->arena, COPIES_MAX);
	if (c->fn)
		max += sizeof(struct job_report);
	capture_init(&j->out, all->loop, max);
	capture_init(&j->errors, all->loop, max);
	return j;
}

/* Puts a complete job into the queue; it is freed on failure. */
static int submit(struct job *j, struct job **ret, struct err *e)
{
	struct jobs *all = j->owner;
	int r;

	if (all->n_queued >= JOBS_QUEUED_MAX)
		r = err_set(e, ENOSPC, "%s: too many jobs wait", j->call.name);
	else
		r = jobs_pump_soon(all, e);
	if (r < 0) {
		job_free(j);
		return r;
	}
	list_push(&all->queued[j->call.class], &j->node);
	all->n_queued++;
	if (ret)
		*ret = j;
	return 0;
}

static int check(const char *name, int64_t deadline_ms, enum job_class class,
		 struct err *e)
{
	if (deadline_ms < 1 || (unsigned int)class >= JOB_CLASSES)
		return err_set(e, EINVAL, "%s: no deadline or no class", name);
	return 0;
}

int job_call(struct jobs *all, const struct job_call *c, struct job **ret,
	     struct err *e)
{
	struct job *j;
	int r = check(c->name, c->deadline_ms, c->class, e);

	if (r < 0)
		return r;
	if (!c->fn || c->n_keep > JOB_KEEP_MAX)
		return err_set(e, EINVAL,
			       "%s: no function, or it keeps more "
			       "than %u descriptors",
			       c->name, JOB_KEEP_MAX);
	j = job_new(all, c);
	if (!j)
		return err_set(e, ENOMEM, "no memory for a job");
	if (c->n_keep > 0)
		memcpy(j->keep, c->keep, c->n_keep * sizeof(j->keep[0]));
	j->call.keep = j->keep;
	return submit(j, ret, e);
}

static char *copy(struct arena *a, const char *s)
{
	return arena_strn(a, s, strlen(s));
}

/* Return: the copy, or NULL: no memory */
static char **copy_words(struct arena *a, char *const *words)
{
	char **out;
	size_t n = 0;

	while (words[n])
		n++;
	out = arena_array(a, n + 1, sizeof(*out));
	for (size_t i = 0; out && i < n; i++) {
		out[i] = copy(a, words[i]);
		if (!out[i])
			return NULL;
	}
	return out;
}

static int copy_program(struct job *j, const struct job_exec *x, struct err *e)
{
	static char *no_env[] = { NULL };
	const char *path = x->path ? x->path : getenv("PATH");

	j->spawn = (struct spawn){
		.argv = copy_words(&j->arena, x->argv),
		.envp = copy_words(&j->arena, x->envp ? x->envp : no_env),
		.path = copy(&j->arena, path ? path : "/usr/bin:/bin"),
		.cwd = copy(&j->arena, x->cwd ? x->cwd : "/"),
		.nofile = j->owner->nofile,
		.no_vsock = x->no_vsock,
		.started = x->started,
	};
	if (!j->spawn.argv || !j->spawn.envp || !j->spawn.path || !j->spawn.cwd)
		return err_set(e, ENOMEM, "no memory for the arguments of %s",
			       x->name);
	return 0;
}

static int copy_stdio(struct job *j, const struct job_exec *x, struct err *e)
{
	for (int i = 0; x->stdio && i < 3; i++) {
		if (x->stdio[i] < 0)
			continue;
		j->stdio[i] = fcntl(x->stdio[i], F_DUPFD_CLOEXEC, 3);
		if (j->stdio[i] < 0)
			return err_sys(e, "%s: descriptor %d", x->name, i);
	}
	if (!x->input || j->stdio[0] >= 0)
		return 0;
	if (x->input_len > JOB_INPUT_MAX)
		return err_set(e, EINVAL, "%s: %zu bytes of input", x->name,
			       x->input_len);
	j->stdio[0] = job_memory_file(x->input, x->input_len, e);
	return j->stdio[0] < 0 ? err_wrap(e, "%s", x->name) : 0;
}

int job_exec(struct jobs *all, const struct job_exec *x, struct job **ret,
	     struct err *e)
{
	const struct job_call c = {
		.name = x->name,
		.deadline_ms = x->deadline_ms,
		.class = x->class,
		.output_max = x->output_max,
		.done = x->done,
		.ctx = x->ctx,
	};
	struct job *j;
	int r = check(c.name, c.deadline_ms, c.class, e);

	if (r < 0)
		return r;
	if (!x->argv || !x->argv[0])
		return err_set(e, EINVAL, "%s: no program", x->name);
	j = job_new(all, &c);
	if (!j)
		return err_set(e, ENOMEM, "no memory for a job");
	r = copy_program(j, x, e);
	if (r == 0)
		r = copy_stdio(j, x, e);
	if (r < 0) {
		job_free(j);
		return r;
	}
	return submit(j, ret, e);
}
