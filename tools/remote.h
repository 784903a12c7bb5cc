/*
 * tools/remote.h - a sandbox that runs by itself, for the commands about it
 *
 * A sandbox is named SANDBOX, or SANDBOX/CONTAINER where a container can be
 * meant; an empty container is the UVM.
 */
#ifndef FERRY_TOOLS_REMOTE_H
#define FERRY_TOOLS_REMOTE_H

#include <stdbool.h>
#include <stdio.h>

#include <protobuf-c/protobuf-c.h>

#include "bridge/io/loop.h"
#include "config/err.h"
#include "tools/qemu/rundir.h"
#include "tools/ttrpc/client.h"

#define REMOTE_CONTAINER_MAX 257u
/* Calls that a shim answers by itself, or after one message to the guest. */
#define REMOTE_CALL_MS 30000
/* A guest that powers off, and what comes when it does not. */
#define REMOTE_STOP_MS 60000
/* The task service, containerd's. */
#define REMOTE_TASKS "containerd.task.v2.Task"

/**
 * struct remote - one connection
 * @name:	of the sandbox
 * @container:	id, "": the UVM
 * @dir:	folder of the sandbox
 * @service:	that is asked, NULL: Ferry
 * @code:	of the last call that failed
 */
struct remote {
	struct loop *loop;
	struct ttrpc_client *client;
	char name[RUNDIR_NAME_MAX];
	char container[REMOTE_CONTAINER_MAX];
	char dir[RUNDIR_MAX];
	const char *service;
	enum ttrpc_code code;
};

/**
 * struct remote_wait - a call whose end is waited for
 * @over:	it has come, with @code
 * @result:	0 or -errno, with words in @e
 * @got:	called with the answer, may be NULL
 */
struct remote_wait {
	bool over;
	enum ttrpc_code code;
	int result;
	struct err *e;
	void (*got)(void *ctx, const ProtobufCMessage *m);
	void *ctx;
};

/** remote_plain() - words of another host on their way to somebody's terminal:
 * control bytes become '?' */
void remote_plain(char *s);

/** remote_show() - the same of a guest's log: lines and tabs stay as they are */
void remote_show(FILE *to, const char *s, size_t len);

/** remote_answered() - ttrpc_ask.done, whose ctx is a struct remote_wait */
void remote_answered(void *ctx, enum ttrpc_code code, const char *text,
		     const ProtobufCMessage *m);

/**
 * remote_open() - connect to the shim of a sandbox
 * @sandbox:	its name; what is done to it is not to be done for the name of a
 *		container: refused
 * @r:		filled; remote_close() releases it in every case
 * @e:		in words for the user
 *
 * Return: 0, -ENOENT (no such sandbox, or its shim is dead), -EINVAL, -errno
 */
int remote_open(const char *sandbox, struct remote *r, struct err *e);

/** remote_open_in() - the same, with SANDBOX or SANDBOX/CONTAINER */
int remote_open_in(const char *target, struct remote *r, struct err *e);

/** remote_close() - hang up; harmless on a zero struct */
void remote_close(struct remote *r);

/**
 * remote_ask() - a call of @r->service, and wait for its answer
 * @method:	name
 * @request:	message
 * @response:	descriptor, NULL: none is wanted
 * @got:	called with the answer, may be NULL
 * @ctx:	passed to @got
 * @timeout_ms:	0: none
 * @e:		what the shim said
 *
 * Return: 0, or -errno: @r->code is the code
 */
int remote_ask(struct remote *r, const char *method,
	       const ProtobufCMessage *request,
	       const ProtobufCMessageDescriptor *response,
	       void (*got)(void *ctx, const ProtobufCMessage *m), void *ctx,
	       int64_t timeout_ms, struct err *e);

/**
 * remote_stop() - end the sandbox, and wait until nothing has its name
 * @force:	without asking the guest
 *
 * Return: 0 or -errno
 */
int remote_stop(struct remote *r, bool force, struct err *e);

#endif
