/*
 * bridge/guest/link.h - there is a connection to the host, or the next dial
 * is on its way; for ever
 *
 *	idle --link_start--> dialling --connected--> up
 *	dialling --failed--> waiting --delay over--> dialling
 *	up --link_lost--> waiting (no delay at first)
 *
 * Delays after a loss: none, 1, 2, 4, 8 ms, then 10 ms until LINK_FAST_MS have
 * gone by since the connection was lost, then 100 ms. A connection that was
 * lost before it was negotiated does not begin the series anew: a host that
 * accepts and closes is not dialled without pause.
 */
#ifndef FERRY_BRIDGE_GUEST_LINK_H
#define FERRY_BRIDGE_GUEST_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/io/loop.h"
#include "bridge/io/transport.h"
#include "config/err.h"

/* How long the host is expected back at any moment. */
#define LINK_FAST_MS 30000
#define LINK_FAST_DELAY_MS 10
#define LINK_SLOW_DELAY_MS 100
/* A dial that is not answered at all is given up and begun again. */
#define LINK_DIAL_LIMIT_MS 5000

/* @fd: connected, non-blocking, the receiver's */
typedef void link_up_fn(void *ctx, int fd);

enum link_state { LINK_IDLE, LINK_WAITING, LINK_DIALLING, LINK_UP };

struct link {
	struct loop *loop;
	struct transport transport;
	uint32_t port;
	link_up_fn *on_up;
	void *ctx;

	enum link_state state;
	int fd; /* while dialling */
	struct loop_id watch;
	struct loop_id timer;
	unsigned int attempt; /* dials since the loss */
	int64_t lost_ms;      /* when the connection was lost */
	bool told;	      /* the host's absence was logged */
};

/** link_init() - nothing is dialled yet */
void link_init(struct link *l, struct loop *loop, const struct transport *t,
	       uint32_t port, link_up_fn *fn, void *ctx);

/** link_start() - begin to dial */
void link_start(struct link *l);

/**
 * link_lost() - the connection is gone: dial again
 * @useful:	it had been negotiated
 */
void link_lost(struct link *l, bool useful);

/** link_stop() - dial no more */
void link_stop(struct link *l);

/**
 * link_delay_ms() - how long to wait before a dial; pure
 * @attempt:	dials since the loss, 0 for the first
 * @away_ms:	time since the loss
 */
int64_t link_delay_ms(unsigned int attempt, int64_t away_ms);

#endif
