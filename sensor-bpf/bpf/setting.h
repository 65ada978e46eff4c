/* SPDX-License-Identifier: GPL-2.0-only */
/* Settings of the kernel (sysctl) that are written. The value is the kernel's own copy of what it will parse. */
#ifndef VEDETTE_SETTING_H
#define VEDETTE_SETTING_H

#include "filter.h"

/* A program of control groups, before a setting is read or written. It always lets it. */
static __always_inline int setting__asked(struct bpf_sysctl *ctx)
{
	struct task_struct *task = task__current();
	struct event_setting record = {};
	long len;

	if (!ctx->write || !filter__wants_this())
		return 1;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task);
	len = bpf_sysctl_get_name(ctx, record.name, sizeof(record.name), 0);
	record.name_len = len < 0 ? sizeof(record.name) - 1 : len;
	len = bpf_sysctl_get_new_value(ctx, record.value, sizeof(record.value));
	record.value_len = len < 0 ? sizeof(record.value) - 1 : len;
	emit(&record.header, EVENT_SETTING, EVENT_CLASS_BULK, sizeof(record));
	return 1;
}

#endif
