#include "config/confidential.h"

#include <string.h>

static bool missing(const struct sandbox_options *o,
		    const struct runtime_options *r, const char *name)
{
	return r->boot_file &&
	       !r->boot_file(r->boot_ctx, o->boot_files_root, name);
}

bool confidential_is_base64(const char *text)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789+/";
	size_t digits = 0, pads = 0;

	for (; *text != '\0'; text++) {
		if (*text == '\r' || *text == '\n')
			continue;
		if (*text == '=')
			pads++;
		else if (pads || !strchr(alphabet, *text))
			return false;
		else
			digits++;
	}
	/* One digit alone holds six bits, which is no byte. */
	return pads <= 2 && digits % 4 != 1 && (digits + pads) % 4 == 0;
}

static int check_policy(const struct sandbox_options *o, struct err *e)
{
	if (confidential_is_base64(o->security_policy))
		return 0;
	return err_class(e, ERR_POLICY_ENCODING,
			 "the security policy is not base64");
}

int confidential_check(struct sandbox_options *o,
		       const struct runtime_options *r, struct err *e)
{
	if (!o->hardware_confidential)
		return o->strictness == STRICT ? check_policy(o, e) : 0;

	if (*o->guest_state == '\0')
		o->guest_state = "kernel.vmgs";
	if (*o->dmverity_vhd == '\0')
		o->dmverity_vhd = ROOTFS_VHD;
	if (missing(o, r, o->guest_state))
		return err_class(e, ERR_GUEST_STATE_MISSING,
				 "the boot directory has no guest state file");
	if (missing(o, r, o->dmverity_vhd))
		return err_class(e, ERR_DMVERITY_VHD_MISSING,
				 "the boot directory has no root file system "
				 "for a confidential sandbox");
	return check_policy(o, e);
}
