/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Internet checksums (RFC 1071, RFC 1624). Words are summed as they lie, so byte order cancels out. */
#pragma once

#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* Folds a sum of 32-bit words to 16 bits. */
static __always_inline __u16 checksum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The one's complement sum that turns checksums of `from` into those of `to`. */
static __always_inline __u16 sum_change(__u64 from, __u64 to)
{
	return checksum_fold(to + (__u16)~checksum_fold(from));
}

/* Applies a folded sum of changes to a checksum field. */
static __always_inline __u16 checksum_apply(__u16 check, __u32 delta)
{
	__u32 sum = (__u16)~check + delta;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Sums `words` 32-bit words. */
static __always_inline __u64 checksum_words(const __be32 *word, int words)
{
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < words; i++)
		sum += word[i];
	return sum;
}
