/* tools/sandboxes.h - ferry list, ps, kill, stats, stop, logs, metrics, gc and
 * upgrade-agent */
#ifndef FERRY_TOOLS_SANDBOXES_H
#define FERRY_TOOLS_SANDBOXES_H

int tool_list(int argc, char **argv);
int tool_ps(int argc, char **argv);
int tool_kill(int argc, char **argv);
int tool_stop(int argc, char **argv);
int tool_logs(int argc, char **argv);
int tool_metrics(int argc, char **argv);
int tool_stats(int argc, char **argv);
int tool_gc(int argc, char **argv);
int tool_upgrade_agent(int argc, char **argv);

#endif
