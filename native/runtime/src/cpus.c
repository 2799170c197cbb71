/* SPDX-License-Identifier: Apache-2.0 */
#include "virtflex/cpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vfrt_cpus vfrt_cpus_and(const struct vfrt_cpus *a, const struct vfrt_cpus *b)
{
	struct vfrt_cpus both;

	for (unsigned i = 0; i < VFRT_CPU_WORDS; i++)
		both.word[i] = a->word[i] & b->word[i];
	return both;
}

bool vfrt_cpus_empty(const struct vfrt_cpus *set)
{
	return vfrt_cpus_next(set, 0) == VIRTFLEX_MAX_CPUS;
}

bool vfrt_cpus_equal(const struct vfrt_cpus *a, const struct vfrt_cpus *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

unsigned vfrt_cpus_count(const struct vfrt_cpus *set)
{
	unsigned count = 0;

	for (unsigned i = 0; i < VFRT_CPU_WORDS; i++)
		count += (unsigned)__builtin_popcountll(set->word[i]);
	return count;
}

unsigned vfrt_cpus_next(const struct vfrt_cpus *set, unsigned from)
{
	while (from < VIRTFLEX_MAX_CPUS) {
		uint64_t rest = set->word[from / 64] >> (from % 64);

		if (rest)
			return from + (unsigned)__builtin_ctzll(rest);
		from = (from / 64 + 1) * 64;
	}
	return VIRTFLEX_MAX_CPUS;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool vfrt_cpus_parse_list(struct vfrt_cpus *set, const char *text)
{
	*set = (struct vfrt_cpus){ 0 };
	while (*text && *text != '\n') {
		unsigned long first, last;
		char *end;

		if (!is_digit(*text))
			goto invalid;
		first = last = strtoul(text, &end, 10);
		if (*end == '-') {
			if (!is_digit(end[1]))
				goto invalid;
			last = strtoul(end + 1, &end, 10);
		}
		if (last < first)
			goto invalid;
		for (; first <= last && first < VIRTFLEX_MAX_CPUS; first++)
			vfrt_cpus_add(set, (unsigned)first);
		text = end;
		if (*text == ',')
			text++;
		else if (*text && *text != '\n')
			goto invalid;
	}
	return true;

invalid:
	*set = (struct vfrt_cpus){ 0 };
	return false;
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool vfrt_cpus_parse_mask(struct vfrt_cpus *set, const char *text)
{
	size_t length = strcspn(text, "\n");
	unsigned cpu = 0;

	*set = (struct vfrt_cpus){ 0 };
	if (length == 0)
		return false;
	/* The last digit holds the lowest CPUs. */
	while (length-- > 0) {
		int value = hex_value(text[length]);

		if (value < 0 && text[length] == ',')
			continue;
		if (value < 0) {
			*set = (struct vfrt_cpus){ 0 };
			return false;
		}
		for (unsigned bit = 0; bit < 4; bit++, cpu++)
			if (value >> bit & 1)
				vfrt_cpus_add(set, cpu);
	}
	return true;
}

void vfrt_cpus_format(const struct vfrt_cpus *set, char *buffer, size_t size)
{
	size_t used = 0;
	unsigned first = vfrt_cpus_next(set, 0);

	if (size == 0)
		return;
	buffer[0] = '\0';
	while (first < VIRTFLEX_MAX_CPUS) {
		unsigned last = first;
		int length;

		while (vfrt_cpus_has(set, last + 1))
			last++;
		length = snprintf(buffer + used, size - used, last > first ? "%s%u-%u" : "%s%u",
				  used ? "," : "", first, last);
		if (length < 0 || (size_t)length >= size - used) {
			if (size >= sizeof "...")
				memcpy(buffer + size - sizeof "...", "...", sizeof "...");
			return;
		}
		used += (size_t)length;
		first = vfrt_cpus_next(set, last + 1);
	}
}
