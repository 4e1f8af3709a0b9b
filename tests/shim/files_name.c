// SPDX-License-Identifier: MIT
/* stat(2), access(2), rename(2), unlink(2), link(2) */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files.h"

static void say_stat(const char *what, int outcome_of, const struct stat *status)
{
	time_t age = time(NULL) - status->st_mtime;

	if (outcome_of)
		outcome(what, outcome_of);
	else
		say(what, "a file %d, %lld bytes, links %d, of now %d", S_ISREG(status->st_mode),
		    (long long)status->st_size, (int)status->st_nlink, age >= -1 && age < 100);
}

static void knowing(void)
{
	struct statx more;
	struct stat status;
	int fd = make("a", "0123456789", O_RDWR);

	say_stat("fstat", fstat(fd, &status), &status);
	say_stat("stat", stat(at("a"), &status), &status);
	say_stat("lstat", lstat(at("a"), &status), &status);
	say_stat("fstatat", fstatat(AT_FDCWD, at("a"), &status, 0), &status);
	say_stat("fstatat of a descriptor", fstatat(fd, "", &status, AT_EMPTY_PATH), &status);
	outcome("statx", statx(AT_FDCWD, at("a"), 0, STATX_BASIC_STATS, &more));
	say("statx", "%d, %lld", S_ISREG(more.stx_mode), (long long)more.stx_size);
	outcome("statx of a descriptor", statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &more));
	say("statx", "%lld", (long long)more.stx_size);
	say_stat("what is not there", stat(at("none"), &status), &status);
	outcome("statx of it", statx(AT_FDCWD, at("none"), 0, STATX_SIZE, &more));
	outcome("to a bad pointer", stat(at("a"), nowhere()));
	outcome("fstat to one", fstat(fd, nowhere()));
	lseek(fd, 0, SEEK_END);
	must("write", write(fd, "abc", 3));
	say_stat("after a write", fstat(fd, &status), &status);
	close(fd);
	outcome("fstat of what is closed", fstat(fd, &status));
}

static void asking(void)
{
	close(make("a", "", O_RDONLY));
	outcome("F_OK", access(at("a"), F_OK));
	outcome("R_OK, W_OK", access(at("a"), R_OK | W_OK));
	outcome("X_OK", access(at("a"), X_OK));
	outcome("wrong", access(at("a"), 0100));
	outcome("what is not there", access(at("none"), F_OK));
	outcome("euidaccess", euidaccess(at("a"), R_OK));
	outcome("faccessat", faccessat(AT_FDCWD, at("none"), R_OK, AT_EACCESS));
}

static void renaming(void)
{
	struct stat before, after;
	int fd = make("a", "first", O_RDWR | O_APPEND),
	    other = make("b", "second", O_RDWR | O_APPEND);

	fstat(fd, &before);
	outcome("rename", rename(at("a"), at("c")));
	outcome("write on", write(fd, " more", 5));
	say_file("the new name", "c");
	say_file("the old name", "a");
	outcome("onto another", rename(at("c"), at("b")));
	outcome("write to what is gone", write(other, " lost", 5));
	say_text("which is there", other, 0);
	outcome("fsync of it", fsync(other));
	fstat(other, &after);
	say("its links", "%d", (int)after.st_nlink);
	say_file("the name", "b");
	stat(at("b"), &after);
	say("the same file", "%d", before.st_ino == after.st_ino && before.st_dev == after.st_dev);
	outcome("onto itself", rename(at("b"), at("b")));
	outcome("what is not there", rename(at("a"), at("b")));
	close(make("a", "third", O_RDONLY));
	outcome("RENAME_NOREPLACE",
		renameat2(AT_FDCWD, at("a"), AT_FDCWD, at("b"), RENAME_NOREPLACE));
	outcome("where nothing is",
		renameat2(AT_FDCWD, at("a"), AT_FDCWD, at("d"), RENAME_NOREPLACE));
	say_file("its name", "d");
	outcome("close", close(fd));
	outcome("close what is gone", close(other));
	say_file("after all", "b");
}

static void unlinking(void)
{
	struct stat status;
	int fd = make("a", "text", O_RDWR | O_APPEND), reader;

	outcome("unlink", unlink(at("a")));
	outcome("again", unlink(at("a")));
	outcome("access", access(at("a"), F_OK));
	outcome("write on", write(fd, " more", 5));
	say_text("read on", fd, 0);
	outcome("fsync", fsync(fd));
	fstat(fd, &status);
	say("links, size", "%d, %lld", (int)status.st_nlink, (long long)status.st_size);
	reader = make("a", "another", O_RDONLY);
	say_text("of the same name", reader, 0);
	say_text("and the old one", fd, 0);
	close(fd);
	close(reader);
	fd = (int)must("open to read", open(at("a"), O_RDONLY | O_NONBLOCK));
	outcome("remove", remove(at("a")));
	say_text("read", fd, 0);
	outcome("close", close(fd));
	outcome("open", open(at("a"), O_RDONLY));
	outcome("remove again", remove(at("a")));
}

static void many_names(void)
{
	char name[20];
	int there = 0, size = 0;
	struct stat status;

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "many%d", i);
		close(make(name, name, O_RDONLY));
	}
	for (int i = 0; i < 100; i += 2) {
		snprintf(name, sizeof(name), "many%d", i);
		must("unlink", unlink(at(name)));
	}
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "many%d", i);
		if (stat(at(name), &status) != 0)
			continue;
		there++;
		size += (int)status.st_size;
		must("unlink", unlink(at(name)));
	}
	say("left", "%d, %d bytes", there, size);
}

const struct files_check files_name_checks[] = {
	{"knowing", knowing},     {"asking", asking},         {"renaming", renaming},
	{"unlinking", unlinking}, {"many names", many_names}, {NULL, NULL},
};
