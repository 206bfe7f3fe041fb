/* SPDX-License-Identifier: MIT */
/* `top` on a terminal. */
#include "config.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/top.h"

#ifdef HAVE_NCURSES
#include <ncurses.h>

#define CTRL_C 3

struct screen {
	struct cli *cli;
	struct look before, now;
	struct table table; /* the load between them */
	unsigned int first; /* the first row that is shown */
};

static unsigned int rows_shown(void)
{
	return LINES > 2 ? (unsigned int)LINES - 2 : 0;
}

static chtype attributes_of(enum colour colour)
{
	switch (colour) {
	case COLOUR_RED:
	case COLOUR_YELLOW:
		return (chtype)COLOR_PAIR((int)colour) | A_BOLD;
	default:
		return A_NORMAL;
	}
}

static void draw_line(int y, chtype attributes, const char *text)
{
	attrset((int)attributes);
	mvaddnstr(y, 0, text, COLS);
	if (attributes & A_REVERSE)
		hline(' ' | A_REVERSE, COLS);
	attrset((int)A_NORMAL);
}

static void draw_title(const struct screen *screen)
{
	char text[128], clock[16];
	time_t now = time(NULL);
	struct tm tm;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
	snprintf(text, sizeof(text),
		 "pvbackctl top  %s  %zu devices, every %g s; up, down, q to quit", clock,
		 screen->now.nr, screen->cli->interval);
	draw_line(0, A_NORMAL, text);
}

/* Draw the lines that `top --once` prints. */
static void draw(const struct screen *screen)
{
	char *text = NULL, *rest, *line;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	unsigned int nr = 0;

	if (!out)
		return;
	table_print(&screen->table, false, out);
	fclose(out);
	erase();
	draw_title(screen);
	rest = text;
	if ((line = strsep(&rest, "\n")))
		draw_line(1, A_REVERSE, line);
	for (; (line = strsep(&rest, "\n")) && nr < screen->table.nr_rows; nr++)
		if (nr >= screen->first && nr - screen->first < rows_shown())
			draw_line((int)(nr - screen->first) + 2,
				  attributes_of(screen->table.rows[nr].colour), line);
	refresh();
	free(text);
}

static void scroll_by(struct screen *screen, int rows)
{
	int last = (int)screen->table.nr_rows - (int)rows_shown();
	int first = (int)screen->first + rows;

	first = first > last ? last : first;
	screen->first = first > 0 ? (unsigned int)first : 0;
}

/* False: end. */
static bool press(struct screen *screen, int key)
{
	switch (key) {
	case 'q':
	case CTRL_C:
		return false;
	case KEY_UP:
		scroll_by(screen, -1);
		return true;
	case KEY_DOWN:
		scroll_by(screen, 1);
		return true;
	case KEY_PPAGE:
		scroll_by(screen, -(int)rows_shown());
		return true;
	case KEY_NPAGE:
		scroll_by(screen, (int)rows_shown());
		return true;
	default:
		return true; /* the terminal's size has changed */
	}
}

/* Handle keys until the next look is due. False: end. */
static bool hear_keys(struct screen *screen)
{
	int64_t until_ms = conn_now_ms() + (int64_t)(screen->cli->interval * 1000), left;

	while ((left = until_ms - conn_now_ms()) > 0) {
		int key;

		timeout((int)left);
		key = getch();
		if (key == ERR)
			continue;
		if (!press(screen, key))
			return false;
		draw(screen);
	}
	return true;
}

/* If the daemon ended the connection, connect anew. Errors are printed on the plain screen. */
static int look_again(struct screen *screen)
{
	struct look now;
	int status = look_take(screen->cli, &now);

	if (status) {
		endwin();
		status = look_take(screen->cli, &now);
		clear();
	}
	if (status)
		return status;
	look_forget(&screen->before);
	screen->before = screen->now;
	screen->now = now;
	table_free(&screen->table);
	top_table(&screen->before, &screen->now, &screen->table);
	scroll_by(screen, 0);
	return CLI_OK;
}

static int watch(struct screen *screen)
{
	int status;

	while (!(status = look_again(screen))) {
		draw(screen);
		if (!hear_keys(screen))
			break;
	}
	return status;
}

static void begin(void)
{
	initscr();
	raw();
	noecho();
	keypad(stdscr, true);
	curs_set(0);
	start_color();
	use_default_colors();
	init_pair(COLOUR_RED, COLOR_RED, -1);
	init_pair(COLOUR_YELLOW, COLOR_YELLOW, -1);
}

int top_screen(struct cli *cli)
{
	struct screen screen = { .cli = cli };
	int status = look_take(cli, &screen.now);

	if (status)
		return status;
	begin();
	status = watch(&screen);
	endwin();
	table_free(&screen.table);
	look_forget(&screen.before);
	look_forget(&screen.now);
	return status;
}
#else
int top_screen(struct cli *cli)
{
	(void)cli;
	warnx("this pvbackctl was built without ncurses: use pvbackctl top --once");
	return CLI_FAILED;
}
#endif
