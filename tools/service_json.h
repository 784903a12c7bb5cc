/* tools/service_json.h - settings of a socket service, as annotations hold them */
#ifndef FERRY_TOOLS_SERVICE_JSON_H
#define FERRY_TOOLS_SERVICE_JSON_H

#include <stdbool.h>

/**
 * service_json() - is this a JSON object with the members of a service?
 * @text:	JSON text; names match without regard to case, unknown members
 *		are skipped, null is the zero value
 *
 * Source: shared specification cmdline.md 4.9.
 */
bool service_json(const char *text);

#endif
