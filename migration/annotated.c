#include "migration/annotated.h"

#include <errno.h>

#include "config/annotation_lock.h"
#include "migration/status.h"

int annotated_check(const void *lock, size_t size,
		    const struct annotation_map *own, struct err *e)
{
	struct annotation_map built;
	int r;

	if (size == 0)
		return 0;
	annotation_map_init(&built);
	r = annotation_lock_get(lock, size, &built, e);
	if (r == 0 && own) {
		r = annotation_lock_check(&built, own, e);
		if (r == -EINVAL) { /* a difference, not a bad state */
			r = -EPRECONDITION;
			if (e)
				e->code = EPRECONDITION;
		}
	}
	annotation_map_done(&built);
	return r < 0 ? err_wrap(e, "annotations") : 0;
}
