/* SPDX-License-Identifier: MIT */
/* The whole pvbackctl, with a fake daemon whose answers the test chooses. */
#include "unit.h"

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/cli.h"

#define MAX_ANSWERS 4u

/* --- the fake daemon --- */

static char dir[] = "/tmp/pvbackctl.XXXXXX";
static int listener = -1;
static pthread_t daemon_thread;

static struct {
	const char *answers[MAX_ANSWERS]; /* one after the other; "" closes the connection */
	unsigned int nr_asked;
	char asked[MAX_ANSWERS][512];
	int fd;                      /* came with the last request; -1 */
	unsigned int hangs_up_after; /* so many; 0: never */
} server;
static pthread_mutex_t server_lock = PTHREAD_MUTEX_INITIALIZER;

/* The answer is sent only once. */
static void put_fd(const struct msghdr *msg)
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(msg);

	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&server.fd, CMSG_DATA(header), sizeof(int));
}

/* False at the end of the connection. */
static bool hear(int fd, char *buf, size_t size)
{
	char control[CMSG_SPACE(sizeof(int))];
	size_t len = 0;

	while (len == 0 || buf[len - 1] != '\n') {
		struct iovec iov = { .iov_base = buf + len, .iov_len = size - 1 - len };
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control,
				      .msg_controllen = sizeof(control) };
		ssize_t got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);

		if (got <= 0)
			return false;
		put_fd(&msg);
		len += (size_t)got;
	}
	buf[len - 1] = '\0';
	return true;
}

/* The answer to the request, and whether it is the last one. NULL: none. */
static const char *answer_of(const char *request, bool *last)
{
	const char *text = NULL;
	unsigned int nr;

	pthread_mutex_lock(&server_lock);
	nr = server.nr_asked++;
	*last = nr + 1 == server.hangs_up_after;
	if (nr < MAX_ANSWERS && server.answers[nr] && *server.answers[nr]) {
		text = server.answers[nr];
		strcpy(server.asked[nr], request);
	}
	pthread_mutex_unlock(&server_lock);
	return text;
}

/* True to hear more. */
static bool answer(int fd, const char *request)
{
	bool last;
	const char *text = answer_of(request, &last);

	if (!text)
		return false;
	/* In pieces, because a line may arrive in pieces. */
	return write(fd, text, 1) == 1 && write(fd, text + 1, strlen(text + 1)) >= 0 &&
	       write(fd, "\n", 1) == 1 && !last;
}

static void serve(int fd)
{
	char request[512];

	while (hear(fd, request, sizeof(request)) && answer(fd, request))
		;
}

static void *serve_all(void *user)
{
	int fd;

	(void)user;
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		serve(fd);
		close(fd);
	}
	return NULL;
}

static void socket_path(struct sockaddr_un *addr)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/ctl", dir);
}

static int start_server(void **state)
{
	struct sockaddr_un addr;

	(void)state;
	CHECK(mkdtemp(dir));
	socket_path(&addr);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(bind(listener, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	CHECK(listen(listener, 4) == 0);
	CHECK(pthread_create(&daemon_thread, NULL, serve_all, NULL) == 0);
	return 0;
}

static int stop_server(void **state)
{
	struct sockaddr_un addr;

	(void)state;
	shutdown(listener, SHUT_RDWR);
	pthread_join(daemon_thread, NULL);
	close(listener);
	socket_path(&addr);
	unlink(addr.sun_path);
	rmdir(dir);
	return 0;
}

/* --- a run --- */

static char out[65536], complaints[4096];

static void answers(const char *first, const char *second)
{
	pthread_mutex_lock(&server_lock);
	memset(&server, 0, sizeof(server));
	server.fd = -1;
	server.answers[0] = first;
	server.answers[1] = second;
	pthread_mutex_unlock(&server_lock);
}

/* The output to stderr goes into `complaints`. */
static int run_words(FILE *to, char **words, unsigned int nr)
{
	FILE *said = tmpfile();
	int stderr_was = dup(2), status;
	size_t len;

	CHECK(to && said);
	dup2(fileno(said), 2);
	status = cli_main((int)nr, words, to);
	dup2(stderr_was, 2);
	close(stderr_was);
	rewind(said);
	len = fread(complaints, 1, sizeof(complaints) - 1, said);
	complaints[len] = '\0';
	fclose(said);
	return status;
}

/* "list --names", in the server's directory */
static int run_into(FILE *to, const char *line)
{
	char copy[512], option[64], *rest = copy;
	char *words[17] = { (char *)(uintptr_t) "pvbackctl", option };
	unsigned int nr = 2;

	snprintf(copy, sizeof(copy), "%s", line);
	snprintf(option, sizeof(option), "--runtime-dir=%s", dir);
	while (rest && *rest && nr < 16)
		words[nr++] = strsep(&rest, " ");
	return run_words(to, words, nr);
}

/* The same; its output goes into `out`. */
static int run(const char *line)
{
	FILE *to = fmemopen(out, sizeof(out), "w");
	int status;

	memset(out, 0, sizeof(out));
	status = run_into(to, line);
	fclose(to);
	return status;
}

#define HAS_SAID(text)  assert_string_equal(out, text)
#define COMPLAINS(text) assert_non_null(strstr(complaints, text))

/* --- its answers. No process has this PID: it is larger than any of the kernel. --- */

#define OK(result) "{\"ok\":true,\"result\":" result "}"

#define XVDA                                                                                       \
	"{\"kind\":\"vbd\",\"domid\":7,\"guest\":\"web\",\"devid\":51712,\"name\":\"web/xvda\","   \
	"\"names\":[\"web/xvda\",\"web/51712\",\"7/xvda\"],\"state\":\"connected\","               \
	"\"frontend\":\"connected\",\"attached\":true,\"attached_s\":7260,\"pid\":5000000,"        \
	"\"target\":\"/dev/vg/web\",\"reason\":null,\"stalled\":false,\"halted\":false,"           \
	"\"late\":false,\"limits\":[{\"key\":\"iops\",\"value\":\"500\"},"                         \
	"{\"key\":\"bps\",\"value\":\"20M\"}]"
#define VIF0                                                                                       \
	"{\"kind\":\"vif\",\"domid\":7,\"guest\":\"web\",\"devid\":0,\"name\":\"web/vif0\","       \
	"\"names\":[\"web/vif0\"],\"state\":\"connected\",\"frontend\":\"connected\","             \
	"\"attached\":true,\"attached_s\":59,\"pid\":5000000,\"target\":\"vif7.0 in xenbr0\","     \
	"\"tap\":\"vif7.0\",\"bridge\":\"xenbr1\",\"master\":\"xenbr0\",\"mac\":\"00:16:3e:11:22:" \
	"33\","                                                                                    \
	"\"reason\":null,\"carrier\":true,\"limits\":[]}"
#define XVDB                                                                                       \
	"{\"kind\":\"vbd\",\"domid\":9,\"guest\":\"db\",\"devid\":51728,\"name\":\"db/xvdb\","     \
	"\"names\":[\"db/xvdb\"],\"state\":\"init-wait\",\"frontend\":\"initialising\","           \
	"\"attached\":false,\"attached_s\":0,\"pid\":null,\"target\":\"/srv/db.img\","             \
	"\"reason\":\"/srv/db.img: No \\u001b[31m file\",\"limits\":[]}"
#define XVDC                                                                                       \
	"{\"kind\":\"vbd\",\"domid\":9,\"guest\":\"db\",\"devid\":51744,\"name\":\"db/xvdc\","     \
	"\"state\":\"connected\",\"frontend\":\"connected\",\"attached\":false,"                   \
	"\"target\":\"/srv/c\",\"waits\":\"the next one starts in 2.5 s\",\"reason\":null}"
#define LIST OK("{\"schema\":1,\"now_ns\":5,\"devices\":[" XVDA "}," VIF0 "," XVDB "," XVDC "]}")

static void a_list_has_a_line_for_each_device(void **state)
{
	(void)state;
	answers(LIST, NULL);
	assert_int_equal(run("list"), CLI_OK);
	HAS_SAID("DEVICE    STATE            SINCE      PID  TARGET            LIMITS\n"
		 "web/xvda  connected          2 h  5000000  /dev/vg/web       iops=500 bps=20M\n"
		 "web/vif0  connected         59 s  5000000  vif7.0 in xenbr0  -\n"
		 "db/xvdb   waits for guest      -        -  /srv/db.img       -\n"
		 "db/xvdc   restarting           -        -  /srv/c            -\n"
		 "db/xvdb: /srv/db.img: No ?[31m file\n"
		 "db/xvdc: the next one starts in 2.5 s\n");
	assert_string_equal(server.asked[0], "{\"command\":\"list\"}");
	assert_string_equal(complaints, "");
}

static void a_list_of_names_is_for_scripts(void **state)
{
	(void)state;
	answers(LIST, NULL);
	assert_int_equal(run("list --names"), CLI_OK);
	HAS_SAID("web/xvda\nweb/vif0\ndb/xvdb\ndb/xvdc\n");
}

#define SHOW                                                                                       \
	OK("{\"schema\":1,\"now_ns\":5,\"devices\":[" XVDA                                         \
	   ",\"settings\":[{\"key\":\"iops\",\"value\":\"500\",\"from\":\"xenstore\","             \
	   "\"live\":true},{\"key\":\"bps\",\"value\":\"0\",\"meaning\":\"no limit\","             \
	   "\"from\":\"default\",\"live\":true},{\"key\":\"cache-mode\",\"value\":\"none\","       \
	   "\"from\":\"default\","                                                                 \
	   "\"live\":false}],\"queues\":[{\"index\":0,\"figures\":{"                               \
	   "\"read\":{\"kind\":\"counter\",\"unit\":\"requests\",\"value\":300},"                  \
	   "\"write\":{\"kind\":\"counter\",\"unit\":\"requests\",\"value\":0},"                   \
	   "\"oldest\":{\"kind\":\"since\",\"unit\":\"ns\",\"value\":12000000},"                   \
	   "\"time_total\":{\"kind\":\"times\",\"unit\":\"ns\",\"count\":3,\"sum\":12600000,"      \
	   "\"p50\":4000000,\"p99\":41000000,\"max\":45000000}}}]}]}")

static void a_device_is_shown_with_all_that_is_known(void **state)
{
	(void)state;
	answers(SHOW, NULL);
	assert_int_equal(run("show web/xvda"), CLI_OK);
	HAS_SAID("web/xvda: disk, connected for 2 h\n"
		 "  also called  web/51712, 7/xvda\n"
		 "  guest        web, domain 7\n"
		 "  served by    process 5000000\n"
		 "  image        /dev/vg/web\n"
		 "  backend      connected\n"
		 "  frontend     connected\n"
		 "  limits       iops=500 bps=20M\n"
		 "  SETTING     VALUE         FROM      A CHANGE HOLDS\n"
		 "  iops        500           xenstore  at once\n"
		 "  bps         0 (no limit)  default   at once\n"
		 "  cache-mode  none          default   when it connects again\n"
		 "  QUEUE  FIGURE      VALUE  UNIT        MEAN   P50    P99   MOST\n"
		 "  0      read          300  requests\n"
		 "  0      oldest      12 ms  ago\n"
		 "  0      time_total      3  times     4.2 ms  4 ms  41 ms  45 ms\n");
	assert_string_equal(server.asked[0], "{\"command\":\"show\",\"device\":\"web\\/xvda\"}");
}

#define VERSIONS                                                                                   \
	OK("{\"schema\":1,\"version\":\"0.1.0\",\"pid\":812,\"uptime_s\":200000,"                  \
	   "\"cpu_ns\":12345678901,"                                                               \
	   "\"isolation\":\"guest\",\"processes\":[{\"domid\":7,\"guest\":\"web\",\"pid\":4711,"   \
	   "\"cpu_ns\":4200000,\"version\":\"0.1.0\",\"protocol\":1,\"uptime_s\":61,\"restarts\":" \
	   "2,"                                                                                    \
	   "\"state\":\"serving\"}]}")

static void versions_are_those_of_all_processes(void **state)
{
	(void)state;
	answers(VERSIONS, NULL);
	assert_int_equal(run("version"), CLI_OK);
	HAS_SAID("pvbackd 0.1.0, process 812, for 2.3 days, CPU time 12 s, isolation=guest\n"
		 "GUEST  DOMAIN   PID  STATE    SINCE  CPU TIME  RESTARTS  VERSION\n"
		 "web         7  4711  serving   61 s    4.2 ms         2  0.1.0\n");
}

static void json_is_what_the_daemon_has_said(void **state)
{
	(void)state;
	answers(OK("{\"schema\":1,\"devices\":[7],\"new\":\"/member\"}"), NULL);
	assert_int_equal(run("list --json"), CLI_OK);
	HAS_SAID("{\n  \"schema\":1,\n  \"devices\":[\n    7\n  ],\n  \"new\":\"/member\"\n}\n");
}

/* An older daemon, or a newer one. */
static void what_is_missing_or_of_another_type_counts_as_nothing(void **state)
{
	(void)state;
	answers(OK("{\"devices\":[{},7,{\"name\":[],\"limits\":{},\"attached\":\"yes\"}]}"), NULL);
	assert_int_equal(run("list"), CLI_OK);
	HAS_SAID("DEVICE  STATE  SINCE  PID  TARGET  LIMITS\n"
		 "-       -          -    -  -       -\n"
		 "-       -          -    -  -       -\n"
		 "-       -          -    -  -       -\n");
}

#define STATS(now, read, count, sum, buckets)                                                      \
	OK("{\"schema\":1,\"now_ns\":" now ",\"devices\":[" XVDA                                   \
	   ",\"queues\":[{\"index\":0,\"figures\":{"                                               \
	   "\"read\":{\"kind\":\"counter\",\"unit\":\"requests\",\"value\":" read "},"             \
	   "\"bytes_read\":{\"kind\":\"counter\",\"unit\":\"bytes\",\"value\":" read "000},"       \
	   "\"time_total\":{\"kind\":\"times\",\"unit\":\"ns\",\"count\":" count ",\"sum\":" sum   \
	   ",\"buckets\":[" buckets "]},"                                                          \
	   "\"time_medium\":{\"kind\":\"times\",\"unit\":\"ns\",\"count\":" count ",\"sum\":" sum  \
	   ",\"buckets\":[" buckets "]}}}]}]}")
/* One second later there are 100 more requests, each of 33 to 42 ms. */
#define BEFORE STATS("1000000000", "50", "50", "50000", "[0,50]")
#define AFTER                                                                                      \
	STATS("2000000000", "150", "150", "4000050000", "[0,50],[33554432,100],7,[1],[\"x\",1]")

static void why_says_what_the_time_between_two_looks_went_into(void **state)
{
	(void)state;
	answers(BEFORE, AFTER);
	assert_int_equal(run("why web/xvda --interval=0.1"), CLI_OK);
	HAS_SAID(
		"web/xvda waits for its medium, /dev/vg/web: 100 % of the time of its requests.\n"
		"In the last second it did 100 requests, half of them in 38 ms, 99 of 100 in 42\n"
		"ms (100 kB read, 0 B written), with 4 under way on average. Its limits iops=500,\n"
		"bps=20M are not reached. The storage below is slow or has much to do: `iostat -x\n"
		"1` shows it, `pvbackctl top` who else uses it.\n");
	assert_string_equal(server.asked[0], "{\"command\":\"stats\",\"device\":\"web\\/xvda\"}");
	assert_string_equal(server.asked[1], server.asked[0]);
	answers(BEFORE, AFTER);
	assert_int_equal(run("why web/xvda --interval=0.1 --json"), CLI_OK);
	assert_non_null(strstr(out, "\"verdict\":\"medium\",\n  \"percent\":100,\n"));
	assert_non_null(
		strstr(out, "\"medium\":{\n      \"count\":100,\n      \"sum_ns\":4000000000,\n"));
}

#define QUIET_VIF  "{\"name\":\"web/vif0\",\"kind\":\"vif\",\"attached\":true,\"carrier\":true}"
#define NO_CARRIER "{\"name\":\"mail/vif0\",\"kind\":\"vif\",\"attached\":true,\"carrier\":false}"

/* Stuck devices come first, then the busiest. For a device that appeared between the two readings, all its requests count. */
static void top_has_a_row_for_each_device(void **state)
{
	char first[4096], second[4096];

	(void)state;
	snprintf(first, sizeof(first), "%.*s," QUIET_VIF "]}}", (int)strlen(BEFORE) - 3, BEFORE);
	snprintf(second, sizeof(second),
		 "{\"ok\":true,\"result\":{\"schema\":1,\"now_ns\":2000000000,\"devices\":"
		 "[" QUIET_VIF ",%.*s," NO_CARRIER "]}}",
		 (int)(strlen(strstr(AFTER, "[{\"kind")) - 4), strstr(AFTER, "[{\"kind") + 1);
	answers(first, second);
	assert_int_equal(run("top --once --interval=0.1"), CLI_OK);
	HAS_SAID("DEVICE     PER S  BYTES/S   MEAN    P99  QUEUE  CPU  HELD UP BY\n"
		 "mail/vif0      0      0 B      -      -      -    -  no carrier\n"
		 "web/xvda     100   100 kB  40 ms  42 ms      4    -  medium 100 %\n"
		 "web/vif0       0      0 B      -      -      -    -\n");
	answers(first, second);
	assert_int_equal(run("top --interval=0.1 --json"), CLI_OK);
	assert_non_null(strstr(out, "\"device\":\"web/xvda\",\n      \"per_s\":100.0,\n"));
}

/* --- its requests to the daemon --- */

static void what_is_to_be_done_is_asked_for_and_nothing_said_to_a_script(void **state)
{
	static const struct {
		const char *line, *request;
	} cases[] = {
		{ "set web/xvda iops 500", "{\"command\":\"set\",\"device\":\"web\\/"
					   "xvda\",\"key\":\"iops\",\"value\":\"500\"}" },
		{ "set web/xvda iops 500 --config",
		  "{\"command\":\"set\",\"device\":\"web\\/"
		  "xvda\",\"key\":\"iops\",\"value\":\"500\",\"config\":true}" },
		{ "unset web/xvda iops",
		  "{\"command\":\"unset\",\"device\":\"web\\/xvda\",\"key\":\"iops\"}" },
		{ "retry web/xvda", "{\"command\":\"retry\",\"device\":\"web\\/xvda\"}" },
		{ "drain web/xvda", "{\"command\":\"drain\",\"device\":\"web\\/xvda\"}" },
		{ "drain web", "{\"command\":\"drain\",\"guest\":\"web\"}" },
		{ "restart web", "{\"command\":\"restart\",\"guest\":\"web\"}" },
		{ "check", "{\"command\":\"check\"}" },
		{ "reload", "{\"command\":\"reload\"}" },
		{ "trace --off", "{\"command\":\"trace\",\"on\":false}" },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answers(OK("{\"value\":\"500\",\"note\":\"now\",\"errors\":[]}"), NULL);
		assert_int_equal(run(cases[i].line), CLI_OK);
		assert_string_equal(server.asked[0], cases[i].request);
		HAS_SAID("");
		assert_string_equal(complaints, "");
	}
}

/* No more and no less. */
static void terminal_gets(const char *line, const char *answer, const char *wanted)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	char text[512] = "";
	size_t len = 0;
	FILE *to;

	CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	to = fopen(ptsname(master), "r+e");
	CHECK(to);
	answers(answer, NULL);
	assert_int_equal(run_into(to, line), CLI_OK);
	/* It comes line by line. */
	while (len < strlen(wanted)) {
		ssize_t got = read(master, text + len, sizeof(text) - 1 - len);

		CHECK(got > 0);
		len += (size_t)got;
	}
	assert_string_equal(text, wanted);
	fclose(to);
	close(master);
}

static void an_admin_at_a_terminal_is_told_what_was_done(void **state)
{
	(void)state;
	terminal_gets("set web/xvda iops 500",
		      OK("{\"value\":\"500\",\"note\":\"It holds when web connects "
			 "again.\",\"file\":\"/etc/f\"}"),
		      "web/xvda: iops is 500\r\nIt lasts: /etc/f has it.\r\n"
		      "It holds when web connects again.\r\n");
	terminal_gets("unset web/xvda iops",
		      OK("{\"value\":\"200\",\"from\":\"configuration\",\"by\":\"/etc/f\"}"),
		      "web/xvda: iops is 200 still, by /etc/f; --config removes it there\r\n");
	terminal_gets("unset web/xvda iops --config",
		      OK("{\"value\":\"0\",\"from\":\"default\",\"file\":\"/etc/f\"}"),
		      "web/xvda: iops is 0 now, by the default\r\n"
		      "It is removed from /etc/f.\r\n");
	terminal_gets("unset web/xvda cache-mode", OK("{\"value\":null}"),
		      "web/xvda: cache-mode is not set\r\n");
	terminal_gets("retry web/xvda", OK("{\"held\":true}"),
		      "web/xvda: what was held is tried again\r\n");
	terminal_gets("retry web/xvda", OK("{\"held\":false}"), "web/xvda: nothing was held\r\n");
}

static void faults_of_the_configuration_are_lines_and_a_status(void **state)
{
	static const char faults[] =
		OK("{\"file\":\"/etc/pvbackd.conf\",\"errors\":[{\"file\":\"/etc/"
		   "pvbackd.conf\",\"line\":7,"
		   "\"key\":\"iops\",\"value\":\"lots\",\"error\":\"iops cannot be `lots`\"}]}");

	(void)state;
	answers(faults, NULL);
	assert_int_equal(run("check"), CLI_FAILED);
	HAS_SAID("/etc/pvbackd.conf, line 7: iops cannot be `lots`\n");
	answers(faults, NULL);
	assert_int_equal(run("reload"), CLI_FAILED);
	HAS_SAID("/etc/pvbackd.conf, line 7: iops cannot be `lots`\n");
}

#define EVENTS                                                                                     \
	OK("{\"since_s\":0,\"since_start\":true,"                                                  \
	   "\"events\":[{\"time_s\":0,\"device\":\"web/"                                           \
	   "xvda\",\"level\":\"info\",\"text\":\"connected\"},"                                    \
	   "{\"time_s\":86400,\"device\":\"web2/xvda\",\"level\":\"error\",\"text\":\"broke\"},"   \
	   "{\"time_s\":86401,\"device\":null,\"level\":\"info\",\"text\":\"read again\"}]}")

#define SINCE                                                                                      \
	"Since 1970-01-01 00:00:00, when the daemon was started (before: journalctl -u pvbackd)\n"

static void events_are_of_all_or_of_a_guest_or_of_a_device(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	answers(EVENTS, NULL);
	assert_int_equal(run("events"), CLI_OK);
	HAS_SAID(SINCE "TIME                 DEVICE     WHAT\n"
		       "1970-01-01 00:00:00  web/xvda   connected\n"
		       "1970-01-02 00:00:00  web2/xvda  broke\n"
		       "1970-01-02 00:00:01  -          read again\n");
	answers(EVENTS, NULL);
	assert_int_equal(run("events web"), CLI_OK);
	HAS_SAID(SINCE
		 "TIME                 DEVICE    WHAT\n1970-01-01 00:00:00  web/xvda  connected\n");
	assert_string_equal(server.asked[0], "{\"command\":\"events\"}");
	answers(EVENTS, NULL);
	assert_int_equal(run("events web2 --json"), CLI_OK);
	assert_non_null(strstr(out, "\"web2/xvda\""));
	assert_null(strstr(out, "\"web/xvda\""));
	answers(EVENTS, OK("{\"devices\":[{\"name\":\"web2/xvda\",\"guest\":\"web2\"}]}"));
	assert_int_equal(run("events 8/xvda"), CLI_OK);
	HAS_SAID(SINCE
		 "TIME                 DEVICE     WHAT\n1970-01-02 00:00:00  web2/xvda  broke\n");
	assert_string_equal(server.asked[1], "{\"command\":\"list\",\"device\":\"8\\/xvda\"}");
}

static void of_what_is_not_there_are_no_events(void **state)
{
	(void)state;
	answers(EVENTS, "{\"ok\":false,\"error\":\"there is no guest `nosuch`\"}");
	assert_int_equal(run("events nosuch"), CLI_FAILED);
	HAS_SAID("");
	COMPLAINS("there is no guest `nosuch`");
	assert_string_equal(server.asked[1], "{\"command\":\"list\",\"guest\":\"nosuch\"}");
	answers(EVENTS, OK("{}"));
	assert_int_equal(run("events quiet"), CLI_OK);
	HAS_SAID(SINCE "TIME  DEVICE  WHAT\n");
	answers(OK("{\"since_s\":1,\"since_start\":false,\"events\":[]}"), NULL);
	assert_int_equal(run("events"), CLI_OK);
	HAS_SAID("Since 1970-01-01 00:00:01 (before: journalctl -u pvbackd)\nTIME  DEVICE  WHAT\n");
}

static void metrics_are_as_the_daemon_writes_them(void **state)
{
	(void)state;
	answers(OK("{\"text\":\"# EOF\\n\"}"), NULL);
	assert_int_equal(run("metrics"), CLI_OK);
	HAS_SAID("# EOF\n");
}

/* --- commands that go on --- */

static void a_capture_goes_to_the_file_that_was_opened_here(void **state)
{
	char line[128], path[64];
	struct stat opened, named;

	(void)state;
	snprintf(path, sizeof(path), "%s/capture", dir);
	snprintf(line, sizeof(line), "capture web/vif0 %s --seconds=1 --snaplen=96", path);
	answers(OK("{\"device\":\"web/vif0\"}"), OK("{}"));
	assert_int_equal(run(line), CLI_OK);
	assert_string_equal(
		server.asked[0],
		"{\"command\":\"capture\",\"device\":\"web\\/vif0\",\"snaplen\":96,\"on\":true}");
	assert_string_equal(server.asked[1],
			    "{\"command\":\"capture\",\"device\":\"web\\/vif0\",\"on\":false}");
	CHECK(fstat(server.fd, &opened) == 0 && stat(path, &named) == 0);
	CHECK(opened.st_ino == named.st_ino && (named.st_mode & 0777) == 0600);
	CHECK((fcntl(server.fd, F_GETFL) & O_ACCMODE) == O_WRONLY);
	close(server.fd);
	unlink(path);
}

/* The second line comes without a request. */
static void a_capture_that_the_daemon_ends_says_why(void **state)
{
	(void)state;
	answers(OK("{\"note\":\"not connected yet\"}") "\n" OK(
			"{\"end\":\"full\",\"text\":\"the file is \\u001bfull\"}"),
		NULL);
	assert_int_equal(run("capture web/vif0 /dev/null"), CLI_OK);
	COMPLAINS("not connected yet");
	COMPLAINS("the file is ?full");
	close(server.fd);
	answers(OK("{}") "\n{\"ok\":false,\"error\":\"cannot be written\"}", NULL);
	assert_int_equal(run("capture web/vif0 /dev/null"), CLI_FAILED);
	COMPLAINS("cannot be written");
	close(server.fd);
	answers(OK("{}"), NULL);
	server.hangs_up_after = 1;
	assert_int_equal(run("capture web/vif0 /dev/null"), CLI_FAILED);
	COMPLAINS("the daemon has closed the connection");
	close(server.fd);
	answers("{\"ok\":false,\"error\":\"no such filter\"}", NULL);
	assert_int_equal(run("capture web/vif0 /dev/null --filter=nonsense"), CLI_FAILED);
	COMPLAINS("no such filter");
	close(server.fd);
	assert_int_equal(run("capture web/vif0 /nonexistent/file"), CLI_FAILED);
	COMPLAINS("/nonexistent/file: No such file");
}

/* --- its exit status --- */

static void what_the_daemon_refuses_ends_with_1(void **state)
{
	(void)state;
	answers("{\"ok\":false,\"code\":\"no-such-device\",\"error\":\"no device `x`\\u0007\"}",
		NULL);
	assert_int_equal(run("show x"), CLI_FAILED);
	COMPLAINS(": no device `x`?\n");
	HAS_SAID("");
}

static void a_daemon_that_says_nothing_or_nonsense_ends_with_1(void **state)
{
	(void)state;
	answers("", NULL);
	assert_int_equal(run("list"), CLI_FAILED);
	COMPLAINS("has closed the connection");
	answers("hello", NULL);
	assert_int_equal(run("list"), CLI_FAILED);
	COMPLAINS("of another version?");
	answers("[1]", NULL);
	assert_int_equal(run("list"), CLI_FAILED);
	COMPLAINS("of another version?");
}

static void a_daemon_that_does_not_answer_is_not_waited_for(void **state)
{
	struct json_object *request = json_object_new_object(), *answer;
	struct conn conn;
	int ends[2];

	(void)state;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	conn.fd = ends[0];
	CHECK(conn_ask(&conn, request, -1, 0, &answer) == -ETIMEDOUT);
	json_object_put(request);
	close(ends[1]);
	conn_close(&conn);
	conn_close(&conn);
}

static void no_daemon_ends_with_3_and_says_what_to_do(void **state)
{
	char *words[] = { (char *)(uintptr_t) "pvbackctl", (char *)(uintptr_t) "list",
			  (char *)(uintptr_t) "--runtime-dir=/nonexistent" };

	(void)state;
	assert_int_equal(run_words(stdout, words, 3), CLI_NO_DAEMON);
	COMPLAINS("no daemon answers at /nonexistent/ctl: start it (systemctl start pvbackd)");
}

static void a_wrong_command_line_ends_with_2(void **state)
{
	static const struct {
		const char *line, *complaint;
	} cases[] = {
		{ "", "which command?" },
		{ "lost", "no command `lost`" },
		{ "list web/xvda web", "list takes [WHO]" },
		{ "check web/xvda", "check takes nothing" },
		{ "show web/xvda web/xvdb", "show takes [WHO]" },
		{ "show --names", "show takes no --names" },
		{ "list --nonsense", "no option `--nonsense`" },
		{ "list --runtime-dir", "`--runtime-dir` takes a value" },
		{ "why", "why takes WHO" },
		{ "why x --interval=0", "--interval takes seconds, from 0.1 to 86400" },
		{ "why x --interval=1h", "--interval takes seconds" },
		{ "why x --interval=-1", "--interval takes seconds" },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answers(NULL, NULL);
		assert_int_equal(run(cases[i].line), CLI_USAGE);
		COMPLAINS(cases[i].complaint);
		CHECK(server.nr_asked == 0);
	}
}

static void each_command_has_its_help(void **state)
{
	(void)state;
	assert_int_equal(run("--help"), CLI_OK);
	for (const struct cli_command *command = cli_commands; command->name; command++)
		assert_non_null(strstr(out, command->help));
	assert_int_equal(run("show --help"), CLI_OK);
	assert_non_null(strstr(out, "usage: pvbackctl show [WHO]\n"));
	assert_non_null(strstr(out, "example: pvbackctl show web/xvda\n"));
	assert_int_equal(run("--version"), CLI_OK);
	HAS_SAID("pvbackctl " PACKAGE_VERSION "\n");
}

/* --- completion --- */

static void completion_offers_what_fits(void **state)
{
	(void)state;
	answers(NULL, NULL);
	assert_int_equal(run("--complete s"), CLI_OK);
	CHECK(!strncmp(out, "show\nstats\n", 11));
	run("--complete list --n");
	HAS_SAID("--names\n");
	run("--complete list --r");
	HAS_SAID("--runtime-dir=\n");
	CHECK(server.nr_asked == 0);
	answers(LIST, NULL);
	run("--complete show web/");
	HAS_SAID("web/xvda\nweb/vif0\n");
	answers(LIST, NULL);
	run("--complete show --json d");
	HAS_SAID("db\ndb/xvdb\ndb/xvdc\n");
	answers(LIST, NULL);
	run("--complete show web/xvda w");
	HAS_SAID("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_has_a_line_for_each_device),
		cmocka_unit_test(a_list_of_names_is_for_scripts),
		cmocka_unit_test(a_device_is_shown_with_all_that_is_known),
		cmocka_unit_test(versions_are_those_of_all_processes),
		cmocka_unit_test(json_is_what_the_daemon_has_said),
		cmocka_unit_test(what_is_missing_or_of_another_type_counts_as_nothing),
		cmocka_unit_test(why_says_what_the_time_between_two_looks_went_into),
		cmocka_unit_test(top_has_a_row_for_each_device),
		cmocka_unit_test(what_is_to_be_done_is_asked_for_and_nothing_said_to_a_script),
		cmocka_unit_test(an_admin_at_a_terminal_is_told_what_was_done),
		cmocka_unit_test(faults_of_the_configuration_are_lines_and_a_status),
		cmocka_unit_test(events_are_of_all_or_of_a_guest_or_of_a_device),
		cmocka_unit_test(of_what_is_not_there_are_no_events),
		cmocka_unit_test(metrics_are_as_the_daemon_writes_them),
		cmocka_unit_test(a_capture_goes_to_the_file_that_was_opened_here),
		cmocka_unit_test(a_capture_that_the_daemon_ends_says_why),
		cmocka_unit_test(what_the_daemon_refuses_ends_with_1),
		cmocka_unit_test(a_daemon_that_says_nothing_or_nonsense_ends_with_1),
		cmocka_unit_test(a_daemon_that_does_not_answer_is_not_waited_for),
		cmocka_unit_test(no_daemon_ends_with_3_and_says_what_to_do),
		cmocka_unit_test(a_wrong_command_line_ends_with_2),
		cmocka_unit_test(each_command_has_its_help),
		cmocka_unit_test(completion_offers_what_fits),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
