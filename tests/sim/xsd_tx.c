/* SPDX-License-Identifier: MIT */
/*
 * xsd_tx.c - transactions.
 *
 * A commit succeeds only if every record that the transaction looked at or
 * changed still has the generation it had at the first access; otherwise
 * another client was faster, and this one gets EAGAIN.
 */
#include "xsd_impl.h"

#include <errno.h>
#include <stdlib.h>

struct xsd_tx *xsd_tx_find(struct xsd_conn *conn, uint32_t id)
{
	struct xsd_tx *tx = conn->txs;

	while (tx && tx->id != id)
		tx = tx->next;
	return tx;
}

struct xsd_tx *xsd_tx_new(struct xsd_conn *conn)
{
	struct xsd_tx *tx = sim_alloc(sizeof(*tx));

	do
		tx->id = ++conn->next_tx;
	while (!tx->id || xsd_tx_find(conn, tx->id));
	tx->events_tail = &tx->events;
	tx->next = conn->txs;
	conn->txs = tx;
	conn->nr_txs++;
	return tx;
}

static void tx_free(struct xsd_conn *conn, struct xsd_tx *tx)
{
	struct xsd_tx **at = &conn->txs;

	while (*at != tx)
		at = &(*at)->next;
	*at = tx->next;
	conn->nr_txs--;
	while (tx->events) {
		struct xsd_event *ev = tx->events;

		tx->events = ev->next;
		xsd_event_free(ev);
	}
	xsd_table_clear(&tx->nodes);
	free(tx);
}

void xsd_tx_free_all(struct xsd_conn *conn)
{
	while (conn->txs)
		tx_free(conn, conn->txs);
}

static bool tx_conflicts(struct xsd *xs, struct xsd_tx *tx)
{
	for (unsigned int i = 0; i < tx->nodes.nr_buckets; i++) {
		for (struct xsd_node *n = tx->nodes.bucket[i]; n; n = n->next) {
			struct xsd_node *now = xsd_table_find(&xs->nodes, n->path);

			if ((now ? now->gen : 0) != n->base_gen)
				return true;
		}
	}
	return false;
}

/* Move one changed record from the transaction to the store. */
static void tx_apply(struct xsd_req *q, struct xsd_node *n)
{
	struct xsd_node *now = xsd_table_find(&q->xs->nodes, n->path);

	if (now)
		xsd_domain_count(q, now->perms[0].id, -1);
	if (n->absent) {
		if (now)
			xsd_table_del(&q->xs->nodes, n->path);
		return;
	}
	if (!now)
		now = xsd_table_add(&q->xs->nodes, n->path);
	xsd_node_copy(now, n);
	now->gen = ++q->xs->gen;
	xsd_domain_count(q, now->perms[0].id, 1);
}

int xsd_tx_end(struct xsd_req *q, struct xsd_tx *tx, bool commit)
{
	int err = 0;

	q->tx = NULL;
	if (commit && tx_conflicts(q->xs, tx))
		err = EAGAIN;
	if (commit && !err) {
		for (unsigned int i = 0; i < tx->nodes.nr_buckets; i++)
			for (struct xsd_node *n = tx->nodes.bucket[i]; n; n = n->next)
				if (n->modified)
					tx_apply(q, n);
		for (struct xsd_event *ev = tx->events; ev; ev = ev->next)
			xsd_event_deliver(q->xs, ev);
	}
	tx_free(q->conn, tx);
	return err;
}
