/* What the host says about an adapter, checked and of fixed size. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "bridge/guest/network_object.h"
#include "config/num.h"
#include "config/util.h"

int network_id_read(const char *text, char ret[NETWORK_ID_MAX], struct err *e)
{
	const size_t len = strlen(text);

	if (len == 0 || len >= NETWORK_ID_MAX)
		return err_set(e, EINVAL, "'%.40s' is no id", text);
	/* It becomes a part of paths. */
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)text[i]) && text[i] != '-')
			return err_set(e, EINVAL, "'%.40s' is no id", text);
	}
	for (size_t i = 0; i <= len; i++)
		ret[i] = (char)tolower((unsigned char)text[i]);
	return 0;
}

static int read_addresses(const struct msg_network *m,
			  struct network_facts *ret, struct err *e)
{
	if (m->n_ip_configs > NETWORK_ADDRESSES_MAX)
		return err_set(e, E2BIG, "$.IPConfigs: %zu of %u",
			       m->n_ip_configs, NETWORK_ADDRESSES_MAX);
	for (size_t i = 0; i < m->n_ip_configs; i++) {
		const struct msg_ip_config *from = &m->ip_config[i];
		struct network_address *to = &ret->address[i];

		if (rtnl_parse_address(from->address, &to->address, e) < 0)
			return err_wrap(e, "$.IPConfigs[%zu]", i);
		if (from->prefix_length > rtnl_address_bits(&to->address))
			return err_set(e, EINVAL,
				       "$.IPConfigs[%zu].PrefixLength: %u", i,
				       from->prefix_length);
		to->prefix = from->prefix_length;
	}
	ret->n_addresses = (uint8_t)m->n_ip_configs;
	return 0;
}

/* "10.0.0.0/8"; the default route has no bytes that count. */
static int read_prefix(const char *text, struct network_address *ret,
		       struct err *e)
{
	const char *slash = strchr(text, '/');
	char address[RTNL_ADDRESS_TEXT];
	uint32_t bits;

	if (!slash || (size_t)(slash - text) >= sizeof(address))
		return err_set(e, EINVAL, "'%.64s' is no prefix", text);
	(void)snprintf(address, sizeof(address), "%.*s", (int)(slash - text),
		       text);
	if (rtnl_parse_address(address, &ret->address, e) < 0 ||
	    num_u32(slash + 1, 0, rtnl_address_bits(&ret->address), &bits, e) <
		    0)
		return err_wrap(e, "'%.64s' is no prefix", text);
	ret->prefix = (uint8_t)bits;
	/* The kernel takes no bits behind the prefix. */
	for (unsigned int bit = bits; bit < 128; bit++)
		ret->address.bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	return 0;
}

/* Return: 1: a route, 0: one that means nothing, or -errno */
static int read_route(const struct msg_route *from, struct network_route *to,
		      struct err *e)
{
	bool default_route;

	*to = (struct network_route){ .metric = from->metric };
	if (read_prefix(from->destination_prefix, &to->destination, e) < 0)
		return err_wrap(e, "DestinationPrefix");
	if (from->next_hop[0] != '\0' &&
	    rtnl_parse_address(from->next_hop, &to->gateway, e) < 0)
		return err_wrap(e, "NextHop");
	if (to->gateway.family &&
	    to->gateway.family != to->destination.address.family)
		return err_set(e, EINVAL, "NextHop: of another family");
	default_route = to->destination.prefix == 0 &&
			rtnl_address_any(&to->destination.address);
	if (rtnl_address_any(&to->gateway)) {
		if (default_route)
			return 0;
		to->gateway.family = 0; /* on the link */
	}
	return 1;
}

static int read_routes(const struct msg_network *m, struct network_facts *ret,
		       struct err *e)
{
	if (m->n_routes > NETWORK_ROUTES_MAX)
		return err_set(e, E2BIG, "$.Routes: %zu of %u", m->n_routes,
			       NETWORK_ROUTES_MAX);
	ret->n_routes = 0;
	for (size_t i = 0; i < m->n_routes; i++) {
		const int r =
			read_route(&m->route[i], &ret->route[ret->n_routes], e);

		if (r < 0)
			return err_wrap(e, "$.Routes[%zu]", i);
		ret->n_routes = (uint8_t)(ret->n_routes + r);
	}
	return 0;
}

/* It goes into resolv.conf: no line of its own, no second word. */
static int read_names(const char *member, const char *text,
		      char ret[NETWORK_DNS_MAX], struct err *e)
{
	if (strlen(text) >= NETWORK_DNS_MAX)
		return err_set(e, E2BIG, "$.%s: longer than %u bytes", member,
			       NETWORK_DNS_MAX - 1);
	for (const char *p = text; *p; p++) {
		if (*p != ' ' && !isgraph((unsigned char)*p))
			return err_set(e, EINVAL, "$.%s: byte 0x%02x", member,
				       (unsigned char)*p);
	}
	(void)snprintf(ret, NETWORK_DNS_MAX, "%s", text);
	return 0;
}

int network_facts_read(const struct msg_network *m, struct network_facts *ret,
		       struct err *e)
{
	*ret = (struct network_facts){ .encap = m->encap_overhead,
				       .vpci = m->vpci_assigned };
	if (network_id_read(m->id, ret->id, e) < 0)
		return err_wrap(e, "$.ID");
	if (m->mac_address[0] != '\0' &&
	    rtnl_parse_mac(m->mac_address, ret->mac, e) < 0)
		return err_wrap(e, "$.MacAddress");
	if (read_addresses(m, ret, e) < 0 || read_routes(m, ret, e) < 0 ||
	    read_names("DNSSuffix", m->dns_suffix, ret->search, e) < 0 ||
	    read_names("DNSServerList", m->dns_server_list, ret->servers, e) <
		    0)
		return err_code(e);
	return 0;
}

/* --- resolv.conf ----------------------------------------------------------- */

/* The names of all adapters together, each once. */
struct names {
	char text[8192]; /* NUL-terminated, one behind the other */
	size_t len;
	size_t n;
};

static bool known(const struct names *names, const char *name)
{
	const char *p = names->text;

	for (size_t i = 0; i < names->n; i++, p += strlen(p) + 1)
		if (strcmp(p, name) == 0)
			return true;
	return false;
}

static int add_name(struct names *names, const char *text, size_t len,
		    struct err *e)
{
	char name[NETWORK_DNS_MAX];

	while (len > 0 && *text == ' ')
		text++, len--;
	while (len > 0 && text[len - 1] == ' ')
		len--;
	if (len == 0)
		return 0;
	if (memchr(text, ' ', len))
		return err_set(e, EINVAL, "'%.*s' is no name",
			       len < 64 ? (int)len : 64, text);
	for (size_t i = 0; i < len; i++)
		name[i] = (char)tolower((unsigned char)text[i]);
	name[len] = '\0';
	if (known(names, name))
		return 0;
	if (len + 1 > sizeof(names->text) - names->len)
		return err_set(e, ENOSPC, "too many names");
	memcpy(names->text + names->len, name, len + 1);
	names->len += len + 1;
	names->n++;
	return 0;
}

static int add_list(struct names *names, const char *list, struct err *e)
{
	int r = 0;

	while (r == 0 && *list) {
		const size_t len = strcspn(list, ",");

		r = add_name(names, list, len, e);
		list += len + (list[len] == ',');
	}
	return r;
}

/* Adds "@before name@behind" for each. */
static void print_names(const struct names *names, const char *before,
			const char *behind, struct text *out)
{
	const char *p = names->text;

	for (size_t i = 0; i < names->n; i++, p += strlen(p) + 1) {
		text_add(out, before);
		text_add(out, p);
		text_add(out, behind);
	}
}

int network_resolv_conf(const struct networks *all, const char *guid,
			struct text *out, struct err *e)
{
	struct network_record *r = network_record_find(all, guid);
	struct names names = { .len = 0 };
	struct names search = { .len = 0 };

	if (!r)
		return 0;
	for (struct list *node = r->adapters.next; node != &r->adapters;
	     node = node->next) {
		const struct network_adapter *a = NETWORK_ADAPTER(node);

		if (add_list(&search, a->facts.search, e) < 0)
			return err_wrap(e, "DNS search list");
		if (add_list(&names, a->facts.servers, e) < 0)
			return err_wrap(e, "DNS servers");
	}
	if (search.n > NETWORK_SEARCH_MAX)
		return err_set(e, E2BIG, "%zu DNS search domains, at most %u",
			       search.n, NETWORK_SEARCH_MAX);
	if (search.n > 0) {
		text_add(out, "search");
		print_names(&search, " ", "", out);
		text_addc(out, '\n');
	}
	print_names(&names, "nameserver ", "\n", out);
	return out->full ? err_set(e, ENOSPC, "resolv.conf is too long") : 0;
}
