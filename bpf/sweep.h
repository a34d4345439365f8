/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * The sweep: what the packet path does to a flow when it meets it, done to flows that nobody asks for
 * any more, so that counts stay true without traffic.
 */
#pragma once

#include "flow_evict.h"
#include "tcp_state.h"

/*
 * Closes a TCP flow whose node is past its deadline. It rests as after an RST, so that who speaks
 * within that time still learns of its end.
 */
static __always_inline void close_overdue(const struct place *at, __u32 now, const bool v6)
{
	__u32 class = READ_ONCE(at->head->stamps[at->ref & SLOT_MASK]) & FLOW_CLASS_MASK;

	if ((class == FLOW_HALF_OPEN || class == FLOW_ESTABLISHED) && node_past_deadline(at->half->node, now))
		close_flow(at, CLOSING_DEADLINE, now, v6);
}

/* Removes what has expired from one bucket, and closes what is overdue; returns how many it removed. */
static __always_inline __u32 sweep_bucket(__u32 bucket, __u32 now, const bool v6)
{
	struct locks held = {{NO_REF, NO_REF, NO_REF, NO_REF}};
	__u32 removed = 0;

	for (__u32 slot = 0; slot < BUCKET_SLOTS; slot++) {
		struct place at;

		if (!place_at(&at, bucket << 3 | slot, v6) || !READ_ONCE(at.head->tags[slot]))
			continue;
		if (!is_expired(&at, now, v6)) {
			close_overdue(&at, now, v6);
			continue;
		}
		if (!hold(&held, 0, bucket, v6))
			continue;
		/* again, now that nobody can change it */
		if (READ_ONCE(at.head->tags[slot]) && is_expired(&at, now, v6))
			removed += remove_flow(at.ref, &held, REMOVAL_SWEPT, v6);
	}
	release(&held, v6);
	return removed;
}

__attribute__((noinline)) __u32 sweep_bucket4(__u32 bucket, __u32 now)
{
	return sweep_bucket(bucket, now, false);
}

__attribute__((noinline)) __u32 sweep_bucket6(__u32 bucket, __u32 now)
{
	return sweep_bucket(bucket, now, true);
}
