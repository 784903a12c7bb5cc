#include "bridge/guest/volume.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "bridge/guest/disk.h"
#include "bridge/guest/layers.h"
#include "bridge/guest/plan9.h"
#include "bridge/guest/vpmem.h"
#include "bridge/io/fd.h"
#include "config/util.h"

/* Group of the kernel's own announcements. */
#define UEVENT_KERNEL 1u

static const char *const kind_names[] = {
	[VOLUME_DISK] = "disk",	    [VOLUME_LINK] = "link",
	[VOLUME_LAYERS] = "layers", [VOLUME_PLAN9] = "plan9",
	[VOLUME_PMEM] = "pmem",
};
static_assert(ARRAY_LEN(kind_names) == VOLUME_KINDS, "a kind has no name");

const char *volume_kind_name(enum volume_kind kind)
{
	return (unsigned int)kind < VOLUME_KINDS ? kind_names[kind] : "?";
}

/* --- the table ------------------------------------------------------------- */

void volumes_init(struct volumes *all)
{
	list_init(&all->all);
	all->n = 0;
	all->on_kept = NULL;
}

static void kept(struct volumes *all, struct volume *v, bool forgotten)
{
	if (all->on_kept)
		all->on_kept(all->ctx, v, forgotten);
}

static void forget(struct volumes *all, struct volume *v)
{
	kept(all, v, true);
	list_remove(&v->node);
	all->n--;
	free(v);
}

void volumes_done(struct volumes *all)
{
	struct list *node;

	while ((node = list_pop(&all->all)) != NULL)
		free(LIST_ITEM(node, struct volume, node));
	all->n = 0;
}

int volumes_add(struct volumes *all, const struct volume_facts *f,
		struct volume **ret, struct err *e)
{
	struct volume *v;

	if (all->n >= VOLUMES_MAX)
		return err_set(e, ENOSPC, "more than %u volumes", VOLUMES_MAX);
	v = volumes_restore(all, f, 0);
	if (!v)
		return err_set(e, ENOMEM, "no memory for a volume");
	kept(all, v, false);
	*ret = v;
	return 0;
}

struct volume *volumes_restore(struct volumes *all,
			       const struct volume_facts *f, uint32_t slot)
{
	struct volume *v = malloc(sizeof(*v));

	if (!v)
		return NULL;
	*v = (struct volume){ .facts = *f, .slot = slot };
	list_push(&all->all, &v->node);
	all->n++;
	return v;
}

void volumes_there(struct volumes *all, struct volume *v,
		   const struct volume_facts *f)
{
	v->facts = *f;
	v->there = true;
	kept(all, v, false);
}

void volumes_drop(struct volumes *all, struct volume *v)
{
	if (v)
		forget(all, v);
}

const struct volume_facts *volumes_find(const struct volumes *all,
					const char *path)
{
	for (struct list *l = all->all.prev; l != &all->all; l = l->prev) {
		const struct volume *v = LIST_ITEM(l, struct volume, node);

		if (strcmp(v->facts.path, path) == 0)
			return &v->facts;
	}
	return NULL;
}

size_t volumes_count(const struct volumes *all, const char *path)
{
	size_t n = 0;

	for (struct list *l = all->all.next; l != &all->all; l = l->next)
		n += strcmp(LIST_ITEM(l, struct volume, node)->facts.path,
			    path) == 0;
	return n;
}

static void forget_all(struct volumes *all, const char *path, bool below)
{
	const size_t len = strlen(path);
	struct list *next;

	for (struct list *l = all->all.next; l != &all->all; l = next) {
		struct volume *v = LIST_ITEM(l, struct volume, node);
		const char *at = v->facts.path;

		next = l->next;
		if (strcmp(at, path) == 0 ||
		    (below && strncmp(at, path, len) == 0 && at[len] == '/'))
			forget(all, v);
	}
}

void volumes_forget(struct volumes *all, const char *path)
{
	forget_all(all, path, false);
}

void volumes_forget_below(struct volumes *all, const char *path)
{
	forget_all(all, path, true);
}

static void dump_one(const struct volume_facts *f, struct text *out)
{
	text_addf(out, "volume %s path=%s ro=%d", volume_kind_name(f->kind),
		  f->path, f->read_only);
	if (f->kind == VOLUME_DISK || f->kind == VOLUME_LINK)
		text_addf(out, " at=%u:%u:%" PRIu64 " encrypted=%d",
			  f->controller, f->lun, f->partition, f->encrypted);
	if (f->device[0])
		text_addf(out, " device=%s", f->device);
	if (f->filesystem[0])
		text_addf(out, " type=%s", f->filesystem);
	if (f->kind == VOLUME_LAYERS)
		text_addf(out, " layers=%u bound=%d", f->n_layers, f->bound);
	text_addc(out, '\n');
}

void volumes_dump(const struct volumes *all, struct text *out)
{
	unsigned int n = 0;

	text_addf(out, "volumes %zu\n", all->n);
	for (struct list *l = all->all.next; l != &all->all; l = l->next) {
		if (n++ == VOLUMES_DUMPED_MAX) {
			text_add(out, "volume ...\n");
			return;
		}
		dump_one(&LIST_ITEM(l, struct volume, node)->facts, out);
	}
}

/* --- for all kinds --------------------------------------------------------- */

int volume_text(char *to, size_t size, const char *from, const char *what,
		struct err *e)
{
	if (strlen(from) >= size)
		return err_set(e, EINVAL, "%s: over %zu bytes", what, size - 1);
	memcpy(to, from, strlen(from) + 1);
	return 0;
}

int volume_remove(const struct volume_env *env, const struct volume_facts *f,
		  struct err *e)
{
	switch ((enum volume_kind)f->kind) {
	case VOLUME_DISK:
	case VOLUME_LINK:
		return disk_remove(env, f, e);
	case VOLUME_LAYERS:
		return layers_remove(env, f, e);
	case VOLUME_PLAN9:
		return plan9_remove(env, f, e);
	case VOLUME_PMEM:
		return vpmem_remove(env, f, e);
	case VOLUME_KINDS:
		break;
	}
	return err_set(e, EINVAL, "no such kind of volume: %u", f->kind);
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* always there */
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Return: a socket on which the kernel tells of devices, -1: none */
static int announcements(const struct volume_env *env)
{
	const struct sockaddr_nl all = { .nl_family = AF_NETLINK,
					 .nl_groups = UEVENT_KERNEL };
	cleanup_fd fd = -1;

	if (!env->uevents)
		return -1;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    NETLINK_KOBJECT_UEVENT);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&all, sizeof(all)) < 0)
		return -1; /* it looks at intervals then */
	return fd_take(&fd);
}

/* Whatever is told, the next look finds out. */
static void wait_a_little(int fd, int64_t ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char dropped[512];

	if (poll(&p, 1, (int)ms) <= 0)
		return;
	while (recv(fd, dropped, sizeof(dropped), 0) > 0)
		;
}

int volume_wait(const struct volume_env *env,
		int (*look)(void *ctx, struct err *e), void *ctx, struct err *e)
{
	const int64_t until = now_ms() + env->wait_ms;
	cleanup_fd fd = announcements(env);

	for (;;) {
		const int64_t left = until - now_ms();
		const int r = look(ctx, e);

		if (r != 0 || left <= 0)
			return r;
		wait_a_little(fd,
			      left < VOLUME_LOOK_MS ? left : VOLUME_LOOK_MS);
	}
}
