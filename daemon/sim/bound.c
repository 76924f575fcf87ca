// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bound.c - what a clairvoyant could have reclaimed
 *
 * The cap is what may be taken at each time: ram - max(demand, floor). The
 * best feasible balloon is the largest function below the cap that rises at
 * most at the lock rate and falls at most at the unlock rate; a pass backward
 * and a pass forward over the pieces of the cap find it, because the largest
 * such function is unique. Between two points it is the least of three lines.
 *
 * Leaves out: everything the guest model knows beyond the two rates
 * (watermarks, reclaim cost): a bound that is too high is honest, one that is
 * too low is not.
 */
#include <errno.h>
#include <stdlib.h>

#include "basic/cleanup.h"
#include "sim/score.h"

/* The cap is linear within a piece and may jump between two. */
struct piece {
	double t, dt;		/* seconds */
	double cap0, cap1;	/* bytes */
	double b0, b1;		/* the bound at both ends */
};

struct pieces {
	struct piece *p;
	size_t n;
};

static double min_d(double a, double b)
{
	return a < b ? a : b;
}

static double max_d(double a, double b)
{
	return a > b ? a : b;
}

/* Where the line from a (share 0) to b (share 1) passes level, 0 if it does not. */
static double crossing(double a, double b, double level)
{
	if ((a < level) == (b < level))
		return 0;
	return (level - a) / (b - a);
}

/* One stretch between two points of the trace: up to three pieces, cut where floor or RAM bend the cap. */
static void add_stretch(struct pieces *ps, double t, double dt, double d0, double d1,
			double ram, double floor)
{
	double cut[4] = { 0, crossing(d0, d1, floor), crossing(d0, d1, ram), 1 };

	if (cut[1] > cut[2]) {
		double c = cut[1];

		cut[1] = cut[2];
		cut[2] = c;
	}
	for (int i = 0; i < 3; i++) {
		double from = d0 + (d1 - d0) * cut[i], to = d0 + (d1 - d0) * cut[i + 1];

		if (cut[i + 1] <= cut[i])
			continue;
		ps->p[ps->n++] = (struct piece) {
			.t = t + dt * cut[i],
			.dt = dt * (cut[i + 1] - cut[i]),
			.cap0 = max_d(ram - max_d(from, floor), 0),
			.cap1 = max_d(ram - max_d(to, floor), 0),
		};
	}
}

/* Integral of min(three lines) over a piece: cut at the crossings, sum trapezoids. */
static double integral(const struct piece *p, double lock, double unlock)
{
	double y0[3] = { p->cap0, p->b0, p->b1 + unlock * p->dt };
	double y1[3] = { p->cap1, p->b0 + lock * p->dt, p->b1 };
	double cut[5] = { 0 }, sum = 0, before;
	int n = 1;

	for (int i = 0; i < 3; i++) {
		int j = (i + 1) % 3;
		double c = crossing(y0[i] - y0[j], y1[i] - y1[j], 0);

		if (c > 0 && c < 1)
			cut[n++] = c;
	}
	cut[n] = 1;
	for (int i = 2; i < n; i++)
		for (int j = i; j > 1 && cut[j - 1] > cut[j]; j--) {
			double c = cut[j];

			cut[j] = cut[j - 1];
			cut[j - 1] = c;
		}
	before = min_d(y0[0], min_d(y0[1], y0[2]));
	for (int i = 1; i <= n; i++) {
		double y = y0[0] + (y1[0] - y0[0]) * cut[i];

		y = min_d(y, y0[1] + (y1[1] - y0[1]) * cut[i]);
		y = min_d(y, y0[2] + (y1[2] - y0[2]) * cut[i]);
		sum += (before + y) / 2 * (cut[i] - cut[i - 1]) * p->dt;
		before = y;
	}
	return sum;
}

int score_bound(const struct trace *t, const struct guest_config *g, uint64_t floor, double *ret_bs)
{
	_cleanup_free_ struct piece *mem = calloc(t->n_points - 1, 3 * sizeof(*mem));
	struct pieces ps = { .p = mem };
	double lock = g->lock_rate, unlock = g->unlock_rate, b, sum = 0;

	if (!mem)
		return -ENOMEM;
	for (size_t i = 0; i + 1 < t->n_points; i++) {
		const struct trace_point *a = &t->points[i], *z = a + 1;
		double d0 = (double)a->d.need + a->d.hot, d1 = (double)z->d.need + z->d.hot;

		if (t->between == TRACE_STEPS)
			d1 = d0;
		add_stretch(&ps, a->t_us / 1e6, (z->t_us - a->t_us) / 1e6, d0, d1, g->ram, floor);
	}
	b = ps.p[ps.n - 1].cap1;
	for (size_t i = ps.n; i-- > 0;) {
		struct piece *p = &ps.p[i];

		p->b1 = min_d(b, p->cap1);
		p->b0 = min_d(p->cap0, p->b1 + unlock * p->dt);
		b = p->b0;
	}
	b = g->balloon;
	for (size_t i = 0; i < ps.n; i++) {
		struct piece *p = &ps.p[i];

		p->b0 = min_d(p->b0, b);
		p->b1 = min_d(p->b1, p->b0 + lock * p->dt);
		sum += integral(p, lock, unlock);
		b = p->b1;
	}
	*ret_bs = sum;
	return 0;
}

uint64_t score_static_size(const struct trace *t, uint64_t ram, uint64_t floor)
{
	uint64_t size = trace_peak(t);

	if (size < floor)
		size = floor;
	return size < ram ? size : ram;
}
