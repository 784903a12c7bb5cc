/* tests/unit/test_metrics_text.c - Prometheus text from what sandboxes said */
#include "tests/unit/unit.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "config/util.h"
#include "tools/metrics_text.h"

static struct metrics_text m;

static int set_up(void **state UNUSED)
{
	metrics_text_init(&m);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	metrics_text_done(&m);
	return 0;
}

static void put(const char *name, const char *sandbox, const char *label,
		const char *value, double number)
{
	const char *const labels[] = { label, value };
	const struct metrics_sample s = {
		.suffix = "",
		.label = labels,
		.n_labels = label ? 1 : 0,
		.value = number,
	};
	struct metrics_group *g = NULL;
	struct err e;

	assert_int_equal(
		metrics_text_group(&m, name, "Help.", "counter", &g, &e), 0);
	assert_int_equal(metrics_text_sample(&m, g, sandbox, &s, &e), 0);
}

static void check(const char *wanted)
{
	struct text t;

	text_heap(&t, 65536);
	metrics_text_print(&m, &t);
	assert_string_equal(text_str(&t), wanted);
	text_done(&t);
}

/* In the format a metric has one HELP and one TYPE, and its samples stand
 * together, whoever they came from. */
static void samples_of_a_metric_stand_together(void **state UNUSED)
{
	put("a_total", "one", NULL, NULL, 1);
	put("b_total", "one", "x", "y", 18446744073709551615.0);
	put("a_total", "two", NULL, NULL, 0.25);
	check("# HELP a_total Help.\n"
	      "# TYPE a_total counter\n"
	      "a_total{sandbox=\"one\"} 1\n"
	      "a_total{sandbox=\"two\"} 0.25\n"
	      "# HELP b_total Help.\n"
	      "# TYPE b_total counter\n"
	      "b_total{sandbox=\"one\",x=\"y\"} 1.8446744073709552e+19\n");
}

static void labels_and_help_are_escaped(void **state UNUSED)
{
	struct metrics_group *g = NULL;
	struct err e;

	assert_int_equal(
		metrics_text_group(&m, "h", "a\\b\nc\"d", "gauge", &g, &e), 0);
	put("a_total", "q\"\\\n", "l", "\"} 1\nevil 2", 3);
	check("# HELP h a\\\\b\\nc\"d\n"
	      "# TYPE h gauge\n"
	      "# HELP a_total Help.\n"
	      "# TYPE a_total counter\n"
	      "a_total{sandbox=\"q\\\"\\\\\\n\",l=\"\\\"} 1\\nevil 2\"} 3\n");
}

static void numbers_that_are_none_have_words(void **state UNUSED)
{
	put("a_total", "s", "le", "+Inf", (double)INFINITY);
	put("a_total", "s", "le", "n", (double)NAN);
	put("a_total", "s", "le", "m", -(double)INFINITY);
	check("# HELP a_total Help.\n"
	      "# TYPE a_total counter\n"
	      "a_total{sandbox=\"s\",le=\"+Inf\"} +Inf\n"
	      "a_total{sandbox=\"s\",le=\"n\"} NaN\n"
	      "a_total{sandbox=\"s\",le=\"m\"} -Inf\n");
}

/* A shim of another version may say what it wants. */
static void names_that_the_format_lacks_are_refused(void **state UNUSED)
{
	static const char *const bad[] = {
		"", "1a", "a b", "a-b", "a\n", "a{"
	};
	const char *const twice[] = { "sandbox", "x" };
	const char *const blank[] = { "a b", "x" };
	struct metrics_sample s = { .suffix = "_evil" };
	struct metrics_group *g = NULL;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(
			metrics_text_group(&m, bad[i], "", "counter", &g, &e),
			-EINVAL);
	assert_int_equal(metrics_text_group(&m, "a", "", "sum", &g, &e),
			 -EINVAL);
	assert_int_equal(metrics_text_group(&m, "a", "", "gauge", &g, &e), 0);
	assert_int_equal(metrics_text_group(&m, "a", "", "counter", &g, &e),
			 -EINVAL);
	assert_int_equal(metrics_text_sample(&m, g, "s", &s, &e), -EINVAL);
	s = (struct metrics_sample){ .suffix = "",
				     .label = twice,
				     .n_labels = 1 };
	assert_int_equal(metrics_text_sample(&m, g, "s", &s, &e), -EINVAL);
	s.label = blank;
	assert_int_equal(metrics_text_sample(&m, g, "s", &s, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			samples_of_a_metric_stand_together, set_up, tear_down),
		cmocka_unit_test_setup_teardown(labels_and_help_are_escaped,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			numbers_that_are_none_have_words, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			names_that_the_format_lacks_are_refused, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
