/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "command.h"
#include "run_options.h"

#define SCRIPTS_MAX 5        /* as the kernel follows them */
#define FIRST_LINE_BYTES 256 /* as the kernel reads of it */
#define SEGMENTS_BYTES_MAX 65536

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OWN_DATA ELFDATA2LSB
#else
#define OWN_DATA ELFDATA2MSB
#endif

/* ---- Finding it ---- */

/* 0: it can be executed; else an errno. */
static int executable_error(const char *path)
{
	struct stat status;

	if (stat(path, &status))
		return errno;
	if (S_ISDIR(status.st_mode))
		return EISDIR;
	if (!S_ISREG(status.st_mode))
		return EACCES;
	return access(path, X_OK) ? errno : 0;
}

static int refuse_file(const char *path, int error)
{
	if (error == ENOENT || error == ENOTDIR)
		return refuse("run", EXIT_NOT_FOUND, "%s: there is no such program", path);
	if (error == EISDIR)
		return refuse("run", EXIT_NOT_RUN, "%s is a folder, not a program", path);
	return refuse("run", EXIT_NOT_RUN, "%s cannot be executed: %s; see its permissions (ls -l)",
		      path, strerror(error));
}

/* Return: false when no folder of PATH has it; @refused: one that may not be executed. */
static bool search(char path[PATH_MAX], const char *name, const char *folders,
		   char refused[PATH_MAX])
{
	refused[0] = '\0';
	for (;;) {
		size_t length = strcspn(folders, ":");
		int printed = snprintf(path, PATH_MAX, "%.*s%s%s", (int)length, folders,
				       length ? "/" : "./", name);

		if (printed < PATH_MAX) {
			int error = executable_error(path);

			if (!error)
				return true;
			if (error == EACCES && !refused[0])
				memcpy(refused, path, (size_t)printed + 1);
		}
		if (folders[length] == '\0')
			return false;
		folders += length + 1;
	}
}

int program_find(char path[PATH_MAX], const char *name)
{
	const char *folders = getenv("PATH");
	char refused[PATH_MAX];

	if (!strchr(name, '/')) {
		if (search(path, name, folders ? folders : "/bin:/usr/bin", refused))
			return -1;
		if (refused[0])
			return refuse_file(refused, EACCES);
		return refuse("run", EXIT_NOT_FOUND,
			      "%s: there is no such program in the folders of PATH; install it, or "
			      "give its path",
			      name);
	}
	if (snprintf(path, PATH_MAX, "%s", name) >= PATH_MAX)
		return refuse_file(name, ENAMETOOLONG);
	int error = executable_error(path);
	return error ? refuse_file(path, error) : -1;
}

/* ---- Whether executing it changes who we are: then the loader heeds no LD_PRELOAD ---- */

static bool changes_user(const struct stat *status)
{
	return (status->st_mode & S_ISUID) && status->st_uid != getuid();
}

static bool changes_group(const struct stat *status)
{
	/* Without the group's x bit it means something else: mandatory locking. */
	return (status->st_mode & S_ISGID) && (status->st_mode & S_IXGRP) &&
	       status->st_gid != getgid();
}

/* Those of the superuser are no change. */
static bool adds_capabilities(const char *path)
{
	return getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0;
}

static int check_privileges(const char *path)
{
	struct statvfs filesystem;
	struct stat status;

	/* A system that runs it without its privileges runs it with our library. */
	if (stat(path, &status) || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
	    (statvfs(path, &filesystem) == 0 && (filesystem.f_flag & ST_NOSUID)))
		return -1;
	if (changes_user(&status) || changes_group(&status))
		return refuse("run", EXIT_NOT_RUN,
			      "%s is %s: for such programs the loader preloads nothing; run a copy "
			      "without that bit%s",
			      path, changes_user(&status) ? "setuid" : "setgid",
			      status.st_uid == 0 && getuid() != 0 ? ", or this as root" : "");
	if (adds_capabilities(path))
		return refuse(
			"run", EXIT_NOT_RUN,
			"%s has capabilities of its own (getcap): for such programs the "
			"loader preloads nothing; run a copy, which has none, or this as root",
			path);
	return -1;
}

/* ---- ELF ---- */

static int refuse_elf(const char *path)
{
	return refuse("run", EXIT_NOT_RUN, "%s is no whole ELF program", path);
}

static int refuse_foreign(const char *path)
{
	return refuse(
		"run", EXIT_NOT_RUN,
		"%s is a program for another kind of processor, or of another word size, than "
		"Demi here; use one built for this machine",
		path);
}

static int check_loader(const char *path, const char *loader)
{
	if (strstr(loader, "ld-musl"))
		return refuse("run", EXIT_NOT_RUN,
			      "%s is built for musl's C library, and Demi for glibc; use one built "
			      "for glibc",
			      path);
	return -1;
}

/* The segment that names the loader; none: the program is statically linked. */
static int check_segments(const char *path, int fd, const Elf64_Ehdr *header)
{
	size_t bytes = (size_t)header->e_phnum * sizeof(Elf64_Phdr);
	char loader[PATH_MAX] = "";
	int status = EXIT_NOT_RUN;

	if (header->e_phentsize != sizeof(Elf64_Phdr) || bytes > SEGMENTS_BYTES_MAX)
		return refuse_elf(path);
	Elf64_Phdr *segments = malloc(bytes + 1);
	if (!segments || pread(fd, segments, bytes, (off_t)header->e_phoff) != (ssize_t)bytes) {
		free(segments);
		return refuse_elf(path);
	}
	for (unsigned int i = 0; i < header->e_phnum && status >= 0; i++) {
		if (segments[i].p_type != PT_INTERP)
			continue;
		if (segments[i].p_filesz < sizeof(loader) &&
		    pread(fd, loader, segments[i].p_filesz, (off_t)segments[i].p_offset) < 0)
			loader[0] = '\0';
		status = -1;
	}
	free(segments);
	if (status < 0)
		return check_loader(path, loader);
	return refuse("run", EXIT_NOT_RUN,
		      "%s is statically linked, so that nothing can be preloaded into it; use one "
		      "that is linked dynamically, as distributions' are",
		      path);
}

static int check_elf(const char *path, int fd, const void *start, size_t length)
{
	Elf64_Ehdr header;

	if (length < sizeof(header))
		return refuse_elf(path);
	memcpy(&header, start, sizeof(header));
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != OWN_DATA ||
	    header.e_machine != OWN_MACHINE)
		return refuse_foreign(path);
	int status = check_privileges(path);
	return status >= 0 ? status : check_segments(path, fd, &header);
}

/* ---- Scripts ---- */

/* Of "#!/usr/bin/env -i A=1 python3" what env runs; NULL: it is not env, or names nothing. */
static const char *run_by_env(const char *interpreter, char *rest)
{
	const char *slash = strrchr(interpreter, '/');
	char *word;

	if (strcmp(slash ? slash + 1 : interpreter, "env") != 0)
		return NULL;
	while ((word = strsep(&rest, " \t")) != NULL) {
		if (strcmp(word, "-u") == 0 || strcmp(word, "-C") == 0)
			strsep(&rest, " \t"); /* its value */
		else if (word[0] && word[0] != '-' && !strchr(word, '='))
			return word;
	}
	return NULL;
}

static int check_file(const char *path, int scripts);

/* @line: what stands behind "#!". */
static int check_script(const char *path, char *line, int scripts)
{
	char found[PATH_MAX];
	char *rest = line + strspn(line, " \t");
	char *interpreter = strsep(&rest, " \t");
	int error = executable_error(interpreter);

	if (scripts == SCRIPTS_MAX)
		return refuse("run", EXIT_NOT_RUN, "%s: too many scripts that run one another",
			      path);
	if (error)
		return refuse("run", error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN,
			      "%s is a script for %s, which cannot be executed: %s", path,
			      interpreter, strerror(error));
	int status = check_file(interpreter, scripts + 1);
	const char *name = status < 0 ? run_by_env(interpreter, rest) : NULL;
	if (name)
		status = program_find(found, name);
	return name && status < 0 ? check_file(found, scripts + 1) : status;
}

static int check_start(const char *path, int fd, char start[FIRST_LINE_BYTES + 1], size_t length,
		       int scripts)
{
	char shell[] = "/bin/sh";

	if (length >= SELFMAG && memcmp(start, ELFMAG, SELFMAG) == 0)
		return check_elf(path, fd, start, length);
	start[strcspn(start, "\n")] = '\0';
	if (strncmp(start, "#!", 2) == 0)
		return check_script(path, start + 2, scripts);
	/* As execvp does with what the kernel does not know. */
	return check_script(path, shell, scripts);
}

static int check_file(const char *path, int scripts)
{
	char start[FIRST_LINE_BYTES + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	/* It may be executed but not read: then the loader, too, preloads. Its privileges show. */
	if (fd < 0)
		return check_privileges(path);
	ssize_t length = read(fd, start, FIRST_LINE_BYTES);
	start[length > 0 ? length : 0] = '\0';
	int status = check_start(path, fd, start, length > 0 ? (size_t)length : 0, scripts);
	close(fd);
	return status;
}

int program_check_preload(const char *path)
{
	return check_file(path, 0);
}
