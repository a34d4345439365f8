/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Constants that the loader sets before loading; the verifier prunes what they switch off. */
#pragma once

#include <linux/types.h>

const volatile __u32 hz = 250; /* jiffies a second of this kernel */

/* Keys of the hash, odd; chosen when the tables are made and kept with them. */
const volatile __u64 secret0 = 0x9e3779b97f4a7c15;
const volatile __u64 secret1 = 0xbf58476d1ce4e5b9;
const volatile __u64 secret2 = 0x94d049bb133111eb;

/* Number of buckets minus one. */
const volatile __u32 flows4_mask = 0;
const volatile __u32 flows6_mask = 0;

/* Idle times of the classes that no config sets, in seconds. */
const volatile __u32 half_open_idle = 10;
const volatile __u32 closing_idle = 10;

/*
 * How long a fragment may come after the first, in seconds: less than receivers wait (30 or 60), because
 * after a loss an id may come again with another datagram.
 */
const volatile __u32 fragments_idle = 10;

/*
 * When a node has not answered: its client sends the SYN for the third time, and not all at once. Clients do
 * so three seconds after the first, or later.
 */
const volatile __u32 unanswered_syns = 3;
const volatile __u32 unanswered_ms = 2500;

/* Milliseconds from one report about a node to the next. */
const volatile __u32 report_ms = 100;

/* Refusals that one CPU answers a second, and at once after a pause. */
const volatile __u32 refuse_rate = 10000;
const volatile __u32 refuse_burst = 10000;

/* Source ports that one flow has looked at when its node has next to none left; 0: no more than a few tries. */
const volatile __u32 port_search_most = 4 * 64000;
