/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "blkback/uring.h"

#ifdef HAVE_LIBURING
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_FILES  128u /* each with its lock file behind it */
#define MAX_PIECES 64u

struct uring {
	struct io_uring ring;
	bool file[MAX_FILES]; /* is in use */
	bool piece[MAX_PIECES];
	bool refused; /* the kernel refused a piece: it is not asked again before the buffers rest */
};

/* Debian 12's liburing.so does not have the functions for these two calls. */
static int change_ring(struct io_uring *ring, unsigned int how, void *arg, unsigned int nr)
{
	return syscall(SYS_io_uring_register, ring->ring_fd, how, arg, nr) < 0 ? -errno : 0;
}

/* From now on the kernel refuses all that is not here. */
static int restrict_ring(struct io_uring *ring)
{
	struct io_uring_restriction allowed[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ_FIXED },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITE_FIXED },
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_REGISTER_FILES_UPDATE },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_REGISTER_BUFFERS_UPDATE },
	};

	return change_ring(ring, IORING_REGISTER_RESTRICTIONS, allowed,
			   sizeof(allowed) / sizeof(allowed[0]));
}

static int set_up(struct io_uring *ring)
{
	int err = io_uring_register_files_sparse(ring, 2 * MAX_FILES);

	if (!err)
		err = io_uring_register_buffers_sparse(ring, MAX_PIECES);
	if (!err)
		err = restrict_ring(ring);
	if (!err)
		err = change_ring(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	return err;
}

struct uring *uring_open(unsigned int nr_places)
{
	struct uring *uring = calloc(1, sizeof(*uring));
	/* SUBMIT_ALL: a bad request does not hold up those behind it. COOP_TASKRUN: completions interrupt nothing. */
	int err = uring ? io_uring_queue_init(nr_places, &uring->ring,
					      IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL |
						      IORING_SETUP_COOP_TASKRUN)
			: -ENOMEM;

	if (!err && !set_up(&uring->ring))
		return uring;
	if (!err)
		io_uring_queue_exit(&uring->ring);
	free(uring);
	return NULL;
}

struct uring *uring_close(struct uring *uring)
{
	if (!uring)
		return NULL;
	io_uring_queue_exit(&uring->ring);
	free(uring);
	return NULL;
}

int uring_fd(const struct uring *uring)
{
	return uring->ring.ring_fd;
}

int uring_add_file(struct uring *uring, int fd, int lock_fd)
{
	int fds[2] = { fd, lock_fd };
	unsigned int i = 0;

	while (i < MAX_FILES && uring->file[i])
		i++;
	if (i == MAX_FILES || io_uring_register_files_update(&uring->ring, 2 * i, fds, 2) != 2)
		return URING_NO_FILE;
	uring->file[i] = true;
	return (int)i;
}

void uring_remove_file(struct uring *uring, int file)
{
	int none[2] = { -1, -1 };

	if (file == URING_NO_FILE)
		return;
	io_uring_register_files_update(&uring->ring, 2 * (unsigned int)file, none, 2);
	uring->file[file] = false;
}

static bool update_piece(struct uring *uring, unsigned int piece, void *from, size_t bytes)
{
	struct iovec vec = { from, bytes };

	return io_uring_register_buffers_update_tag(&uring->ring, piece, &vec, NULL, 1) == 1;
}

bool uring_add_piece(struct uring *uring, void *arena, unsigned int piece)
{
	if (piece >= MAX_PIECES || uring->refused)
		return false;
	if (!uring->piece[piece])
		uring->piece[piece] = update_piece(
			uring, piece, (char *)arena + piece * URING_PIECE_BYTES, URING_PIECE_BYTES);
	uring->refused = !uring->piece[piece];
	return uring->piece[piece];
}

void uring_remove_pieces(struct uring *uring)
{
	for (unsigned int i = 0; i < MAX_PIECES; i++)
		if (uring->piece[i])
			uring->piece[i] = !update_piece(uring, i, NULL, 0);
	uring->refused = false;
}

bool uring_queue(struct uring *uring, struct iocb *iocb, int file, unsigned int piece)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

	if (!sqe)
		return false;
	io_uring_prep_rw(iocb->aio_lio_opcode == IO_CMD_PREAD ? IORING_OP_READ_FIXED
							      : IORING_OP_WRITE_FIXED,
			 sqe, 2 * file, iocb->u.c.buf, (unsigned int)iocb->u.c.nbytes,
			 (uint64_t)iocb->u.c.offset);
	sqe->buf_index = (uint16_t)piece;
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->rw_flags = (int)iocb->aio_rw_flags;
	io_uring_sqe_set_data(sqe, iocb->data);
	return true;
}

bool uring_submit(struct uring *uring)
{
	int ret;

	do
		ret = io_uring_sq_ready(&uring->ring) ? io_uring_submit(&uring->ring) : 0;
	while (ret > 0 || ret == -EINTR);
	return io_uring_sq_ready(&uring->ring) == 0;
}

bool uring_take(struct uring *uring, void **ret_data, long *ret_result)
{
	struct io_uring_cqe *cqe;
	unsigned int head;

	io_uring_for_each_cqe(&uring->ring, head, cqe)
	{
		*ret_data = io_uring_cqe_get_data(cqe);
		*ret_result = cqe->res;
		io_uring_cqe_seen(&uring->ring, cqe);
		return true;
	}
	return false;
}
#else
/* Without liburing there is no ring, and the functions below are not called. */
struct uring *uring_open(unsigned int nr_places)
{
	(void)nr_places;
	return NULL;
}

struct uring *uring_close(struct uring *uring)
{
	return uring;
}

int uring_fd(const struct uring *uring)
{
	(void)uring;
	return -1;
}

int uring_add_file(struct uring *uring, int fd, int lock_fd)
{
	(void)uring;
	(void)fd;
	(void)lock_fd;
	return URING_NO_FILE;
}

void uring_remove_file(struct uring *uring, int file)
{
	(void)uring;
	(void)file;
}

bool uring_add_piece(struct uring *uring, void *arena, unsigned int piece)
{
	(void)uring;
	(void)arena;
	(void)piece;
	return false;
}

void uring_remove_pieces(struct uring *uring)
{
	(void)uring;
}

bool uring_queue(struct uring *uring, struct iocb *iocb, int file, unsigned int piece)
{
	(void)uring;
	(void)iocb;
	(void)file;
	(void)piece;
	return false;
}

bool uring_submit(struct uring *uring)
{
	(void)uring;
	return true;
}

bool uring_take(struct uring *uring, void **ret_data, long *ret_result)
{
	(void)uring;
	(void)ret_data;
	(void)ret_result;
	return false;
}
#endif
