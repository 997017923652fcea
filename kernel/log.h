/* The hypervisor's own messages: one line each, to the log port and, when it stops, to the screen. */
#pragma once

#include "kernel/plan.h"

/* Prints "rung: [name] " + text + newline; control characters become '?', so that no guest's text can look like another line. Without
 * a domain (NULL) there is no name. Formats: depriv/format.h. Any context, NMI excepted. */
void log_domain(const char *domain, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_line(...) log_domain(NULL, __VA_ARGS__)
#define log_info(...) (plan.quiet ? (void)0 : log_line(__VA_ARGS__)) /* progress, which option quiet leaves out */

/* Ring 0 found itself wrong: prints CPU, stack and build, stops every CPU, ends the machine with failure. */
void panic(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The machine or the configuration cannot be used: one line on serial and screen, then the machine ends with failure. */
void stop(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
