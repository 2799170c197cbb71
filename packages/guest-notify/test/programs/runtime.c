/* SPDX-License-Identifier: Apache-2.0 */
/* Registers with the publisher whose directory is its argument, as topology_page.h
 * says, and acknowledges each line that it reads. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	char path[4096], line[64];
	int fd;

	if (argc != 2)
		return 2;
	snprintf(path, sizeof path, "%s/%d", argv[1], (int)getpid());
	fd = open(path, O_CREAT | O_RDWR, 0600);
	if (fd < 0 || fcntl(fd, F_SETLK, &lock) < 0)
		return 1;
	while (fgets(line, sizeof line, stdin))
		if (pwrite(fd, line, strlen(line), 0) < 0)
			return 1;
	return 0;
}
