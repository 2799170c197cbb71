// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A QEMU TCG plugin (API version 1) that counts the memory accesses of the
 * code that it is told to look at by the node of the CPU and the node of the
 * memory. options.h says what it takes, control.h how it is asked.
 *
 * A guest program may switch it as well, by an 8-byte no-operation that any
 * privilege level may execute and that does nothing on any other machine:
 *
 *     0f 1f 84 00 CMD 00 4d 4e     nopl 0x4e4d00CMD(%rax,%rax,1)
 *
 * where CMD 1 is reset and on, 2 is off, and 3 chooses the guest whose vCPU
 * executes it, as far as that vCPU goes: a process does it on each of them.
 */
#include "control.h"

#include <stdio.h>
#include <string.h>
#include <qemu-plugin.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

#define SWITCH_SIZE 8
#define SWITCH_ON 1
#define SWITCH_OFF 2
#define SWITCH_CHOOSE 3

static struct meter meter;

static void on_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address,
		      void *data)
{
	const unsigned int kind = qemu_plugin_mem_is_store(info) ? METER_STORE : METER_LOAD;
	struct qemu_plugin_hwaddr *physical;

	(void)data;
	if (!meter.on || vcpu >= meter.options.vcpus ||
	    !guests_counted(&meter.guests, vcpu) || !meter_sampled(&meter, address) ||
	    meter_filtered(&meter, vcpu, kind, address))
		return;
	physical = qemu_plugin_get_hwaddr(info, address);
	if (!physical)
		meter_count_unresolved(&meter, vcpu);
	else if (qemu_plugin_hwaddr_is_io(physical))
		meter_count_io(&meter, vcpu);
	else
		meter_count(&meter, vcpu, kind, address, qemu_plugin_hwaddr_phys_addr(physical));
}

static void on_switch(unsigned int vcpu, void *data)
{
	switch ((uintptr_t)data) {
	case SWITCH_ON:
		meter_command(&meter, COMMAND_RESET);
		meter_command(&meter, COMMAND_ON);
		break;
	case SWITCH_OFF:
		meter_command(&meter, COMMAND_OFF);
		break;
	case SWITCH_CHOOSE:
		if (vcpu < METER_MAX_VCPUS && !guests_choose(&meter.guests, vcpu))
			fprintf(stderr, "numa-meter: more than %u vCPUs are chosen\n",
				GUESTS_MAX_CHOSEN);
		break;
	}
}

static void on_next_guest(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address,
			  void *data)
{
	(void)info;
	(void)data;
	if (vcpu < METER_MAX_VCPUS)
		guests_next(&meter.guests, vcpu, address);
}

static void on_vmrun(unsigned int vcpu, void *data)
{
	(void)data;
	if (vcpu < METER_MAX_VCPUS)
		guests_enter(&meter.guests, vcpu);
}

static void on_stgi(unsigned int vcpu, void *data)
{
	(void)data;
	if (vcpu < METER_MAX_VCPUS)
		guests_leave(&meter.guests, vcpu);
}

static bool is_code(const struct qemu_plugin_insn *insn, const char *code, size_t size)
{
	return qemu_plugin_insn_size(insn) >= size &&
	       !memcmp(qemu_plugin_insn_data(insn), code, size);
}

/* Xen on its way into a guest: mov VCPU_svm_vmcb_pa(%rbx),%rax; pop %rbx; pop %r11. */
static bool loads_next_guest(struct qemu_plugin_tb *block, size_t i)
{
	return i + 2 < qemu_plugin_tb_n_insns(block) &&
	       is_code(qemu_plugin_tb_get_insn(block, i), "\x48\x8b\x83", 3) &&
	       is_code(qemu_plugin_tb_get_insn(block, i + 1), "\x5b", 1) &&
	       is_code(qemu_plugin_tb_get_insn(block, i + 2), "\x41\x5b", 2);
}

/* RW for what only loads: QEMU 7.2 never calls who asks for loads alone. */
static void watch_guests(struct qemu_plugin_tb *block, size_t i)
{
	struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);

	if (loads_next_guest(block, i))
		qemu_plugin_register_vcpu_mem_cb(insn, on_next_guest, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW, NULL);
	else if (is_code(insn, "\x0f\x01\xd8", 3))
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_vmrun, QEMU_PLUGIN_CB_NO_REGS,
						       NULL);
	else if (is_code(insn, "\x0f\x01\xdc", 3))
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_stgi, QEMU_PLUGIN_CB_NO_REGS,
						       NULL);
}

/* The switch's command, or 0 for any other instruction. */
static unsigned int switch_command(struct qemu_plugin_insn *insn)
{
	const uint8_t *code = qemu_plugin_insn_data(insn);

	if (qemu_plugin_insn_size(insn) != SWITCH_SIZE || memcmp(code, "\x0f\x1f\x84\x00", 4) ||
	    memcmp(code + 5, "\x00\x4d\x4e", 3))
		return 0;
	return code[4] >= SWITCH_ON && code[4] <= SWITCH_CHOOSE ? code[4] : 0;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
	const uint64_t low = meter.options.code_low, high = meter.options.code_high;

	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
		const unsigned int command = switch_command(insn);

		if (command)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_switch,
							       QEMU_PLUGIN_CB_NO_REGS,
							       (void *)(uintptr_t)command);
		if (meter.options.chosen_only)
			watch_guests(block, i);
		if (qemu_plugin_insn_vaddr(insn) - low < high - low)
			qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS,
							 QEMU_PLUGIN_MEM_RW, NULL);
	}
}

/*
 * Threads are started only once the machine is made: QEMU may still fork to
 * become a daemon while it loads its plugins.
 */
static void on_vcpu(qemu_plugin_id_t id, unsigned int vcpu)
{
	int rc;

	(void)id;
	if (vcpu)
		return;
	rc = control_start(&meter);
	if (rc)
		fprintf(stderr, "numa-meter: socket %s: %s\n", meter.options.socket, strerror(rc));
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info,
					   int argc, char **argv)
{
	static struct meter_options options;
	char error[160];

	if (!info->system_emulation) {
		fprintf(stderr, "numa-meter: only for a whole machine\n");
		return -1;
	}
	if (!meter_options_parse(&options, argc, argv, error, sizeof(error))) {
		fprintf(stderr, "numa-meter: %s\n", error);
		return -1;
	}
	/* QEMU frees argv when this returns. */
	options.socket = strdup(options.socket);
	if (!options.socket || !meter_init(&meter, &options)) {
		fprintf(stderr, "numa-meter: out of memory\n");
		return -1;
	}
	qemu_plugin_register_vcpu_init_cb(id, on_vcpu);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
