/*
 * migration/saved.h - the saved state of a sandbox as plain structs; pure
 *
 * Between the bytes that travel and the controllers stands this: what was
 * decoded and checked, with real types, and nothing of protobuf. All of it
 * borrows from an arena or from the controllers that it was taken from.
 *
 *	controllers --saved_take()--> struct saved --saved_encode()--> bytes
 *	bytes --saved_decode()--> struct saved --saved_give()--> controllers
 *
 * saved_decode() checks everything, rule by rule, before anything is created.
 * Texts are bytes with a length, because a text may hold a NUL on the wire.
 * Source: shared specification saved-state.md.
 */
#ifndef FERRY_MIGRATION_SAVED_H
#define FERRY_MIGRATION_SAVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/arena.h"
#include "config/err.h"
#include "config/text.h"
#include "migration/guest_ops.h"

/* Rule S1. */
#define SAVED_BYTES_MAX ((size_t)4128768)
#define SAVED_BLOB_MAX ((size_t)262144)
#define SAVED_PODS_MAX 64u
/* Bytes of one stream between the bridge and its reader or writer. */
#define SAVED_KEPT_MAX ((size_t)1048576)
/* Rule S62. */
#define SAVED_PORT_FIRST 0x40000001u
#define SAVED_PORT_LAST 0xfffffffeu
/* Rule S12. */
#define SAVED_SECONDS_MAX INT64_C(315576000000)
/* Memory for one decoded state, as a multiple of its bytes, and a base. */
#define SAVED_ARENA_FACTOR 16u
#define SAVED_ARENA_BASE ((size_t)1024 * 1024)

struct saved_text {
	const char *p;
	size_t n;
};

struct saved_duration {
	bool present;
	int64_t seconds;
	int32_t nanos;
};

/* Where an object stood; ferry's addition. 0: as the reference assumes. */
enum saved_stage {
	SAVED_STAGE_DEFAULT = 0,
	SAVED_STAGE_RESERVED = 1,
	SAVED_STAGE_ATTACHED = 2, /* disk, device, share */
	SAVED_STAGE_MOUNTED = 3,
	SAVED_STAGE_RUNNING = 4,
	SAVED_STAGE_STOPPED = 5,
	SAVED_STAGES, /* number of stages */
};

struct saved_mount {
	uint64_t partition;
	bool has_config;
	bool read_only;
	bool encrypted;
	struct saved_text *options;
	size_t n_options;
	bool ensure_filesystem;
	struct saved_text filesystem;
	bool block_dev;
	uint32_t ref_count;
	struct saved_text guest_path;
	enum saved_stage stage;
	uint32_t holders; /* reservations, counted by the check */
};

struct saved_disk {
	uint32_t slot;
	bool has_config;
	struct saved_text host_path;
	bool read_only;
	struct saved_text type;
	struct saved_text evd_type;
	struct saved_mount *mounts; /* ascending partition */
	size_t n_mounts;
	enum saved_stage stage;
	bool boot;
};

struct saved_reservation {
	struct saved_text id;
	uint32_t slot;
	uint64_t partition;
	bool referenced; /* found by the check */
};

struct saved_scsi {
	uint32_t version;
	uint32_t n_controllers;
	struct saved_disk *disks; /* ascending slot */
	size_t n_disks;
	struct saved_reservation *reservations; /* ascending id */
	size_t n_reservations;
};

/* A device or share that a save to a file on one host detaches. */
struct saved_vpci {
	struct saved_text vmbus_guid;
	struct saved_text host_device;
	enum saved_stage stage;
};

struct saved_share {
	struct saved_text reservation; /* GUID */
	struct saved_text host_path;
	struct saved_text name;
	struct saved_text guest_path;
	bool read_only;
	uint32_t ref_count;
	enum saved_stage stage;
};

/* One stream of the session; ferry's. See struct host_stream_state. */
struct saved_stream {
	uint32_t port;
	uint64_t offset; /* bytes that the receiver has */
	bool ended;
	uint64_t length;
	bool marked;
	uint64_t mark;
	struct saved_text unacknowledged; /* of an input, behind @offset */
	struct saved_text kept; /* between bridge and reader, or writer */
};

struct saved_process {
	struct saved_text key; /* of the map */
	uint32_t version;
	struct saved_text exec_id;
	int32_t pid;
	struct saved_text bundle;
	struct saved_text document;
	struct saved_duration io_retry;
	uint32_t port[GUEST_STREAMS];
	int64_t wait_id;
	/* ferry's */
	bool terminal;
	struct saved_stream *streams;
	size_t n_streams;
	/* Of outputs that the bridge is done with: what nobody has read of them. */
	struct saved_text unread[GUEST_STREAMS];
	/* Stopped, of execs and processes of the VM: no wait id, no streams. One
	 * that runs and has an @exited_at_ns has exited, and nobody was told yet. */
	enum saved_stage stage;
	uint32_t exit_status;
	uint64_t exited_at_ns;
	uint64_t started_at_ns;
	struct saved_text stdio[GUEST_STREAMS];
};

struct saved_vm {
	uint32_t version;
	struct saved_text id;
	bool has_options;
	bool no_writable_file_shares;
	bool enable_scratch_encryption;
	bool policy_based_routing;
	struct saved_text architecture;
	bool fully_physically_backed;
	bool has_scsi;
	struct saved_scsi scsi;
	uint32_t next_port;
	struct saved_text compat;
	struct saved_text document;
	int64_t next_id;
	/* ferry's */
	struct saved_text annotation_lock;
	uint64_t epoch;
	struct saved_text producer; /* version of the ferry that wrote it */
	struct saved_text machine;  /* see migration/lease.h; empty: no lease */
	struct saved_text lease;    /* path */
	struct saved_vpci *vpci;
	size_t n_vpci;
	struct saved_share *shares;
	size_t n_shares;
	struct saved_text session; /* of the bridge; a secret */
	/* Of the VM itself; only ferry reads them. */
	struct saved_process *processes;
	size_t n_processes;
};

struct saved_endpoint {
	struct saved_text nic_id;
	struct saved_text endpoint_id;
	struct saved_text mac;
	struct saved_text name;
	struct saved_text settings; /* ferry's: as the guest was told */
};

struct saved_network {
	uint32_t version;
	struct saved_text namespace_id;
	bool policy_based_routing;
	bool guest_support;
	struct saved_endpoint *endpoints; /* ascending NIC id */
	size_t n_endpoints;
};

struct saved_layer {
	struct saved_text reservation;
	struct saved_text guest_path;
};

struct saved_container {
	uint32_t version;
	struct saved_text id;
	struct saved_text gcs_id;
	struct saved_duration io_retry;
	bool has_layers;
	struct saved_layer *ro_layers; /* topmost first */
	size_t n_ro_layers;
	bool has_scratch;
	struct saved_layer scratch;
	bool layers_combined;
	struct saved_text rootfs;
	struct saved_text *reservations;
	size_t n_reservations;
	struct saved_process *processes; /* ascending key */
	size_t n_processes;
	/* ferry's */
	enum saved_stage stage;
	uint32_t exit_status;
	uint64_t exited_at_ns;
	struct saved_text *vpci_guids;
	size_t n_vpci_guids;
	struct saved_text *share_reservations;
	size_t n_share_reservations;
	/* Execs that run; only ferry reads them. */
	struct saved_process *execs;
	size_t n_execs;
};

struct saved_pod {
	uint32_t version;
	struct saved_text id;
	struct saved_text gcs_id;
	struct saved_network network;
	struct saved_container *containers; /* ascending id */
	size_t n_containers;
};

struct saved {
	uint32_t version;
	struct saved_vm vm;
	struct saved_pod *pods; /* ascending id */
	size_t n_pods;
};

/**
 * struct saved_fault - why a state was refused
 * @rule:	"S20", ...; static text
 * @code:	positive errno of migration/status.h
 */
struct saved_fault {
	const char *rule;
	int code;
};

/**
 * saved_decode() - bytes into structs, everything checked
 * @data:	one serialised google.protobuf.Any
 * @size:	bytes
 * @architecture: of this host, "amd64"; NULL: not compared (rule S15)
 * @a:		gives the memory; the result lives as long, and borrows @data
 * @ret:	complete on success only
 * @fault:	receives the rule; may be NULL
 * @e:		the story with the place in it: "pods[0].containers[1]: ..."
 *
 * Return: 0; -EINVAL, -EPRECONDITION, -EEXHAUSTED by the rules, -ENOMEM
 */
int saved_decode(const void *data, size_t size, const char *architecture,
		 struct arena *a, struct saved *ret, struct saved_fault *fault,
		 struct err *e);

/** saved_arena_init() - an arena with the limit for a state of @size bytes */
void saved_arena_init(struct arena *a, size_t size);

/**
 * saved_encode() - structs into bytes; equal state gives equal bytes
 * @s:		lists in the order that their comments say
 * @out:	heap text without a NUL that counts; out->full: too large
 *
 * Return: 0, -EEXHAUSTED (over SAVED_BYTES_MAX), -ENOMEM
 */
int saved_encode(const struct saved *s, struct text *out, struct err *e);

/** saved_equal_text() - byte for byte */
bool saved_equal_text(struct saved_text a, struct saved_text b);

/** saved_compare_guid() - as strcmp(), without regard to case */
int saved_compare_guid(struct saved_text a, struct saved_text b);

/** saved_text_of() - borrows a C string; NULL: "" */
struct saved_text saved_text_of(const char *s);

#endif
