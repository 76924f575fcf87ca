// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * watch-view.c - one picture of balloonctl watch, made of text
 *
 * The bar is the guest's RAM from left to right: used, cache, free, balloon.
 * What the guest keeps is left of the balloon, so a target is a mark at the place
 * where the balloon's left end is to be, and the floor one that it never passes.
 *
 * ASCII only, so that it looks the same over any line and in any locale; colour
 * repeats what the characters say. Every line is cut to the terminal and every
 * line below the last one is not written, so that nothing ever scrolls.
 */
#include "ctl/watch-view.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "basic/units.h"
#include "ctl/history-data.h"
#include "ctl/term.h"

#define LINE_MAX_BYTES 512

struct screen {
	FILE *f;
	const struct watch_view *v;
	unsigned int left;	/* lines above the last one */
};

static bool known(uint64_t v)
{
	return v != CTL_NONE;
}

static bool some(const char *text)
{
	return text && *text;
}

#define SIZE(v) (known(v) ? units_format_size((char[UNITS_MAX]){ 0 }, UNITS_MAX, (v)) : "unknown")
#define TIME(v) units_format_time((char[UNITS_MAX]){ 0 }, UNITS_MAX, (v))

/* Cut to n columns, and never inside of a character. Wide characters count as one column. */
static void cut(char *text, unsigned int n)
{
	unsigned int columns = 0;

	for (char *s = text; *s; s++) {
		if (((unsigned char)*s & 0xc0) == 0x80)
			continue;
		if (columns++ == n) {
			*s = '\0';
			return;
		}
	}
}

/* Cleared first: behind the last column the cursor still stands on it. */
static void begin_line(struct screen *s)
{
	fputs(TERM_CLEAR_LINE, s->f);
}

static void end_line(struct screen *s)
{
	s->left--;
	fprintf(s->f, "%s\r\n", term_style(TERM_PLAIN));
}

__attribute__((format(printf, 3, 4)))
static void line(struct screen *s, enum term_style style, const char *format, ...)
{
	char text[LINE_MAX_BYTES];
	va_list ap;

	if (s->left == 0)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	cut(text, s->v->columns);
	begin_line(s);
	fprintf(s->f, "%s%s", term_style(style), text);
	end_line(s);
}

/* --- memory --- */

struct parts {
	uint64_t used, cache, free, balloon;
};

/* False if the daemon does not know enough to draw it. */
static bool parts_of(const struct ctl_props *p, struct parts *ret)
{
	uint64_t rest;

	if (!known(p->ram) || p->ram == 0 || !known(p->free) || !known(p->cached))
		return false;
	ret->balloon = known(p->size) && p->size <= p->ram ? p->size : 0;
	rest = p->ram - ret->balloon;
	ret->free = p->free < rest ? p->free : rest;
	rest -= ret->free;
	ret->cache = p->cached < rest ? p->cached : rest;
	ret->used = rest - ret->cache;
	return true;
}

/* The column of an amount, rounded; 128 bits since RAM times columns may not fit 64. */
static unsigned int column(uint64_t amount, uint64_t ram, unsigned int width)
{
	unsigned int c = (unsigned int)(((unsigned __int128)amount * width + ram / 2) / ram);

	return c < width ? c : width;
}

static void draw_bar(struct screen *s, const struct parts *m, uint64_t ram, unsigned int width)
{
	const struct {
		uint64_t end;
		char c;
		enum term_style style;
	} part[] = {
		{ m->used, '#', TERM_BOLD },
		{ m->used + m->cache, '+', TERM_PLAIN },
		{ m->used + m->cache + m->free, '.', TERM_GOOD },
		{ ram, '=', TERM_FAINT },
	};
	unsigned int at = 0;

	if (s->left == 0)
		return;
	begin_line(s);
	fputc('[', s->f);
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		fputs(term_style(part[i].style), s->f);
		for (unsigned int end = column(part[i].end, ram, width); at < end; at++)
			fputc(part[i].c, s->f);
		fputs(term_style(TERM_PLAIN), s->f);
	}
	fputc(']', s->f);
	end_line(s);
}

static void mark(char *marks, uint64_t kept, uint64_t ram, unsigned int width, char c)
{
	unsigned int at = column(kept, ram, width);

	/* Between two cells: the left end of the right one. */
	marks[1 + (at < width ? at : width - 1)] = c;
}

static void draw_memory(struct screen *s)
{
	const struct ctl_props *p = s->v->props;
	unsigned int width = s->v->columns - 2;
	char marks[LINE_MAX_BYTES];
	struct parts m;

	if (!parts_of(p, &m)) {
		line(s, TERM_PLAIN, "The guest's memory is not known yet.");
		return;
	}
	if (width > sizeof(marks) - 4)
		width = sizeof(marks) - 4;
	draw_bar(s, &m, p->ram, width);
	memset(marks, ' ', width + 2);
	marks[width + 2] = '\0';
	if (known(p->floor) && p->floor <= p->ram)
		mark(marks, p->floor, p->ram, width, 'F');
	if (known(p->host_target) && p->host_target <= p->ram)
		mark(marks, p->ram - p->host_target, p->ram, width, 'H');
	if (known(p->goal) && p->goal <= p->ram)
		mark(marks, p->ram - p->goal, p->ram, width, 'G');
	if (known(p->target) && p->target <= p->ram)
		mark(marks, p->ram - p->target, p->ram, width, 'T');
	line(s, TERM_PLAIN, "%s", marks);
	line(s, TERM_PLAIN, "# used %s   + cache %s   . free %s   = balloon %s   of %s", SIZE(m.used),
	     SIZE(m.cache), SIZE(m.free), SIZE(m.balloon), SIZE(p->ram));
	line(s, TERM_FAINT, "T target   G goal of the law%s   F floor",
	     known(p->host_target) ? "   H host's target" : "");
}

/* --- the rest --- */

static void draw_head(struct screen *s)
{
	const struct ctl_props *p = s->v->props;
	char time[32], title[128];
	int room = (int)s->v->columns - 15;

	snprintf(title, sizeof(title), "balloond %s   mode %s   law %s   host %s", p->version ?: "?",
		 p->mode ?: "?", p->law ?: "?", some(p->host) ? p->host : "none");
	history_data_time(time, sizeof(time), s->v->now_us);
	if (room > (int)strlen(title))
		line(s, TERM_BOLD, "%-*s%s", room, title, time);
	else
		line(s, TERM_BOLD, "%s", title);
	if (s->v->failure)
		line(s, TERM_BAD, "%s", s->v->failure);
	if (some(p->problem))
		line(s, TERM_BAD, "Problem: %s", p->problem);
	if (some(p->held))
		line(s, TERM_BOLD, "Held: %s%s%s", p->held, known(p->held_left) ? ", another " : "",
		     known(p->held_left) ? TIME(p->held_left) : "");
	if (some(p->config_error))
		line(s, TERM_BAD, "The last reload failed: %s", p->config_error);
	line(s, TERM_PLAIN, "%s", "");
}

static void draw_numbers(struct screen *s)
{
	const struct ctl_props *p = s->v->props;

	line(s, TERM_PLAIN, "%s", "");
	if (known(p->size) && known(p->target) && p->size != p->target)
		line(s, TERM_PLAIN, "Balloon    %s, %s to %s; goal %s", SIZE(p->size),
		     ctl_props_move(p), SIZE(p->target), SIZE(p->goal));
	else
		line(s, TERM_PLAIN, "Balloon    %s; goal %s", SIZE(p->size), SIZE(p->goal));
	line(s, TERM_PLAIN, "Reason     %s: %s", p->reason ?: "?", p->reason_text ?: "");
	line(s, TERM_PLAIN, "Available  %s, headroom %s, floor %s", SIZE(p->available),
	     SIZE(p->headroom), SIZE(p->floor));
	if (known(p->pressure_some_permille) && known(p->pressure_full_permille) &&
	    known(p->pressure_io_permille))
		line(s, p->pressure_full_permille >= 100 ? TERM_BAD : TERM_PLAIN,
		     "Pressure   some %" PRIu64 ".%" PRIu64 "%%, full %" PRIu64 ".%" PRIu64
		     "%%, I/O %" PRIu64 ".%" PRIu64 "%%",
		     p->pressure_some_permille / 10, p->pressure_some_permille % 10,
		     p->pressure_full_permille / 10, p->pressure_full_permille % 10,
		     p->pressure_io_permille / 10, p->pressure_io_permille % 10);
	if (known(p->refault_rate))
		line(s, TERM_PLAIN, "Refaults   %" PRIu64 " pages/s of the working set",
		     p->refault_rate);
	line(s, TERM_PLAIN, "Lease      %s%s%s",
	     known(p->lease_left) && p->lease_left > 0 ? TIME(p->lease_left) : "none",
	     known(p->hold_off_left) && p->hold_off_left > 0 ? "; no inflation for " : "",
	     known(p->hold_off_left) && p->hold_off_left > 0 ? TIME(p->hold_off_left) : "");
}

static void draw_events(struct screen *s)
{
	unsigned int n = s->v->n_events;

	line(s, TERM_PLAIN, "%s", "");
	if (n > s->left)
		n = s->left;
	for (unsigned int i = s->v->n_events - n; i < s->v->n_events; i++)
		line(s, TERM_FAINT, "%s", s->v->events[i].text);
}

void watch_draw(FILE *f, const struct watch_view *v)
{
	/* The last line has no line feed behind it, which would scroll. */
	struct screen s = { f, v, v->lines - 1 };

	fputs(TERM_HOME, f);
	if (v->columns < 20 || v->lines < 3) {
		fprintf(f, TERM_CLEAR_REST "%.*s", (int)v->columns, "too small");
		return;
	}
	draw_head(&s);
	draw_memory(&s);
	draw_numbers(&s);
	draw_events(&s);
	while (s.left > 0)
		line(&s, TERM_PLAIN, "%s", "");
	fprintf(f, TERM_CLEAR_LINE "%sq quits%s", term_style(TERM_FAINT), term_style(TERM_PLAIN));
}

void watch_print_line(FILE *f, const struct watch_view *v)
{
	const struct ctl_props *p = v->props;
	struct parts m;
	char time[32];

	fprintf(f, "%s", history_data_time(time, sizeof(time), v->now_us));
	if (parts_of(p, &m))
		fprintf(f, "  used %s  cache %s  free %s  balloon %s", SIZE(m.used), SIZE(m.cache),
			SIZE(m.free), SIZE(m.balloon));
	else
		fprintf(f, "  balloon %s", SIZE(p->size));
	fprintf(f, "  target %s", SIZE(p->target));
	if (known(p->pressure_some_permille) && known(p->pressure_full_permille))
		fprintf(f, "  some %" PRIu64 ".%" PRIu64 "%%  full %" PRIu64 ".%" PRIu64 "%%",
			p->pressure_some_permille / 10, p->pressure_some_permille % 10,
			p->pressure_full_permille / 10, p->pressure_full_permille % 10);
	if (known(p->refault_rate))
		fprintf(f, "  refaults %" PRIu64 "/s", p->refault_rate);
	fprintf(f, "  %s%s\n", p->mode && strcmp(p->mode, "observe") == 0 ? "would be: " : "",
		p->reason ?: "");
}
