/*
 * bridge/session.h - what both ends of FerryResume compute alike; pure
 *
 * A session outlives connections. Its key is told once; from then on each
 * connection and each stream is proven with it, bound to the host's nonce of
 * that connection, so that nobody else in the guest can pose as the agent.
 * Source: docs/resume.md.
 */
#ifndef FERRY_BRIDGE_SESSION_H
#define FERRY_BRIDGE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/digest.h"

#define SESSION_VERSION 1u
#define SESSION_ID_BYTES 16u
#define SESSION_KEY_BYTES 32u
#define SESSION_NONCE_BYTES 32u

#define SESSION_HEARTBEAT_MS 1000u
#define SESSION_HEARTBEAT_MIN_MS 100u
#define SESSION_HEARTBEAT_MAX_MS 60000u
/* A connection on which nothing came for so many heartbeats is dead. */
#define SESSION_HEARTBEATS_LOST 10u

/* What an end takes before it acknowledges at once. */
#define SESSION_ACK_FRAMES 64u
#define SESSION_ACK_BYTES 65536u

/* The first bytes of a stream, "FERRYST1" and a proof, and the offsets. */
#define STREAM_HELLO_BYTES 40u
#define STREAM_OFFSET_BYTES 8u
/* What a sender keeps of one stream until it is acknowledged. */
#define STREAM_WINDOW_BYTES (1u << 20)
#define STREAM_ACK_BYTES 65536u
#define STREAM_ACK_MS 50

/** struct session_id - the secrets and the name of a session */
struct session_id {
	uint8_t id[SESSION_ID_BYTES];
	uint8_t key[SESSION_KEY_BYTES];
};

/**
 * session_proof() - that the agent knows the key
 * @nonce:	the host's, of this connection
 */
void session_proof(const struct session_id *s,
		   const uint8_t nonce[SESSION_NONCE_BYTES],
		   uint8_t proof[DIGEST_BYTES]);

/**
 * stream_hello_put() - the first bytes of a stream of the session
 * @port:	the host's port that is dialled
 */
void stream_hello_put(const struct session_id *s,
		      const uint8_t nonce[SESSION_NONCE_BYTES], uint32_t port,
		      uint8_t hello[STREAM_HELLO_BYTES]);

/** stream_hello_check() - do they come from the agent, on this connection? */
bool stream_hello_check(const struct session_id *s,
			const uint8_t nonce[SESSION_NONCE_BYTES], uint32_t port,
			const uint8_t hello[STREAM_HELLO_BYTES]);

/**
 * session_hex() - bytes as lower case hexadecimal text
 * @text:	receives 2 * @len characters and a NUL
 */
void session_hex(const uint8_t *bytes, size_t len, char *text);

/**
 * session_unhex() - the other way, in either case
 *
 * Return: true if @text has exactly 2 * @len hexadecimal characters
 */
bool session_unhex(const char *text, uint8_t *bytes, size_t len);

/**
 * struct session_in - numbered frames that came
 * @taken:	number of the last one
 * @told:	what the peer was told last
 * @bytes:	taken since then
 */
struct session_in {
	uint64_t taken;
	uint64_t told;
	uint64_t bytes;
};

/** session_in_took() - one frame of @bytes came and was acted on */
void session_in_took(struct session_in *in, size_t bytes);

/** session_in_due() - is it time to acknowledge, without the heartbeat? */
bool session_in_due(const struct session_in *in);

/** session_in_told() - an acknowledgement of @taken is on its way */
void session_in_told(struct session_in *in);

#endif
