/*
 * migration/saved_codec.h - what the readers and writers of payloads share:
 * CONTROLLER_save.c for each of the seven, saved.c and saved_check.c
 *
 * Theory of operation. Reading goes bytes -> saved_scan() -> protobuf-c -> the
 * structs of migration/saved.h. The scan walks the wire format by the generated
 * descriptors: it refuses what is malformed, drops what is not known (so that
 * nothing of it can be written back or be kept in memory), and gives a clean
 * copy to protobuf-c, whose allocations come from the arena and so have its
 * limit. Conversion checks version first, then the texts.
 */
#ifndef FERRY_MIGRATION_SAVED_CODEC_H
#define FERRY_MIGRATION_SAVED_CODEC_H

#include <protobuf-c/protobuf-c.h>

#include "migration/saved.h"
#include "migration/status.h"

struct StateAny;

/* The one version of every payload. */
#define SAVED_VERSION 1u
/* First bytes of what ferry adds: "Fer1" as a little-endian number. */
#define SAVED_MAGIC 0x31726546u

struct saved_reader {
	struct arena *a;
	ProtobufCAllocator alloc;
	const char *architecture;
	struct saved_fault *fault;
	struct err *e;
};

struct saved_any {
	struct saved_text type;
	struct saved_text value;
};

/* Refuse with a rule's name; gives -code. */
#define saved_refuse(r, rule_name, errno_code, ...)                            \
	({                                                                     \
		if ((r)->fault) {                                              \
			(r)->fault->rule = (rule_name);                        \
			(r)->fault->code = (errno_code);                       \
		}                                                              \
		err_set((r)->e, (errno_code), rule_name ": " __VA_ARGS__);     \
	})

/* Memory for @n of @size, zeroed; too much is rule S1. */
void *saved_many(struct saved_reader *r, size_t n, size_t size);

/**
 * saved_scan() - well-formed bytes without what is not known
 * @d:		describes the message
 * @in:		any bytes
 * @ret:	memory of the arena
 *
 * Return: 0, -EINVAL (S3), -EEXHAUSTED
 */
int saved_scan(struct saved_reader *r, const ProtobufCMessageDescriptor *d,
	       struct saved_text in, struct saved_text *ret);

/** saved_unpack() - scan and unpack; NULL: refused */
void *saved_unpack(struct saved_reader *r, const ProtobufCMessageDescriptor *d,
		   struct saved_text in);

/**
 * saved_open() - the payload in an Any
 * @controller:	"vm", "scsi", ...: its type URL has to be that
 *
 * Return: the message; NULL: refused by S2, S3, S4
 */
void *saved_open(struct saved_reader *r, const struct saved_any *any,
		 const char *controller, const ProtobufCMessageDescriptor *d);

/** saved_extension() - ferry's message in field 20000; NULL without an error in
 * @ret_bad: there is none */
void *saved_extension(struct saved_reader *r, ProtobufCBinaryData bytes,
		      const ProtobufCMessageDescriptor *d, bool *ret_bad);

/** saved_take_text() - a text field; -EINVAL: not UTF-8 (S5) */
int saved_take_text(struct saved_reader *r, const char *what,
		    ProtobufCBinaryData in, struct saved_text *ret);

/** saved_take_texts() - a repeated one */
int saved_take_texts(struct saved_reader *r, const char *what, size_t n,
		     const ProtobufCBinaryData *in, struct saved_text **ret,
		     size_t *ret_n);

/** saved_bytes() - a bytes field, borrowed */
static inline struct saved_text saved_bytes(ProtobufCBinaryData in)
{
	return (struct saved_text){ (const char *)in.data, in.len };
}

/* Order of map keys: bytes, and GUIDs without regard to case. */
int saved_compare(struct saved_text a, struct saved_text b);

/* --- readers; @any is what the parent holds --- */

int vm_save_get(struct saved_reader *r, const struct saved_any *any,
		struct saved_vm *ret);
int scsi_save_get(struct saved_reader *r, const struct saved_any *any,
		  struct saved_scsi *ret);
int pod_save_get(struct saved_reader *r, const struct saved_any *any,
		 struct saved_pod *ret);
int network_save_get(struct saved_reader *r, const struct saved_any *any,
		     struct saved_network *ret);
int container_save_get(struct saved_reader *r, const struct saved_any *any,
		       struct saved_container *ret);
int process_save_get(struct saved_reader *r, const struct saved_any *any,
		     struct saved_process *ret);
/* For qsort() */
int saved_by_process_key(const void *a, const void *b);

/* As above, in the Any that a payload holds; NULL: an empty one. */
int process_save_get_packed(struct saved_reader *r, const struct StateAny *m,
			    struct saved_process *ret);
int migration_save_get(struct saved_reader *r, const struct saved_any *any,
		       struct saved *ret);

/** saved_check() - every rule about content, on what was decoded */
int saved_check(struct saved_reader *r, struct saved *s);

/** saved_check_streams() - of one process */
int saved_check_streams(struct saved_reader *r, const struct saved_process *p);

/** saved_check_devices() - of assigned devices and shares, which it sorts */
int saved_check_devices(struct saved_reader *r, const struct saved *s);

/* --- writers --- */

struct saved_writer {
	struct arena *a;
	bool failed; /* no memory */
};

/** saved_put_text() - for a field, borrowed */
ProtobufCBinaryData saved_put_text(struct saved_text t);

/** saved_put_texts() - for a repeated field */
ProtobufCBinaryData *saved_put_texts(struct saved_writer *w,
				     const struct saved_text *t, size_t n);

/** saved_put_many() - @n zeroed, or NULL and @w->failed */
void *saved_put_many(struct saved_writer *w, size_t n, size_t size);

/** saved_put_row() - room for @n pointers */
void *saved_put_row(struct saved_writer *w, size_t n);

/** saved_put_message() - packed bytes of a message */
struct saved_text saved_put_message(struct saved_writer *w,
				    const ProtobufCMessage *m);

/** saved_put_any() - packed, and under its type URL; @ret has arena memory */
void saved_put_any(struct saved_writer *w, const char *controller,
		   const ProtobufCMessage *m, struct saved_any *ret);

void vm_save_put(struct saved_writer *w, const struct saved_vm *v,
		 struct saved_any *ret);
void scsi_save_put(struct saved_writer *w, const struct saved_scsi *s,
		   struct saved_any *ret);
void pod_save_put(struct saved_writer *w, const struct saved_pod *p,
		  struct saved_any *ret);
void network_save_put(struct saved_writer *w, const struct saved_network *n,
		      struct saved_any *ret);
void container_save_put(struct saved_writer *w, const struct saved_container *c,
			struct saved_any *ret);
void process_save_put(struct saved_writer *w, const struct saved_process *p,
		      struct saved_any *ret);
/* NULL: no memory. */
struct StateAny *process_save_put_packed(struct saved_writer *w,
					 const struct saved_process *p);
void migration_save_put(struct saved_writer *w, const struct saved *s,
			struct saved_any *ret);

#endif
