/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ubtool-malformed.h - calls of /dev/uballoon that must fail
 *
 * A part of ubtool.c, with its device: a case for each rule of the header that a caller can
 * break, one field at a time.
 *
 * Left out: what each must get (suites/kmod_calls.py), and calls drawn at random (ubfuzz.c).
 */
static void bad(const char *what, unsigned long nr, void *arg)
{
	printf("bad %s=%s\n", what, errno_name(ioctl(fd, nr, arg)));
}

#define BAD_MOVE(what, nr, ...) do { \
	struct uballoon_move mv_ = { .size = sizeof(mv_), .budget_ms = 20, \
				     .flags = (nr) == UBALLOON_IOC_LOCK ? \
					      UBALLOON_MOVE_NOSLEEP : 0, \
				     .pages = 512, __VA_ARGS__ }; \
	bad(what, nr, &mv_); \
} while (0)

#define BAD_TARGET(what, ...) do { \
	struct uballoon_target t_ = { .size = sizeof(t_), __VA_ARGS__ }; \
	bad(what, UBALLOON_IOC_SET_TARGET, &t_); \
} while (0)

#define BAD_PROVE(what, ...) do { \
	struct uballoon_prove p_ = { .size = sizeof(p_), .flags = UBALLOON_MOVE_NOSLEEP, \
				     .budget_ms = 20, __VA_ARGS__ }; \
	bad(what, UBALLOON_IOC_PROVE, &p_); \
} while (0)

#pragma GCC diagnostic ignored "-Woverride-init"

/* One line a case: "bad CASE=ERRNO". None of them may change anything. */
static bool cmd_malformed(char **w)
{
	struct uballoon_info info = { .size = sizeof(info) };
	struct uballoon_state state = { .size = sizeof(state) };
	struct uballoon_pop pop = { .size = sizeof(pop) };
	char buf[512] = {};

	(void)w;
	bad("unknown-nr", _IO(UBALLOON_IOC_MAGIC, 99), NULL);
	bad("unknown-magic", _IO('Z', 0), NULL);
	bad("wrong-encoded-size", _IOC(_IOC_READ | _IOC_WRITE, UBALLOON_IOC_MAGIC, 3, 8), buf);
	bad("null-info", UBALLOON_IOC_GET_INFO, NULL);
	bad("null-state", UBALLOON_IOC_GET_STATE, NULL);
	bad("null-target", UBALLOON_IOC_SET_TARGET, NULL);
	bad("null-lock", UBALLOON_IOC_LOCK, NULL);
	bad("null-unlock", UBALLOON_IOC_UNLOCK, NULL);
	bad("null-pop", UBALLOON_IOC_POP, NULL);
	bad("null-prove", UBALLOON_IOC_PROVE, NULL);

	info.size--;
	bad("info-size", UBALLOON_IOC_GET_INFO, &info);
	info.size = sizeof(info);
	info.reserved[3] = 1;
	bad("info-reserved", UBALLOON_IOC_GET_INFO, &info);
	state.size++;
	bad("state-size", UBALLOON_IOC_GET_STATE, &state);
	state.size = sizeof(state);
	state.reserved[0] = 1;
	bad("state-reserved", UBALLOON_IOC_GET_STATE, &state);
	state.reserved[0] = 0;
	state.reserved32 = 1;
	bad("state-reserved32", UBALLOON_IOC_GET_STATE, &state);
	pop.size = 0;
	bad("pop-size", UBALLOON_IOC_POP, &pop);
	pop.size = sizeof(pop);
	pop.reserved32 = 1;
	bad("pop-reserved32", UBALLOON_IOC_POP, &pop);
	pop.reserved32 = 0;
	pop.reserved[1] = 1;
	bad("pop-reserved", UBALLOON_IOC_POP, &pop);

	BAD_TARGET("target-size", .size = 8);
	BAD_TARGET("target-reserved", .reserved = { 1 });
	BAD_TARGET("target-lease", .lease_ms = UBALLOON_MAX_LEASE_MS + 1);
	BAD_TARGET("target-floor", .ceiling_pages = 1, .floor_pages = 2);
	BAD_TARGET("target-ram", .ceiling_pages = 1ULL << 52);
	BAD_TARGET("target-huge", .ceiling_pages = UINT64_MAX);
	BAD_TARGET("target-relief", .relief_pages = 1ULL << 52);
	BAD_TARGET("target-account", .account = 3);
	BAD_TARGET("target-reserved32", .reserved32 = 1);

	BAD_PROVE("prove-size", .size = 63);
	BAD_PROVE("prove-no-flag", .flags = 0);
	BAD_PROVE("prove-both-flags", .flags = UBALLOON_MOVE_NOSLEEP | UBALLOON_MOVE_CANSLEEP);
	BAD_PROVE("prove-order", .page_order = 3);
	BAD_PROVE("prove-no-budget", .budget_ms = 0);
	BAD_PROVE("prove-budget", .budget_ms = UBALLOON_MAX_BUDGET_MS + 1);
	BAD_PROVE("prove-hold", .hold_ms = UBALLOON_MAX_HOLD_MS + 1);
	BAD_PROVE("prove-reserved32", .reserved32 = 1);
	BAD_PROVE("prove-reserved", .reserved = { 0, 1 });

	BAD_MOVE("lock-size", UBALLOON_IOC_LOCK, .size = 0);
	BAD_MOVE("lock-no-flag", UBALLOON_IOC_LOCK, .flags = 0);
	BAD_MOVE("lock-both-flags", UBALLOON_IOC_LOCK,
		 .flags = UBALLOON_MOVE_NOSLEEP | UBALLOON_MOVE_CANSLEEP);
	BAD_MOVE("lock-unknown-flag", UBALLOON_IOC_LOCK, .flags = UBALLOON_MOVE_NOSLEEP | 4);
	BAD_MOVE("lock-order", UBALLOON_IOC_LOCK, .page_order = 3);
	BAD_MOVE("lock-order-1g", UBALLOON_IOC_LOCK, .page_order = 18);
	BAD_MOVE("lock-no-budget", UBALLOON_IOC_LOCK, .budget_ms = 0);
	BAD_MOVE("lock-budget", UBALLOON_IOC_LOCK, .budget_ms = UBALLOON_MAX_BUDGET_MS + 1);
	BAD_MOVE("lock-zero", UBALLOON_IOC_LOCK, .pages = 0);
	BAD_MOVE("lock-unaligned", UBALLOON_IOC_LOCK, .page_order = UBALLOON_ORDER_2M,
		 .pages = 511);
	BAD_MOVE("lock-reserved32", UBALLOON_IOC_LOCK, .reserved32 = 1);
	BAD_MOVE("lock-reserved", UBALLOON_IOC_LOCK, .reserved = { 0, 0, 1 });
	BAD_MOVE("lock-too-many", UBALLOON_IOC_LOCK, .pages = 1ULL << 52);
	BAD_MOVE("lock-all-ones", UBALLOON_IOC_LOCK, .pages = UINT64_MAX);
	BAD_MOVE("unlock-flag", UBALLOON_IOC_UNLOCK, .flags = UBALLOON_MOVE_NOSLEEP);
	BAD_MOVE("unlock-size", UBALLOON_IOC_UNLOCK, .size = 71);
	BAD_MOVE("unlock-too-many", UBALLOON_IOC_UNLOCK, .pages = 1ULL << 52);
	BAD_MOVE("unlock-order", UBALLOON_IOC_UNLOCK, .page_order = 1);
	return true;
}
