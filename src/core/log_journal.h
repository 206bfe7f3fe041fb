/* SPDX-License-Identifier: MIT */
/*
 * Lines for systemd's journal, with fields: PRIORITY; for a line about a device PVBACKD_DEVICE ("vbd 7/51712") and
 * PVBACKD_DOMID ("7"); and PVBACKD_NOTICE, the name of what it tells (log_vnotice()).
 */
#ifndef PVB_LOG_JOURNAL_H
#define PVB_LOG_JOURNAL_H

#include "core/log.h"

/* Whether what is written to stderr goes to the journal: $JOURNAL_STREAM says which file that is. */
bool log_journal_is_stderr(void);
/* For log_set_sink(). A line that the journal refuses goes to stderr, with its priority as <N> in front. */
void log_journal_send(enum log_level level, const char *text, size_t who_len, const char *notice);

#endif
