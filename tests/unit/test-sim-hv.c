/* SPDX-License-Identifier: MIT */
/* The simulated hypervisor, through the API of the Xen libraries. */
#include <xenctrl.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#include "sim/guest.h"
#include "sim/hv.h"

#define LIMIT_MS 20000

static struct xensim *sim;
static struct sim_client_conn ctl;
static uint32_t domid;
static struct sim_guest guest;
static xengnttab_handle *xgt;

static uint32_t call(uint32_t op, uint32_t a, uint32_t b)
{
	struct sim_msg msg = { .op = op, .arg = { a, b } };
	uint32_t val = 0;

	assert_int_equal(sim_client_call(&ctl, &msg, &val, NULL), 0);
	return val;
}

static void become(uint32_t id)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", id);
	setenv("XENSIM_DOMID", text, 1);
}

static int setup(void **state)
{
	(void)state;
	sim = xensim_start();
	assert_non_null(sim);
	assert_int_equal(sim_client_open(&ctl, false), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sim_client_close(&ctl);
	xensim_stop(sim);
	return 0;
}

static int new_domain(void **state)
{
	(void)state;
	domid = call(SIM_OP_DOM_CREATE, 64, 1);
	become(domid);
	assert_int_equal(sim_guest_open(&guest, false), 0);
	become(0);
	xgt = xengnttab_open(NULL, 0);
	assert_non_null(xgt);
	return 0;
}

static int end_domain(void **state)
{
	struct sim_msg destroy = { .op = SIM_OP_DOM_DESTROY, .arg = { domid } };

	(void)state;
	xengnttab_close(xgt);
	sim_guest_close(&guest);
	sim_client_call(&ctl, &destroy, NULL, NULL);
	assert_int_equal(ctl.shm->nr_maps, 0);
	return 0;
}

static uint32_t grant_page(uint32_t *ret_gfn, bool readonly)
{
	uint32_t ref;

	assert_int_equal(sim_guest_alloc(&guest, 1, ret_gfn), 0);
	assert_int_equal(sim_guest_grant(&guest, 0, *ret_gfn, readonly, &ref), 0);
	return ref;
}

/* --- other processes --- */

struct child {
	pid_t pid;
	int ready[2]; /* a pipe: the child writes a byte when it is ready */
};

/* True in the child, which ends by itself or by child_end(). */
static bool child_begins(struct child *child)
{
	assert_int_equal(pipe(child->ready), 0);
	child->pid = fork();
	return child->pid == 0;
}

static bool child_is_ready(struct child *child)
{
	return write(child->ready[1], "x", 1) == 1;
}

static void child_wait_ready(struct child *child)
{
	char byte;

	assert_int_equal(read(child->ready[0], &byte, 1), 1);
}

/* Send this signal (0: none), and wait for the end. */
static void child_end(struct child *child, int signal)
{
	kill(child->pid, signal);
	waitpid(child->pid, NULL, 0);
	close(child->ready[0]);
	close(child->ready[1]);
}

/* --- grants --- */

static void a_mapped_page_is_the_guests_own_memory(void **state)
{
	uint32_t gfn, ref = grant_page(&gfn, false);
	char *page = xengnttab_map_grant_ref(xgt, domid, ref, PROT_READ | PROT_WRITE);

	(void)state;
	assert_non_null(page);
	strcpy(sim_guest_addr(&guest, gfn), "from the guest");
	assert_string_equal(page, "from the guest");
	strcpy(page, "from the backend");
	assert_string_equal(sim_guest_addr(&guest, gfn), "from the backend");
	assert_int_equal(xengnttab_unmap(xgt, page, 1), 0);
}

static void many_grants_are_mapped_in_order_as_one_range(void **state)
{
	uint32_t gfn[4], ref[4];
	char *range;

	(void)state;
	for (int i = 3; i >= 0; i--)
		ref[i] = grant_page(&gfn[i], false);
	range = xengnttab_map_domain_grant_refs(xgt, 4, domid, ref, PROT_READ);
	assert_non_null(range);
	for (unsigned int i = 0; i < 4; i++) {
		*(char *)sim_guest_addr(&guest, gfn[i]) = (char)('a' + i);
		assert_int_equal(range[i * 4096], 'a' + (int)i);
	}
	assert_int_equal(xengnttab_unmap(xgt, range, 3), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(xengnttab_unmap(xgt, range, 4), 0);
	assert_int_equal(xengnttab_unmap(xgt, range, 4), -1);
}

static void one_bad_reference_fails_the_whole_mapping(void **state)
{
	uint32_t gfn, ref[3];

	(void)state;
	ref[0] = grant_page(&gfn, false);
	ref[1] = 30000;
	ref[2] = grant_page(&gfn, false);
	assert_null(xengnttab_map_domain_grant_refs(xgt, 3, domid, ref, PROT_READ));
	assert_int_equal(errno, EINVAL);
	assert_false(sim_guest_grant_in_use(&guest, ref[0]));
	assert_int_equal(ctl.shm->nr_maps, 0);
}

static void a_grant_is_only_for_its_domain_and_its_mode(void **state)
{
	uint32_t gfn, ref, ro = grant_page(&gfn, true);

	(void)state;
	assert_null(xengnttab_map_grant_ref(xgt, domid, ro, PROT_READ | PROT_WRITE));
	assert_int_equal(sim_guest_grant(&guest, 5, gfn, false, &ref), 0);
	assert_null(xengnttab_map_grant_ref(xgt, domid, ref, PROT_READ));
	assert_null(xengnttab_map_grant_ref(xgt, 999, ro, PROT_READ));
	assert_int_equal(sim_guest_grant(&guest, 0, 64, false, &ref), 0);
	assert_null(xengnttab_map_grant_ref(xgt, domid, ref, PROT_READ));
}

static void a_mapped_grant_cannot_be_revoked(void **state)
{
	uint32_t gfn, ref = grant_page(&gfn, false);
	void *page = xengnttab_map_grant_ref(xgt, domid, ref, PROT_READ);

	(void)state;
	assert_non_null(page);
	assert_int_equal(sim_guest_revoke(&guest, ref), -EBUSY);
	assert_int_equal(xengnttab_unmap(xgt, page, 1), 0);
	assert_int_equal(sim_guest_revoke(&guest, ref), 0);
	assert_null(xengnttab_map_grant_ref(xgt, domid, ref, PROT_READ));
}

static xengnttab_grant_copy_segment_t copy_in(uint32_t ref, unsigned int offset, void *to,
					      unsigned int len)
{
	xengnttab_grant_copy_segment_t s = { .flags = GNTCOPY_source_gref, .status = 77 };

	s.source.foreign.ref = ref;
	s.source.foreign.domid = (uint16_t)domid;
	s.source.foreign.offset = (uint16_t)offset;
	s.dest.virt = to;
	s.len = (uint16_t)len;
	return s;
}

static xengnttab_grant_copy_segment_t copy_out(void *from, uint32_t ref, unsigned int offset,
					       unsigned int len)
{
	xengnttab_grant_copy_segment_t s = { .flags = GNTCOPY_dest_gref, .status = 77 };

	s.source.virt = from;
	s.dest.foreign.ref = ref;
	s.dest.foreign.domid = (uint16_t)domid;
	s.dest.foreign.offset = (uint16_t)offset;
	s.len = (uint16_t)len;
	return s;
}

static void a_copy_moves_bytes_and_each_segment_has_its_status(void **state)
{
	uint32_t gfn, ref = grant_page(&gfn, false), ro = grant_page(&gfn, true);
	char buf[16] = "hello", back[16] = { 0 };
	xengnttab_grant_copy_segment_t s[5];

	(void)state;
	s[0] = copy_out(buf, ref, 4090, 6);
	s[1] = copy_in(ref, 4090, back, 6);
	s[2] = copy_out(buf, ro, 0, 6);
	s[3] = copy_in(32768, 0, buf, 1);
	s[4] = copy_in(ref, 0, buf, 1);
	s[4].source.foreign.domid = 999;
	assert_int_equal(xengnttab_grant_copy(xgt, 5, s), 0);
	assert_int_equal(s[0].status, GNTST_okay);
	assert_int_equal(s[1].status, GNTST_okay);
	assert_int_equal(s[2].status, GNTST_general_error);
	assert_int_equal(s[3].status, GNTST_bad_gntref);
	assert_int_equal(s[4].status, GNTST_bad_domain);
	assert_string_equal(back, "hello");
	assert_false(sim_guest_grant_in_use(&guest, ref));
}

static void a_copy_that_leaves_the_granted_page_fails_as_a_whole(void **state)
{
	uint32_t gfn, ref = grant_page(&gfn, false);
	xengnttab_grant_copy_segment_t s[2];
	char buf[16] = "x";

	(void)state;
	s[0] = copy_out(buf, ref, 0, 1);
	s[1] = copy_out(buf, ref, 4090, 7);
	assert_int_equal(xengnttab_grant_copy(xgt, 2, s), -1);
	assert_int_equal(errno, EINVAL);
	s[1] = s[0];
	s[1].flags = 0;
	assert_int_equal(xengnttab_grant_copy(xgt, 2, s), -1);
	assert_int_equal(xengnttab_grant_copy(xgt, 0, s), 0);
}

static void an_empty_segment_is_fine_whatever_its_reference(void **state)
{
	char buf[1];
	xengnttab_grant_copy_segment_t s = copy_in(32000, 0, buf, 0);

	(void)state;
	assert_int_equal(xengnttab_grant_copy(xgt, 1, &s), 0);
	assert_int_equal(s.status, GNTST_okay);
}

static void a_killed_process_loses_its_mappings(void **state)
{
	uint32_t gfn, ref = grant_page(&gfn, false);
	struct child child;

	(void)state;
	if (child_begins(&child)) {
		xengnttab_handle *mine = xengnttab_open(NULL, 0);

		if (xengnttab_map_grant_ref(mine, domid, ref, PROT_READ) && child_is_ready(&child))
			pause();
		_exit(1);
	}
	child_wait_ready(&child);
	assert_true(sim_guest_grant_in_use(&guest, ref));
	child_end(&child, SIGKILL);
	for (int i = 0; i < LIMIT_MS && sim_guest_grant_in_use(&guest, ref); i++)
		usleep(1000);
	assert_false(sim_guest_grant_in_use(&guest, ref));
}

/* --- event channels --- */

struct channel {
	xenevtchn_handle *back, *front;
	int back_port, front_port;
};

static void channel_open(struct channel *ch)
{
	ch->back = xenevtchn_open(NULL, 0);
	become(domid);
	ch->front = xenevtchn_open(NULL, 0);
	become(0);
	assert_non_null(ch->back);
	assert_non_null(ch->front);
	assert_int_equal(fcntl(xenevtchn_fd(ch->back), F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(xenevtchn_fd(ch->front), F_SETFL, O_NONBLOCK), 0);
	ch->front_port = xenevtchn_bind_unbound_port(ch->front, 0);
	assert_true(ch->front_port > 0);
	ch->back_port = xenevtchn_bind_interdomain(ch->back, domid, (uint32_t)ch->front_port);
	assert_true(ch->back_port > 0);
}

static void channel_close(struct channel *ch)
{
	xenevtchn_close(ch->back);
	xenevtchn_close(ch->front);
}

static void wait_readable(xenevtchn_handle *xce)
{
	struct pollfd p = { .fd = xenevtchn_fd(xce), .events = POLLIN };

	assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
}

static void expect_port(xenevtchn_handle *xce, int port)
{
	uint32_t got[8];

	wait_readable(xce);
	assert_int_equal(read(xenevtchn_fd(xce), got, sizeof(got)), sizeof(got[0]));
	assert_int_equal(got[0], port);
}

static void expect_nothing(xenevtchn_handle *xce)
{
	uint32_t got;

	assert_int_equal(read(xenevtchn_fd(xce), &got, sizeof(got)), -1);
	assert_int_equal(errno, EAGAIN);
}

/* The hypervisor has seen every unmask that was written before. */
static void settle(void)
{
	/* One turn of the loop serves the sockets in any order, so make two round trips. */
	call(SIM_OP_REAP, 0, 0);
	call(SIM_OP_REAP, 0, 0);
}

static void binding_leaves_an_event_pending(void **state)
{
	struct channel ch;

	(void)state;
	channel_open(&ch);
	expect_port(ch.back, ch.back_port);
	expect_nothing(ch.front);
	channel_close(&ch);
}

static void an_event_is_delivered_once_until_it_is_unmasked(void **state)
{
	struct channel ch;
	uint32_t port;

	(void)state;
	channel_open(&ch);
	port = (uint32_t)ch.back_port;
	expect_port(ch.back, ch.back_port);
	assert_int_equal(xenevtchn_notify(ch.front, (uint32_t)ch.front_port), 0);
	assert_int_equal(xenevtchn_notify(ch.front, (uint32_t)ch.front_port), 0);
	settle();
	expect_nothing(ch.back);
	assert_int_equal(write(xenevtchn_fd(ch.back), &port, sizeof(port)), sizeof(port));
	expect_port(ch.back, ch.back_port);
	assert_int_equal(xenevtchn_unmask(ch.back, port), 0);
	settle();
	expect_nothing(ch.back);
	channel_close(&ch);
}

static void many_ports_are_read_and_unmasked_by_one_call(void **state)
{
	uint32_t got[64], front[20];
	struct channel ch;
	ssize_t n = 0;

	(void)state;
	channel_open(&ch);
	for (int i = 0; i < 20; i++) {
		front[i] = (uint32_t)xenevtchn_bind_unbound_port(ch.front, 0);
		assert_true(xenevtchn_bind_interdomain(ch.back, domid, front[i]) > 0);
	}
	n = read(xenevtchn_fd(ch.back), got, sizeof(got));
	assert_int_equal(n, 21 * 4);
	assert_int_equal(write(xenevtchn_fd(ch.back), got, (size_t)n), n);
	for (int i = 0; i < 20; i++)
		assert_int_equal(xenevtchn_notify(ch.front, front[i]), 0);
	for (size_t have = 0; have < 20;) {
		wait_readable(ch.back);
		n = read(xenevtchn_fd(ch.back), got, sizeof(got));
		assert_true(n > 0 && n % 4 == 0);
		have += (size_t)n / 4;
	}
	channel_close(&ch);
}

static void a_port_can_be_bound_again_after_the_backend_died(void **state)
{
	struct channel ch;
	xenevtchn_handle *next;
	int port;

	(void)state;
	channel_open(&ch);
	assert_int_equal(xenevtchn_bind_interdomain(ch.back, domid, (uint32_t)ch.front_port), -1);
	assert_int_equal(errno, EINVAL);
	xenevtchn_close(ch.back);
	assert_int_equal(xenevtchn_notify(ch.front, (uint32_t)ch.front_port), 0);
	next = xenevtchn_open(NULL, 0);
	port = xenevtchn_bind_interdomain(next, domid, (uint32_t)ch.front_port);
	assert_true(port > 0);
	expect_port(next, port);
	assert_int_equal(xenevtchn_notify(next, (uint32_t)port), 0);
	expect_port(ch.front, ch.front_port);
	xenevtchn_close(next);
	xenevtchn_close(ch.front);
}

static void foreign_ports_are_refused(void **state)
{
	struct channel ch;
	xenevtchn_handle *other = xenevtchn_open(NULL, 0);

	(void)state;
	channel_open(&ch);
	assert_int_equal(xenevtchn_notify(other, (uint32_t)ch.back_port), -1);
	assert_int_equal(errno, ENOTCONN);
	assert_int_equal(xenevtchn_unbind(other, (uint32_t)ch.back_port), -1);
	assert_int_equal(xenevtchn_unbind(ch.back, (uint32_t)ch.back_port), 0);
	assert_int_equal(xenevtchn_bind_interdomain(other, domid, 1023), -1);
	xenevtchn_close(other);
	channel_close(&ch);
}

static void a_restricted_handle_binds_ports_of_its_domain_only(void **state)
{
	struct channel ch;
	int port;

	(void)state;
	channel_open(&ch);
	port = xenevtchn_bind_unbound_port(ch.front, 0);
	assert_int_equal(xenevtchn_restrict(ch.back, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(xenevtchn_restrict(ch.back, (domid_t)domid), 0);
	assert_true(xenevtchn_bind_interdomain(ch.back, domid, (uint32_t)port) > 0);
	assert_int_equal(xenevtchn_bind_interdomain(ch.back, domid + 1, 1), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(xenevtchn_bind_unbound_port(ch.back, domid), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(xenevtchn_bind_virq(ch.back, 0), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(xenevtchn_restrict(ch.back, (domid_t)domid), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(xenevtchn_notify(ch.back, (uint32_t)ch.back_port), 0);
	channel_close(&ch);
}

/* --- processes --- */

/* From here on no other system calls than those that README.md promises; brk() is malloc()'s. */
static bool confine(void)
{
	static const unsigned int allowed[] = {
		SYS_futex, SYS_sendmsg, SYS_recvmsg, SYS_sendto, SYS_recvfrom,   SYS_mmap,
		SYS_brk,   SYS_munmap,  SYS_close,   SYS_read,   SYS_exit_group,
	};
	enum { NR = sizeof(allowed) / sizeof(allowed[0]) };
	struct sock_filter code[2 * NR + 2];
	struct sock_fprog filter = { .len = 2 * NR + 2, .filter = code };
	struct sock_filter *at = code;

	*at++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
	for (unsigned int i = 0; i < NR; i++) {
		*at++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1);
		*at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	*at = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	filter.len = 0; /* the sanitizer itself needs more */
#endif
	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       (!filter.len || !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
}

/* A device's life in a process that has only its handles left. Returns the step at which it failed, or 0. */
static int confined_life(int remote_port, uint32_t ref)
{
	xengnttab_handle *grants = xengnttab_open(NULL, 0);
	xenevtchn_handle *events = xenevtchn_open(NULL, 0);
	xengnttab_grant_copy_segment_t copy;
	char text[8], *page;
	int port;

	if (!grants || !events || !confine())
		return 1;
	page = xengnttab_map_grant_ref(grants, domid, ref, PROT_READ | PROT_WRITE);
	if (!page)
		return 2;
	strcpy(page, "written");
	copy = copy_in(ref, 0, text, sizeof(text));
	if (xengnttab_grant_copy(grants, 1, &copy) || copy.status || strcmp(text, "written"))
		return 3;
	port = xenevtchn_bind_interdomain(events, domid, (uint32_t)remote_port);
	if (port <= 0 || xenevtchn_pending(events) != port)
		return 4;
	if (xenevtchn_unmask(events, (uint32_t)port) || xenevtchn_notify(events, (uint32_t)port))
		return 5;
	if (xenevtchn_restrict(events, (domid_t)domid))
		return 6;
	if (xenevtchn_unbind(events, (uint32_t)port) || xengnttab_unmap(grants, page, 1))
		return 7;
	return 0;
}

static void a_process_without_rights_goes_on_with_its_handles(void **state)
{
	uint32_t gfn, ref = grant_page(&gfn, false);
	struct channel ch;
	int port, status;
	pid_t pid;

	(void)state;
	channel_open(&ch);
	port = xenevtchn_bind_unbound_port(ch.front, 0);
	pid = fork();
	if (!pid)
		_exit(confined_life(port, ref));
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_string_equal(sim_guest_addr(&guest, gfn), "written");
	wait_readable(ch.front);
	assert_int_equal(xenevtchn_pending(ch.front), port);
	channel_close(&ch);
}

/* The owner of a handle, and what it holds, as `xensim-xl handles` shows it. */
static const struct sim_client *handle_of(pid_t pid, bool events)
{
	for (uint32_t i = 1; i < SIM_MAX_CLIENTS; i++) {
		const struct sim_client *c = &ctl.shm->client[i];

		if (c->used && c->pid == pid && (events ? c->has_events : c->has_grants))
			return c;
	}
	return NULL;
}

static void the_death_of_one_backend_process_is_not_another_ones(void **state)
{
	uint32_t gfn, ref = grant_page(&gfn, false);
	char *page = xengnttab_map_grant_ref(xgt, domid, ref, PROT_READ);
	struct child child;
	struct channel ch;
	int port;

	(void)state;
	channel_open(&ch);
	port = xenevtchn_bind_unbound_port(ch.front, 0);
	if (child_begins(&child)) {
		xengnttab_handle *grants = xengnttab_open(NULL, 0);
		xenevtchn_handle *events = xenevtchn_open(NULL, 0);

		if (xengnttab_map_grant_ref(grants, domid, ref, PROT_READ) &&
		    xenevtchn_bind_interdomain(events, domid, (uint32_t)port) > 0 &&
		    child_is_ready(&child))
			pause();
		_exit(1);
	}
	child_wait_ready(&child);
	assert_non_null(handle_of(child.pid, true));
	assert_non_null(handle_of(child.pid, false));
	assert_int_equal(ctl.shm->nr_maps, 2);
	child_end(&child, SIGKILL);
	for (int i = 0; i < LIMIT_MS && (handle_of(child.pid, true) || handle_of(child.pid, false));
	     i++)
		usleep(1000);
	assert_int_equal(ctl.shm->nr_maps, 1);
	assert_true(sim_guest_grant_in_use(&guest, ref));
	assert_int_equal(xenevtchn_notify(ch.back, (uint32_t)ch.back_port), 0);
	wait_readable(ch.front);
	assert_int_equal(xengnttab_unmap(xgt, page, 1), 0);
	channel_close(&ch);
}

/* --- locks --- */

/* What is left of a lock when its holder dies between the release and the wake-up, and another takes and releases it. */
static void release_without_a_wake_up(pthread_mutex_t *lock)
{
	while (!(__atomic_load_n(&lock->__data.__lock, __ATOMIC_ACQUIRE) & (int)FUTEX_WAITERS))
		usleep(1000);
	usleep(10000); /* it sleeps, most often */
	__atomic_store_n(&lock->__data.__lock, 0, __ATOMIC_RELEASE);
}

static void a_lock_whose_wake_up_was_lost_is_taken(void **state)
{
	pthread_mutex_t *lock = &ctl.shm->lock;
	struct child child;

	(void)state;
	if (child_begins(&child)) {
		sim_lock(lock);
		if (child_is_ready(&child))
			release_without_a_wake_up(lock);
		_exit(0);
	}
	child_wait_ready(&child);
	alarm(LIMIT_MS / 1000);
	sim_lock(lock);
	sim_unlock(lock);
	alarm(0);
	child_end(&child, 0);
}

/* --- domains --- */

static void domain_info_tells_who_is_dying_and_who_shut_down(void **state)
{
	xc_interface *xch = xc_interface_open(NULL, NULL, 0);
	xc_domaininfo_t list[8];
	uint32_t gfn, ref = grant_page(&gfn, false);
	void *page = xengnttab_map_grant_ref(xgt, domid, ref, PROT_READ);

	(void)state;
	assert_int_equal(xc_domain_getinfolist(xch, 0, 8, list), 2);
	assert_int_equal(list[0].domain, 0);
	assert_int_equal(list[1].domain, domid);
	assert_false(list[1].flags & XEN_DOMINF_dying);
	call(SIM_OP_DOM_SHUTDOWN, domid, SHUTDOWN_crash);
	assert_int_equal(xc_domain_getinfolist(xch, domid, 1, list), 1);
	assert_true(list[0].flags & XEN_DOMINF_shutdown && !(list[0].flags & XEN_DOMINF_dying));
	assert_int_equal(list[0].flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask,
			 SHUTDOWN_crash);
	call(SIM_OP_DOM_DESTROY, domid, 0);
	assert_int_equal(xc_domain_getinfolist(xch, domid, 1, list), 1);
	assert_true(list[0].flags &
		    XEN_DOMINF_dying); /* a zombie for as long as a page is mapped */
	assert_int_equal(xengnttab_unmap(xgt, page, 1), 0);
	assert_int_equal(xc_domain_getinfolist(xch, domid, 1, list), 0);
	xc_interface_close(xch);
}

#define WITH_DOMAIN(test) cmocka_unit_test_setup_teardown(test, new_domain, end_domain)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DOMAIN(a_mapped_page_is_the_guests_own_memory),
		WITH_DOMAIN(many_grants_are_mapped_in_order_as_one_range),
		WITH_DOMAIN(one_bad_reference_fails_the_whole_mapping),
		WITH_DOMAIN(a_grant_is_only_for_its_domain_and_its_mode),
		WITH_DOMAIN(a_mapped_grant_cannot_be_revoked),
		WITH_DOMAIN(a_copy_moves_bytes_and_each_segment_has_its_status),
		WITH_DOMAIN(a_copy_that_leaves_the_granted_page_fails_as_a_whole),
		WITH_DOMAIN(an_empty_segment_is_fine_whatever_its_reference),
		WITH_DOMAIN(a_killed_process_loses_its_mappings),
		WITH_DOMAIN(binding_leaves_an_event_pending),
		WITH_DOMAIN(an_event_is_delivered_once_until_it_is_unmasked),
		WITH_DOMAIN(many_ports_are_read_and_unmasked_by_one_call),
		WITH_DOMAIN(a_port_can_be_bound_again_after_the_backend_died),
		WITH_DOMAIN(foreign_ports_are_refused),
		WITH_DOMAIN(a_restricted_handle_binds_ports_of_its_domain_only),
		WITH_DOMAIN(a_process_without_rights_goes_on_with_its_handles),
		WITH_DOMAIN(the_death_of_one_backend_process_is_not_another_ones),
		WITH_DOMAIN(a_lock_whose_wake_up_was_lost_is_taken),
		WITH_DOMAIN(domain_info_tells_who_is_dying_and_who_shut_down),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
