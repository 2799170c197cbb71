// SPDX-License-Identifier: GPL-2.0
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "parse.h"

static const char *const vf_op_names[VF_OP_COUNT] = {
	[VF_OP_EXPAND] = "expand",
	[VF_OP_SHRINK] = "shrink",
	[VF_OP_REHOME] = "rehome",
	[VF_OP_RESIZE] = "resize",
	[VF_OP_CANCEL] = "cancel",
};

const char *vf_op_name(enum vf_op op)
{
	return vf_op_names[op];
}

static bool vf_is(const char *s, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(s, word, len);
}

/* Length of the word at @s: up to the next space, or all of it. */
static size_t vf_word(const char *s, size_t len)
{
	const char *space = memchr(s, ' ', len);

	return space ? space - s : len;
}

/**
 * vf_parse_u64() - a decimal number
 * @s: text
 * @len: bytes of @s
 * @value: result
 *
 * No sign, no space, no leading zero, nothing above 2^64 - 1.
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int vf_parse_u64(const char *s, size_t len, u64 *value)
{
	u64 v = 0;
	size_t i;

	if (!len || (len > 1 && s[0] == '0'))
		return -EINVAL;

	for (i = 0; i < len; i++) {
		unsigned int digit = (unsigned char)s[i] - '0';

		if (digit > 9)
			return -EINVAL;
		if (v > (U64_MAX - digit) / 10)
			return -ERANGE;
		v = v * 10 + digit;
	}

	*value = v;
	return 0;
}

/**
 * vf_parse_kib() - a size in KiB whose bytes fit 63 bits
 * @s: text
 * @len: bytes of @s
 * @kib: result
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int vf_parse_kib(const char *s, size_t len, u64 *kib)
{
	u64 v;
	int err = vf_parse_u64(s, len, &v);

	if (err)
		return err;
	if (v >= 1ULL << 53)
		return -ERANGE;

	*kib = v;
	return 0;
}

/**
 * vf_parse_node() - a node number below VIRTFLEX_MAX_NODES
 * @s: text
 * @len: bytes of @s
 * @node: result
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int vf_parse_node(const char *s, size_t len, unsigned int *node)
{
	u64 v;
	int err = vf_parse_u64(s, len, &v);

	if (err)
		return err;
	if (v >= VIRTFLEX_MAX_NODES)
		return -ERANGE;

	*node = v;
	return 0;
}

/**
 * vf_parse_availability() - "online" or "offline"
 * @s: text
 * @len: bytes of @s
 * @online: result
 *
 * Return: 0 or -EINVAL.
 */
int vf_parse_availability(const char *s, size_t len, bool *online)
{
	if (vf_is(s, len, "online"))
		*online = true;
	else if (vf_is(s, len, "offline"))
		*online = false;
	else
		return -EINVAL;
	return 0;
}

/* One CPU or range of a list, not below @next; sets @next behind it. */
static int vf_parse_cpu_range(const char *s, size_t len, unsigned long *cpus, u64 *next)
{
	const char *dash = memchr(s, '-', len);
	size_t first_len = dash ? dash - s : len;
	u64 first, last;
	int err;

	err = vf_parse_u64(s, first_len, &first);
	if (err)
		return err;

	last = first;
	if (dash) {
		err = vf_parse_u64(dash + 1, len - first_len - 1, &last);
		if (err)
			return err;
	}

	if (first < *next || first > last)
		return -EINVAL;
	if (last >= VIRTFLEX_MAX_CPUS)
		return -ERANGE;

	bitmap_set(cpus, first, last - first + 1);
	*next = last + 1;
	return 0;
}

/**
 * vf_parse_cpus() - a CPU list such as "0-6,28-34", ascending, none twice
 * @s: text; empty for a node without CPUs
 * @len: bytes of @s
 * @cpus: bitmap of VIRTFLEX_MAX_CPUS bits
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int vf_parse_cpus(const char *s, size_t len, unsigned long *cpus)
{
	unsigned long parsed[VF_CPU_LONGS] = { 0 };
	u64 next = 0;

	while (len) {
		const char *comma = memchr(s, ',', len);
		size_t item = comma ? comma - s : len;
		int err = vf_parse_cpu_range(s, item, parsed, &next);

		if (err)
			return err;
		if (!comma)
			break;

		s += item + 1;
		len -= item + 1;
		if (!len)
			return -EINVAL;
	}

	bitmap_copy(cpus, parsed, VIRTFLEX_MAX_CPUS);
	return 0;
}

/**
 * vf_parse_id() - the id that a request begins with
 * @s: text of a request, or of its beginning
 * @len: bytes of @s
 * @id: result, never 0
 *
 * For the answer to a request whose other words make no sense.
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int vf_parse_id(const char *s, size_t len, u64 *id)
{
	u64 v;
	int err = vf_parse_u64(s, vf_word(s, len), &v);

	if (err)
		return err;
	if (!v)
		return -ERANGE;

	*id = v;
	return 0;
}

/**
 * vf_parse_request() - "<id> <op> <deadline-ms>"
 * @s: text
 * @len: bytes of @s
 * @request: result
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int vf_parse_request(const char *s, size_t len, struct vf_request *request)
{
	struct vf_request r;
	size_t word;
	u64 ms;
	int err;

	err = vf_parse_id(s, len, &r.id);
	if (err)
		return err;

	word = vf_word(s, len);
	if (word == len)
		return -EINVAL;
	s += word + 1;
	len -= word + 1;

	word = vf_word(s, len);
	if (word == len)
		return -EINVAL;
	for (r.op = 0; r.op < VF_OP_COUNT; r.op++)
		if (vf_is(s, word, vf_op_names[r.op]))
			break;
	if (r.op == VF_OP_COUNT)
		return -EINVAL;
	s += word + 1;
	len -= word + 1;

	err = vf_parse_u64(s, len, &ms);
	if (err)
		return err;
	if (!ms || ms > VF_MAX_DEADLINE_MS)
		return -ERANGE;
	r.deadline_ms = ms;

	*request = r;
	return 0;
}

/**
 * vf_parse_state() - our own last answer, "<id> <state> [<code>]"
 * @s: text
 * @len: bytes of @s
 * @id: request that it answers
 * @finished: whether that was its last answer
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int vf_parse_state(const char *s, size_t len, u64 *id, bool *finished)
{
	size_t word;
	u64 v;
	int err;

	err = vf_parse_id(s, len, &v);
	if (err)
		return err;

	word = vf_word(s, len);
	if (word == len)
		return -EINVAL;
	s += word + 1;
	len -= word + 1;

	word = vf_word(s, len);
	*finished = vf_is(s, word, "done") || vf_is(s, word, "failed") ||
		    vf_is(s, word, "cancelled");
	*id = v;
	return 0;
}

/**
 * vf_parse_generation() - what a runtime writes to acknowledge
 * @s: a decimal number, with or without a newline behind it
 * @len: bytes of @s
 * @generation: result
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int vf_parse_generation(const char *s, size_t len, u64 *generation)
{
	if (len && s[len - 1] == '\n')
		len--;
	return vf_parse_u64(s, len, generation);
}
