/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target over the files of a corpus: REPLAY DIRECTORY... */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"

enum { INPUT_BYTES = 1 << 20 };

static int run_file(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = malloc(INPUT_BYTES), *exact;
	size_t size;

	if (!file || !data) {
		perror(path);
		return 1;
	}
	size = fread(data, 1, INPUT_BYTES, file);
	fclose(file);
	exact = malloc(size ? size : 1); /* so that a sanitizer sees a read beyond the end */
	if (!exact)
		return 1;
	memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	free(data);
	return 0;
}

static int run_dir(const char *dir, unsigned int *nr)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	char path[4096];
	int bad = 0;

	if (!d) {
		perror(dir);
		return 1;
	}
	while ((entry = readdir(d))) {
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		bad |= run_file(path);
		++*nr;
	}
	closedir(d);
	return bad;
}

int main(int argc, char **argv)
{
	unsigned int nr = 0;
	int bad = 0;

	for (int i = 1; i < argc; i++)
		bad |= run_dir(argv[i], &nr);
	printf("%u inputs\n", nr);
	return bad || nr == 0;
}
