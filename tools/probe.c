// SPDX-License-Identifier: MIT
/* nestfd probe: what a /dev/iommu offers. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <nestfd/nestfd.h>
#include <nestfd/viommu.h>

#include "cmd.h"

#define PROBE_TEXT    16384
#define PROBE_DEFAULT "/dev/iommu"

struct probe {
	const char *path;
	bool inside; /* a machine of our own */
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct probe *p = state->input;

	switch (key) {
	case 'n':
		p->inside = true;
		return 0;
	case ARGP_KEY_ARG:
		if (p->path)
			argp_error(state, "one device at a time");
		p->path = arg;
		return 0;
	case ARGP_KEY_END:
		if (p->inside && p->path)
			argp_error(state, "--nestfd has no path");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "nestfd", 'n', NULL, 0,
	  "Ask the /dev/iommu of a machine in this process", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = parse_option,
	.args_doc = "[PATH]",
	.doc = "Say what the machine's IOMMU device (" PROBE_DEFAULT
	       ") offers to a VMM.",
};

static int show(const struct nestfd_backend *backend, uint32_t dev_id)
{
	char text[PROBE_TEXT] = "";
	int rc = nestfd_probe(backend, dev_id, text, sizeof(text));

	fputs(text, stdout);
	if (!rc)
		return TOOL_OK;
	fflush(stdout);
	fprintf(stderr, "nestfd: the probe ended: %s\n", strerror(-rc));
	return TOOL_FAILED;
}

/* The answer that most machines give */
static const char *advice(const char *path, int rc)
{
	if (rc == -ENOENT && !strcmp(path, PROBE_DEFAULT))
		return " (a kernel without CONFIG_IOMMUFD, or its module "
		       "iommufd is not loaded; --nestfd asks this library's)";
	return "";
}

static int probe_kernel(const char *path)
{
	struct nestfd_kernel kernel;
	struct nestfd_backend backend = {
		.ctx = &kernel,
		.ioctl = nestfd_kernel_ioctl,
	};
	int rc = nestfd_kernel_open(path, &kernel);

	if (rc) {
		fprintf(stderr, "nestfd: %s: %s%s\n", path, strerror(-rc),
			advice(path, rc));
		return TOOL_FAILED;
	}
	rc = show(&backend, 0);
	nestfd_kernel_close(&kernel);
	return rc;
}

static int bind_a_device(struct nestfd_machine *machine, struct nestfd **ctx,
			 uint32_t *dev_id)
{
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.stream_id = 1,
		.ats = true,
	};
	struct nestfd_device *dev;
	int rc = nestfd_open(machine, ctx);

	if (!rc)
		rc = nestfd_device_add(machine, &config, &dev);
	return rc ? rc : nestfd_bind(*ctx, dev, dev_id);
}

static int probe_inside(void)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_SMMUV3,
		.msi_first = 0x8000000,
		.msi_length = 0x100000,
	};
	struct nestfd_backend backend = {
		.ioctl = nestfd_ioctl,
		.read = nestfd_read,
		.close = nestfd_close_fd,
		.exact = true,
	};
	struct nestfd_machine *machine = NULL;
	struct nestfd *ctx = NULL;
	uint32_t dev_id = 0;
	int rc = nestfd_machine_create(&config, &machine);

	if (!rc)
		rc = bind_a_device(machine, &ctx, &dev_id);
	backend.ctx = ctx;
	if (rc)
		fprintf(stderr, "nestfd: a machine: %s\n", strerror(-rc));
	rc = rc ? TOOL_FAILED : show(&backend, dev_id);
	nestfd_machine_destroy(machine); /* closes the context */
	return rc;
}

int tool_probe(int argc, char **argv)
{
	struct probe p = { 0 };

	if (argp_parse(&argp, argc, argv, 0, NULL, &p))
		return TOOL_INVALID;
	if (p.inside)
		return probe_inside();
	return probe_kernel(p.path ? p.path : PROBE_DEFAULT);
}
