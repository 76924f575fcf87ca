/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config-value.h - the values of struct config by their keys
 *
 * Only config/ includes this. The caller has checked the key's type.
 */
#pragma once

#include <string.h>

#include "config/config.h"

static inline void config_set_u64(struct config *c, const struct config_key *key, uint64_t v)
{
	memcpy((char *)c + key->offset, &v, sizeof(v));
}

static inline uint64_t config_get_u64(const struct config *c, const struct config_key *key)
{
	uint64_t v;

	memcpy(&v, (const char *)c + key->offset, sizeof(v));
	return v;
}

static inline void config_set_u32(struct config *c, const struct config_key *key, uint32_t v)
{
	memcpy((char *)c + key->offset, &v, sizeof(v));
}

static inline uint32_t config_get_u32(const struct config *c, const struct config_key *key)
{
	uint32_t v;

	memcpy(&v, (const char *)c + key->offset, sizeof(v));
	return v;
}

static inline struct config_trigger config_get_trigger(const struct config *c,
						       const struct config_key *key)
{
	struct config_trigger v;

	memcpy(&v, (const char *)c + key->offset, sizeof(v));
	return v;
}

/*
 * Set key in *c to what the file has, without the quotes: any type but
 * CONFIG_COUNT and CONFIG_BOOL. Returns 0; -EINVAL and in *ret_why what fits
 * behind "KEY: ", for the caller to free; or -ENOMEM. On error *c is untouched.
 */
int config_parse(struct config *c, const struct config_key *key, const char *value, char **ret_why);
/* The same for the number of a CONFIG_COUNT or CONFIG_PERMILLE. */
int config_parse_number(struct config *c, const struct config_key *key, uint64_t v, char **ret_why);

/* v in the unit of a key of this type: "30s", "10%". Returns buf. */
const char *config_format_amount(enum config_type type, uint64_t v, char *buf, size_t n);
