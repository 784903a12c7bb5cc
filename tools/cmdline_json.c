#include "tools/cmdline_json.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

#include "bridge/json_check.h"
#include "cmdline/build.h"
#include "config/text.h"

/*
 * json-c is out of memory when a constructor gives NULL, and an add of NULL is
 * a JSON null: this one-shot tool lets such a null stand for the failure, which
 * cmdline_json_print() would still write as a text.
 */
static void add(json_object *to, const char *name, json_object *value)
{
	(void)json_object_object_add(to, name, value);
}

static bool is_utf8(const char *s)
{
	for (size_t n = strlen(s), len; n > 0; n -= len, s += len) {
		len = json_utf8((const unsigned char *)s, n);
		if (len == 0)
			return false;
	}
	return true;
}

/* What is not UTF-8 cannot stand in JSON; it is shown with \xNN in it. */
static void add_text(json_object *to, const char *name, const char *text)
{
	struct text safe;

	if (is_utf8(text)) {
		add(to, name, json_object_new_string(text));
		return;
	}
	text_heap(&safe, 5 * strlen(text) + 8);
	text_quote(&safe, text, strlen(text));
	add(to, name, json_object_new_string(text_str(&safe)));
	text_done(&safe);
}

static void add_flag(json_object *to, const char *name, bool flag)
{
	add(to, name, json_object_new_boolean(flag));
}

static json_object *u64_text(uint64_t value)
{
	char buf[24];

	(void)snprintf(buf, sizeof(buf), "%" PRIu64, value);
	return json_object_new_string(buf);
}

static json_object *boot_json(const struct sandbox_options *o)
{
	json_object *boot = json_object_new_object();

	if (o->hardware_confidential) {
		add_text(boot, "mode", "guest-state");
		add_text(boot, "guest_state", o->guest_state);
		return boot;
	}
	add_text(boot, "mode", o->kernel_direct ? "kernel-direct" : "uefi");
	add_text(boot, "kernel", o->kernel);
	if (o->kernel_direct && strcmp(o->rootfs, ROOTFS_INITRD) == 0)
		add_text(boot, "initrd", o->rootfs);
	return boot;
}

static json_object *cpu_json(const struct sandbox_options *o)
{
	json_object *cpu = json_object_new_object();

	add(cpu, "count", json_object_new_int64(o->processor_count));
	/* The reference stores both as unsigned 32-bit numbers. */
	add(cpu, "limit", u64_text((uint32_t)o->processor_limit));
	add(cpu, "weight", u64_text((uint32_t)o->processor_weight));
	if (*o->cpu_group != '\0')
		add_text(cpu, "group", o->cpu_group);
	return cpu;
}

static json_object *memory_json(const struct sandbox_options *o)
{
	json_object *memory = json_object_new_object();

	add(memory, "size_mb", u64_text(o->memory_mib));
	add(memory, "low_mmio_gap_mb", u64_text(o->low_mmio_gap_mib));
	add(memory, "high_mmio_base_mb", u64_text(o->high_mmio_base_mib));
	add(memory, "high_mmio_gap_mb", u64_text(o->high_mmio_gap_mib));
	add_flag(memory, "allow_overcommit", o->overcommit);
	add_flag(memory, "deferred_commit", o->deferred_commit);
	add_flag(memory, "cold_discard_hint", o->cold_discard_hint);
	return memory;
}

static json_object *node_json(const struct sandbox_options *o, size_t i)
{
	json_object *node = json_object_new_object();

	add(node, "vnode", json_object_new_int64((int64_t)i));
	add(node, "pnode", json_object_new_int64(o->numa_mapped.item[i]));
	add(node, "socket", json_object_new_int64((int64_t)i));
	add(node, "cpus", json_object_new_int64(o->numa_processors.item[i]));
	add(node, "mb", u64_text(o->numa_memory_blocks.item[i]));
	return node;
}

static json_object *numa_json(const struct sandbox_options *o)
{
	json_object *numa = json_object_new_object();
	json_object *list = json_object_new_array();

	if (o->numa == NUMA_EXPLICIT) {
		add_text(numa, "kind", "explicit");
		for (size_t i = 0; i < o->numa_mapped.n; i++)
			(void)json_object_array_add(list, node_json(o, i));
		add(numa, "nodes", list);
		return numa;
	}
	add_text(numa, "kind", "implicit");
	add(numa, "max_cpus_per_node",
	    json_object_new_int64(o->numa_max_processors));
	add(numa, "max_mb_per_node", u64_text(o->numa_max_size_mib));
	for (size_t i = 0; i < o->numa_preferred.n; i++)
		(void)json_object_array_add(
			list, json_object_new_int64(o->numa_preferred.item[i]));
	if (o->numa_preferred.n)
		add(numa, "preferred", list);
	else
		json_object_put(list);
	return numa;
}

static json_object *confidential_json(const struct sandbox_options *o)
{
	json_object *c = json_object_new_object();

	add_text(c, "policy", o->security_policy);
	add_text(c, "enforcer", o->enforcer);
	add_text(c, "reference_info", o->reference_info);
	add_text(c, "hash_envelope", o->hash_envelope);
	return c;
}

static json_object *sandbox_json(const struct sandbox_options *o)
{
	json_object *s = json_object_new_object();

	add_text(s, "architecture", o->architecture);
	add_flag(s, "policy_based_routing", o->policy_based_routing);
	add_flag(s, "no_writable_file_shares", o->no_writable_file_shares);
	add_flag(s, "scratch_encryption", o->scratch_encryption);
	add_flag(s, "fully_physically_backed", !o->overcommit);
	if (*o->security_policy != '\0')
		add(s, "confidential", confidential_json(o));
	return s;
}

static json_object *qos_json(const struct sandbox_options *o)
{
	json_object *qos = json_object_new_object();

	add(qos, "iops", json_object_new_int(o->iops_maximum));
	add(qos, "bandwidth", json_object_new_int(o->bandwidth_maximum));
	return qos;
}

static json_object *disk_json(void)
{
	json_object *disk = json_object_new_object();

	add_text(disk, "file", ROOTFS_VHD);
	add(disk, "lun", json_object_new_int(0));
	add_flag(disk, "read_only", true);
	return disk;
}

static json_object *list_json(const struct string_list *l)
{
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < l->n; i++)
		(void)json_object_array_add(list,
					    json_object_new_string(l->item[i]));
	return list;
}

/* Members that are there only when they are set. */
static void add_optional(json_object *v, const struct sandbox_options *o)
{
	if (o->numa != NUMA_NONE)
		add(v, "numa", numa_json(o));
	if (o->iops_maximum > 0 || o->bandwidth_maximum > 0)
		add(v, "storage_qos", qos_json(o));
	if (*o->resource_partition != '\0')
		add_text(v, "resource_partition", o->resource_partition);
	if (o->hardware_confidential || strcmp(o->rootfs, ROOTFS_VHD) == 0)
		add(v, "scsi_boot_disk", disk_json());
	if (o->assigned.n)
		add(v, "vpci", list_json(&o->assigned));
	if (o->services.n)
		add(v, "hvsock_services", list_json(&o->services));
	if (*o->console_pipe != '\0' && !o->hardware_confidential)
		add_text(v, "com1", o->console_pipe);
}

json_object *cmdline_json(const struct sandbox_options *o, const char *line)
{
	json_object *v = json_object_new_object();

	if (!v)
		return NULL;
	if (!o->hardware_confidential)
		add_text(v, "args", line);
	add(v, "boot", boot_json(o));
	add(v, "cpu", cpu_json(o));
	add(v, "memory", memory_json(o));
	add_flag(v, "file_shares", !o->migratable);
	add(v, "scsi_controllers", json_object_new_int(4));
	add(v, "sandbox", sandbox_json(o));
	add_optional(v, o);
	return v;
}

static json_object *notes_json(const struct notes *l)
{
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < l->n; i++) {
		json_object *n = json_object_new_object();

		add_text(n, "kind", note_kind_name(l->item[i].kind));
		if (l->item[i].class != ERR_NONE)
			add_text(n, "class", err_class_name(l->item[i].class));
		if (*l->item[i].key != '\0')
			add_text(n, "key", l->item[i].key);
		add_text(n, "text", l->item[i].text);
		(void)json_object_array_add(list, n);
	}
	return list;
}

static void add_known(json_object *to, const char *name, const char *text)
{
	if (text)
		add_text(to, name, text);
}

static json_object *word_json(const struct explain_word *w)
{
	json_object *v = json_object_new_object();
	json_object *from = json_object_new_object();

	add_text(from, "kind", w->from.kind);
	add_known(from, "name", w->from.name);
	add_known(from, "value", w->from.value);
	add_known(from, "where", w->from.where);
	add_text(v, "word", w->text);
	add(v, "bytes", json_object_new_int64((int64_t)w->bytes));
	add_text(v, "rule", w->rule);
	add(v, "from", from);
	return v;
}

static json_object *annotation_json(const struct explain_annotation *a)
{
	json_object *v = json_object_new_object();

	add_text(v, "key", a->key);
	add_text(v, "value", a->value);
	add_known(v, "where", a->where);
	add_text(v, "verdict", a->verdict);
	if (a->class != ERR_NONE)
		add_text(v, "class", err_class_name(a->class));
	add_text(v, "why", a->why);
	return v;
}

static json_object *explain_json(const struct explain *x)
{
	json_object *v = json_object_new_object();
	json_object *words = json_object_new_array();
	json_object *annotations = json_object_new_array();

	for (size_t i = 0; i < x->n_words; i++)
		(void)json_object_array_add(words, word_json(&x->word[i]));
	for (size_t i = 0; i < x->n_annotations; i++)
		(void)json_object_array_add(annotations,
					    annotation_json(&x->annotation[i]));
	add(v, "bytes", json_object_new_int64((int64_t)x->bytes));
	add(v, "limit", json_object_new_int64(CMDLINE_MAX));
	add(v, "words", words);
	add(v, "annotations", annotations);
	return v;
}

static json_object *failure_json(const struct err *failure)
{
	json_object *v = json_object_new_object();
	json_object *error = json_object_new_object();

	add_text(error, "class", err_class_name(failure->class));
	add_text(error, "text", failure->text);
	add(v, "error", error);
	return v;
}

static json_object *sandbox_whole(const struct sandbox_options *o,
				  const char *line)
{
	json_object *v = cmdline_json(o, line);

	if (!v)
		return NULL;
	add_text(v, "profile", o->profile == PROFILE_QEMU ? "qemu" : "hyperv");
	add_text(v, "forwarder", log_forwarder_name(o->forwarder));
	add_flag(v, "migratable", o->migratable);
	add_flag(v, "console", o->console);
	add_text(v, "rootfs", o->rootfs);
	add(v, "notes", notes_json(&o->notes));
	return v;
}

int cmdline_json_print(const struct sandbox_options *o, const char *line,
		       const struct explain *x, FILE *to, struct err *e)
{
	json_object *v = x && x->failure.code ? failure_json(&x->failure)
					      : sandbox_whole(o, line);
	const char *text;
	int r = 0;

	if (!v)
		return err_set(e, ENOMEM, "no memory");
	if (x)
		add(v, "explain", explain_json(x));
	text = json_object_to_json_string_ext(
		v, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (!text)
		r = err_set(e, ENOMEM, "no memory");
	else if (fprintf(to, "%s\n", text) < 0)
		r = err_sys(e, "standard output");
	json_object_put(v);
	return r;
}
