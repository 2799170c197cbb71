// SPDX-License-Identifier: GPL-2.0-or-later
#include "meter.h"

#include <inttypes.h>
#include <string.h>

static unsigned int log2_of(unsigned int power)
{
	return (unsigned int)__builtin_ctz(power);
}

static void increment(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

bool meter_init(struct meter *meter, const struct meter_options *options)
{
	memset(meter, 0, sizeof(*meter));
	meter->options = *options;
	meter->on = options->start;
	meter->epoch = 1;
	meter->line_shift = log2_of(options->line_size);
	meter->sample_bits = log2_of(options->sample);
	memory_map_init(&meter->map, options);
	guests_init(&meter->guests, options->chosen_only);
	for (unsigned int i = 0; i < options->vcpus; i++) {
		/* A sample of the lines sees a cache that is smaller alike. */
		if (!cache_init(&meter->vcpu[i].cache, options->cache_size / options->sample,
				options->cache_ways, options->line_size)) {
			meter_free(meter);
			return false;
		}
	}
	return true;
}

void meter_free(struct meter *meter)
{
	for (unsigned int i = 0; i < METER_MAX_VCPUS; i++)
		cache_free(&meter->vcpu[i].cache);
}

bool meter_sampled(const struct meter *meter, uint64_t virtual_address)
{
	return !meter->sample_bits ||
	       !(line_hash(virtual_address >> meter->line_shift) >> (64 - meter->sample_bits));
}

static struct filter_entry *filter_entry(struct meter *meter, unsigned int vcpu, uint64_t line)
{
	return &meter->vcpu[vcpu].filter[(line_hash(line) >> 16) % FILTER_LINES];
}

bool meter_filtered(struct meter *meter, unsigned int vcpu, unsigned int kind,
		    uint64_t virtual_address)
{
	const uint64_t line = virtual_address >> meter->line_shift;
	const struct filter_entry *entry = filter_entry(meter, vcpu, line);

	if (entry->line != line || entry->epoch != meter->epoch)
		return false;
	increment(&meter->vcpu[vcpu].now.accesses[kind][entry->node]);
	return true;
}

void meter_count(struct meter *meter, unsigned int vcpu, unsigned int kind,
		 uint64_t virtual_address, uint64_t physical_address)
{
	struct meter_vcpu *v = &meter->vcpu[vcpu];
	const uint64_t line = virtual_address >> meter->line_shift;
	const unsigned int node = memory_map_node(&meter->map, physical_address);

	increment(&v->now.accesses[kind][node]);
	if (cache_miss(&v->cache, physical_address >> meter->line_shift))
		increment(&v->now.misses[kind][node]);
	*filter_entry(meter, vcpu, line) = (struct filter_entry){
		.line = line,
		.node = node,
		.epoch = meter->epoch,
	};
}

void meter_count_io(struct meter *meter, unsigned int vcpu)
{
	increment(&meter->vcpu[vcpu].now.io);
}

void meter_count_unresolved(struct meter *meter, unsigned int vcpu)
{
	increment(&meter->vcpu[vcpu].now.unresolved);
}

static uint64_t since_reset(const uint64_t *now, const uint64_t *base)
{
	return __atomic_load_n(now, __ATOMIC_RELAXED) - *base;
}

static void print_row(const struct meter *meter, FILE *out, const char *name,
		      const uint64_t *now, const uint64_t *base)
{
	fprintf(out, ",\"%s\":[", name);
	for (unsigned int i = 0; i <= meter->options.nodes; i++)
		fprintf(out, "%s%" PRIu64, i ? "," : "", since_reset(&now[i], &base[i]));
	fputc(']', out);
}

void meter_print(struct meter *meter, FILE *out)
{
	fprintf(out, "{\"on\":%s,\"sample\":%u,\"line\":%u,\"chosen\":",
		meter->on ? "true" : "false", meter->options.sample, meter->options.line_size);
	if (meter->options.chosen_only)
		fprintf(out, "%u", meter->guests.count);
	else
		fputs("null", out);
	fputs(",\"vcpus\":[", out);
	for (unsigned int i = 0; i < meter->options.vcpus; i++) {
		const struct counts *now = &meter->vcpu[i].now, *base = &meter->vcpu[i].base;

		fprintf(out, "%s{\"node\":%u", i ? "," : "", meter->options.cpu_node[i]);
		print_row(meter, out, "loads", now->accesses[METER_LOAD], base->accesses[METER_LOAD]);
		print_row(meter, out, "stores", now->accesses[METER_STORE],
			  base->accesses[METER_STORE]);
		print_row(meter, out, "loadMisses", now->misses[METER_LOAD],
			  base->misses[METER_LOAD]);
		print_row(meter, out, "storeMisses", now->misses[METER_STORE],
			  base->misses[METER_STORE]);
		fprintf(out, ",\"io\":%" PRIu64 ",\"unresolved\":%" PRIu64 "}",
			since_reset(&now->io, &base->io),
			since_reset(&now->unresolved, &base->unresolved));
	}
	fputs("]}\n", out);
}

void meter_reset(struct meter *meter)
{
	for (unsigned int i = 0; i < meter->options.vcpus; i++) {
		const uint64_t *now = (const uint64_t *)&meter->vcpu[i].now;
		uint64_t *base = (uint64_t *)&meter->vcpu[i].base;

		for (size_t k = 0; k < sizeof(struct counts) / sizeof(uint64_t); k++)
			base[k] = __atomic_load_n(&now[k], __ATOMIC_RELAXED);
	}
	meter->epoch++;
}
