/* SPDX-License-Identifier: MIT */
/* simidle - a guest with many disks that it connects and then leaves alone. */
#include "simblk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#define STEP 16u /* between device numbers, as from xvda to xvdb */

static const char usage[] =
	"usage: simidle DOMID DEVID COUNT\n"
	"Connects the disks DEVID, DEVID+16, ...: COUNT of them, prints \"idle\", and stays until\n"
	"standard input ends.\n";

/* All disks share the process's view of the machine. */
static void connect_one(const struct blk_front *machine, uint32_t devid)
{
	struct blk_front *f = malloc(sizeof(*f)); /* kept as long as we live */
	int err;

	if (!f)
		sim_die("no memory");
	*f = *machine;
	f->opt.devid = devid;
	err = bus_open(&f->bus, "vbd", devid);
	if (!err)
		err = blk_connect(f);
	if (err)
		sim_die("vbd %u: %s", devid, strerror(-err));
	bus_close(&f->bus); /* a thousand idle connections would be what is measured */
}

int main(int argc, char **argv)
{
	static struct blk_front machine = {
		.opt = { .queues = 1, .segs = BLK_DIRECT_SEGS, .depth = 1 }
	};
	uint32_t first, count;
	char byte;

	if (argc != 4) {
		fputs(usage, stderr);
		return 2;
	}
	machine.opt.domid = sim_number(usage, argv[1], 1, 0x7fef);
	first = sim_number(usage, argv[2], 0, UINT32_MAX / 2);
	count = sim_number(usage, argv[3], 1, 1000);
	bus_become(machine.opt.domid, &machine.guest, &machine.xce);
	for (uint32_t i = 0; i < count; i++)
		connect_one(&machine, first + i * STEP);
	puts("idle");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
