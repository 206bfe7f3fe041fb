/* SPDX-License-Identifier: MIT */
#include "ctl/cli.h"

int main(int argc, char **argv)
{
	return cli_main(argc, argv, stdout);
}
