#include "bridge/host/ports.h"

#include <errno.h>

#include "bridge/wire.h"

void host_ports_init(struct host_ports *p)
{
	p->next = WIRE_PORT_STDIO_FIRST;
}

int host_ports_take(struct host_ports *p, uint32_t *ret, struct err *e)
{
	if (p->next > HOST_PORT_LAST)
		return err_set(e, EADDRNOTAVAIL,
			       "all ports for stdio streams are used up");
	*ret = p->next++;
	return 0;
}

void host_ports_raise(struct host_ports *p, uint32_t floor)
{
	if (p->next < floor)
		p->next = floor;
}
