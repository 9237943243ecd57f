#include "storage/sql.h"

/* What rows of jobs give, in the order in which jobs.c reads them. */
#define JOB_COLUMNS                                                      \
    "j.id, j.seq, j.revision, j.name, j.spec_given, j.spec_resolved, "   \
    "j.labels, j.state, j.stop_for, j.paused_by, j.reason, j.priority, " \
    "j.created_ms, j.started_ms, j.ended_ms, j.attempts, j.phase, "      \
    "j.progress, j.cost, j.supernet_step, j.supernet_xxh3, "             \
    "(SELECT max(e.accuracy) FROM evaluations e WHERE e.job = j.seq "    \
    " AND e.split = 'holdout' AND e.stage IN (1, 2) AND e.step = "       \
    "  (SELECT max(x.step) FROM evaluations x WHERE x.job = j.seq "      \
    "   AND x.split = 'holdout' AND x.stage IN (1, 2))), "               \
    "(SELECT count(*) FROM evaluations e WHERE e.job = j.seq) "

/* ?1 states as ",queued,running," or '', ?2 name, ?3 and ?4 label; ?5, ?6 and
 * ?7 (limit) belong to the sort. */
#define JOB_LIST                                                      \
    "SELECT " JOB_COLUMNS "FROM jobs j WHERE "                        \
    "(?1 = '' OR instr(?1, ',' || j.state || ',') > 0) "              \
    "AND (?2 IS NULL OR j.name = ?2) "                                \
    "AND (?3 IS NULL OR EXISTS (SELECT 1 FROM json_each(j.labels) l " \
    " WHERE l.key = ?3 AND (?4 IS NULL OR l.value = ?4))) "

/* ?1 job, ?2 device, ?3 runtime, ?4 stages, ?5 split, ?6 arch, ?7 newest,
 * ?8 latency, ?9 macs, ?10 params, ?11 peak memory, ?12 after seq. */
#define EVALUATION_LIST                                                  \
    "FROM jobs j CROSS JOIN evaluations e ON e.job = j.seq "             \
    "JOIN architectures a ON a.id = e.arch "                             \
    "LEFT JOIN arch_latencies l ON l.job = e.job AND l.arch = e.arch "   \
    " AND l.device = ?2 AND l.runtime = ?3 "                             \
    "WHERE j.id = ?1 AND ((?4 >> e.stage) & 1) "                         \
    "AND (?5 IS NULL OR e.split = ?5) AND (?6 IS NULL OR a.arch = ?6) "  \
    "AND (NOT ?7 OR e.step = (SELECT max(x.step) FROM evaluations x "    \
    " WHERE x.job = j.seq AND ((?4 >> x.stage) & 1) "                    \
    " AND (?5 IS NULL OR x.split = ?5))) "                               \
    "AND (?8 IS NULL OR coalesce(l.measured_ms, l.predicted_ms) <= ?8) " \
    "AND (?9 IS NULL OR a.macs <= ?9) "                                  \
    "AND (?10 IS NULL OR a.params <= ?10) "                              \
    "AND (?11 IS NULL OR a.peak_memory <= ?11) "                         \
    "AND e.seq > ?12 "

#define CHECKPOINT_COLUMNS                                              \
    "SELECT j.id, c.step, c.phase, c.file, c.xxh3, c.bytes, c.time_ms " \
    "FROM checkpoints c JOIN jobs j ON j.seq = c.job "

#define RESOURCE_PUT(table)                                                \
    "INSERT INTO " table " (name, body, path, bytes, xxh3, time_ms) "      \
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (name) DO UPDATE SET "    \
    "body = excluded.body, path = excluded.path, bytes = excluded.bytes, " \
    "xxh3 = excluded.xxh3, time_ms = excluded.time_ms"
#define RESOURCE_DELETE(table) "DELETE FROM " table " WHERE name = ?1"
#define RESOURCE_COLUMNS(table) \
    "SELECT name, body, path, bytes, xxh3, time_ms FROM " table " "
#define RESOURCE_GET(table) RESOURCE_COLUMNS(table) "WHERE name = ?1"
#define RESOURCES(table)    \
    RESOURCE_COLUMNS(table) \
    "WHERE ?1 IS NULL OR name > ?1 ORDER BY name LIMIT ?2"

static const char *const texts[SN_SQL_COUNT] = {
    [SN_SQL_BEGIN_READ] = "BEGIN",
    [SN_SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [SN_SQL_COMMIT] = "COMMIT",
    [SN_SQL_ROLLBACK] = "ROLLBACK",
    [SN_SQL_SAVEPOINT] = "SAVEPOINT item",
    [SN_SQL_RELEASE] = "RELEASE item",
    [SN_SQL_ROLLBACK_TO] = "ROLLBACK TO item",
    [SN_SQL_META_GET] = "SELECT value FROM meta WHERE key = ?1",
    [SN_SQL_META_SET] = "UPDATE meta SET value = ?2 WHERE key = ?1",

    [SN_SQL_JOB_INSERT] =
        "INSERT INTO jobs (id, name, spec_given, spec_resolved, labels, state, "
        "paused_by, reason, priority, created_ms, phase, progress, cost, "
        "supernet_step, supernet_xxh3) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
        "?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    [SN_SQL_JOB_STATE] = "SELECT state FROM jobs WHERE id = ?1",
    [SN_SQL_JOB_SEQ] = "SELECT seq FROM jobs WHERE id = ?1",
    [SN_SQL_JOB_CHANGE] =
        "UPDATE jobs SET state = ?3, stop_for = ?4, paused_by = ?5, "
        "reason = ?6, attempts = attempts + (?3 = 'running'), "
        "started_ms = iif(?3 = 'running' AND started_ms = 0, ?7, started_ms), "
        "ended_ms = iif(?8, ?7, 0), revision = revision + 1 "
        "WHERE id = ?1 AND state = ?2",
    [SN_SQL_JOB_SNAPSHOT] =
        "UPDATE jobs SET phase = coalesce(?2, phase), "
        "progress = coalesce(?3, progress), cost = coalesce(?4, cost), "
        "supernet_step = coalesce(?5, supernet_step), "
        "supernet_xxh3 = coalesce(?6, supernet_xxh3), "
        "revision = revision + 1 WHERE id = ?1",
    [SN_SQL_JOB_DELETE] = "DELETE FROM jobs WHERE id = ?1",
    [SN_SQL_JOB_DELETE_EVENTS] = "DELETE FROM job_events WHERE job = ?1",
    [SN_SQL_JOB_DELETE_KEYS] = "DELETE FROM idempotency_keys WHERE job = ?1",
    [SN_SQL_JOB_GET] = "SELECT " JOB_COLUMNS "FROM jobs j WHERE j.id = ?1",
    [SN_SQL_JOBS_NEWEST] = JOB_LIST "AND (?5 = 0 OR j.seq < ?5) AND ?6 IS NULL "
                                    "ORDER BY j.seq DESC LIMIT ?7",
    [SN_SQL_JOBS_OLDEST] = JOB_LIST "AND j.seq > ?5 AND ?6 IS NULL "
                                    "ORDER BY j.seq LIMIT ?7",
    [SN_SQL_JOBS_PRIORITY] =
        JOB_LIST "AND (?5 = 0 OR (-j.priority, j.seq) > (-?6, ?5)) "
                 "ORDER BY j.priority DESC, j.seq LIMIT ?7",
    [SN_SQL_JOBS_NAME] = JOB_LIST "AND (?5 = 0 OR (j.name, j.seq) > (?6, ?5)) "
                                  "ORDER BY j.name, j.seq LIMIT ?7",

    [SN_SQL_KEY_EXPIRE] = "DELETE FROM idempotency_keys WHERE time_ms < ?1",
    [SN_SQL_KEY_GET] = "SELECT request, job FROM idempotency_keys "
                       "WHERE key = ?1 AND time_ms >= ?2",
    [SN_SQL_KEY_PUT] = "INSERT INTO idempotency_keys (key, request, job, "
                       "time_ms) VALUES (?1, ?2, ?3, ?4)",

    [SN_SQL_EVENT_APPEND] = "INSERT INTO job_events (job, type, payload, "
                            "time_ms) VALUES (?1, ?2, ?3, ?4)",
    [SN_SQL_EVENT_TRIM] = "DELETE FROM job_events WHERE seq <= ?1",
    [SN_SQL_EVENTS] = "SELECT seq, job, type, payload, time_ms FROM job_events "
                      "WHERE seq > ?1 ORDER BY seq",
    [SN_SQL_EVENTS_OF_JOB] =
        "SELECT seq, job, type, payload, time_ms FROM job_events "
        "WHERE seq > ?1 AND job = ?2 ORDER BY seq",
    [SN_SQL_EVENT_NEWEST] =
        "SELECT seq FROM sqlite_sequence WHERE name = 'job_events'",
    [SN_SQL_EVENT_OLDEST] = "SELECT min(seq) FROM job_events",

    [SN_SQL_POINT_PUT] =
        "INSERT INTO series (job, name, step, value, epoch, time_ms) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (job, name, step) "
        "DO UPDATE SET value = excluded.value, epoch = excluded.epoch, "
        "time_ms = excluded.time_ms",
    [SN_SQL_SERIES] =
        "SELECT j.id, s.name, s.step, s.value, s.epoch, s.time_ms "
        "FROM jobs j CROSS JOIN series s ON s.job = j.seq "
        "WHERE j.id = ?1 AND s.name = ?2 AND s.step > ?3 "
        "ORDER BY s.step LIMIT ?4",
    [SN_SQL_SERIES_NAMES] = "SELECT s.name, count(*) FROM jobs j "
                            "CROSS JOIN series s ON s.job = j.seq "
                            "WHERE j.id = ?1 GROUP BY s.name ORDER BY s.name",

    [SN_SQL_ARCH_PUT] =
        "INSERT INTO architectures (space, arch, macs, params, peak_memory) "
        "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (space, arch) DO UPDATE SET "
        "macs = coalesce(excluded.macs, macs), "
        "params = coalesce(excluded.params, params), "
        "peak_memory = coalesce(excluded.peak_memory, peak_memory) "
        "RETURNING id",
    [SN_SQL_EVALUATION_PUT] =
        "INSERT INTO evaluations (job, arch, stage, split, step, phase_index, "
        "correct, images, accuracy, predicted, selected, time_ms) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) "
        "ON CONFLICT (job, arch, stage, split, step) DO UPDATE SET "
        "phase_index = excluded.phase_index, correct = excluded.correct, "
        "images = excluded.images, accuracy = excluded.accuracy, "
        "predicted = excluded.predicted, selected = excluded.selected, "
        "time_ms = excluded.time_ms",
    [SN_SQL_ARCH_LATENCY_PUT] =
        "INSERT INTO arch_latencies (job, arch, device, runtime, "
        "predicted_ms, measured_ms, ci_low_ms, ci_high_ms) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
        "ON CONFLICT (job, arch, device, runtime) DO UPDATE SET "
        "predicted_ms = coalesce(excluded.predicted_ms, predicted_ms), "
        "measured_ms = coalesce(excluded.measured_ms, measured_ms), "
        "ci_low_ms = coalesce(excluded.ci_low_ms, ci_low_ms), "
        "ci_high_ms = coalesce(excluded.ci_high_ms, ci_high_ms)",
    [SN_SQL_EVALUATIONS] =
        "SELECT e.seq, j.id, a.space, a.arch, e.stage, e.split, e.step, "
        "e.phase_index, e.correct, e.images, e.accuracy, e.predicted, "
        "a.macs, a.params, a.peak_memory, l.device, l.runtime, "
        "l.predicted_ms, l.measured_ms, l.ci_low_ms, l.ci_high_ms, "
        "e.selected, e.time_ms " EVALUATION_LIST
        "ORDER BY CASE ?13 WHEN 1 THEN -e.accuracy WHEN 2 THEN a.macs "
        "WHEN 3 THEN coalesce(l.measured_ms, l.predicted_ms) "
        "ELSE e.seq END NULLS LAST, a.macs NULLS LAST, a.arch, e.seq "
        "LIMIT ?14",
    [SN_SQL_EVALUATION_COUNT] = "SELECT count(*) " EVALUATION_LIST,

    [SN_SQL_PREDICTOR_DELETE] = "DELETE FROM predictors "
                                "WHERE job = ?1 AND stage = ?2 AND round = ?3",
    [SN_SQL_PREDICTOR_PUT] =
        "INSERT INTO predictors (job, stage, round, step, kind, used, tau, "
        "tau_low, tau_high, spearman, mae, quality, time_ms) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    [SN_SQL_SCORE_PUT] =
        "INSERT INTO predictor_scores (predictor, position, arch, predicted, "
        "measured, cost) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [SN_SQL_PREDICTORS] =
        "SELECT p.id, j.id, p.stage, p.round, p.step, p.kind, p.used, p.tau, "
        "p.tau_low, p.tau_high, p.spearman, p.mae, p.quality, "
        "(SELECT count(*) FROM predictor_scores s WHERE s.predictor = p.id), "
        "p.time_ms FROM predictors p JOIN jobs j ON j.seq = p.job "
        "WHERE j.id = ?1 ORDER BY p.id",
    [SN_SQL_SCORES] = "SELECT arch, predicted, measured, cost "
                      "FROM predictor_scores WHERE predictor = ?1 "
                      "ORDER BY position LIMIT ?2",

    [SN_SQL_OUTCOME_PUT] =
        "INSERT INTO outcomes (job, step, body, time_ms) "
        "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (job) DO UPDATE SET "
        "step = excluded.step, body = excluded.body, "
        "time_ms = excluded.time_ms",
    [SN_SQL_OUTCOME] = "SELECT j.id, o.step, o.body, o.time_ms FROM outcomes o "
                       "JOIN jobs j ON j.seq = o.job WHERE j.id = ?1",

    [SN_SQL_SUBSPACE_DELETE] =
        "DELETE FROM subspaces WHERE job = ?1 AND round = ?2",
    [SN_SQL_SUBSPACE_PUT] =
        "INSERT INTO subspaces (job, round, step, n_scored, n_members, rule, "
        "time_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [SN_SQL_MEMBER_PUT] =
        "INSERT INTO subspace_members (subspace, position, arch, score, cost, "
        "band) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [SN_SQL_SUBSPACES] =
        "SELECT s.id, j.id, s.round, s.step, s.n_scored, s.n_members, s.rule, "
        "s.time_ms FROM subspaces s JOIN jobs j ON j.seq = s.job "
        "WHERE j.id = ?1 ORDER BY s.round",
    [SN_SQL_MEMBERS] = "SELECT position, arch, score, cost, band "
                       "FROM subspace_members "
                       "WHERE subspace = ?1 AND position > ?2 "
                       "ORDER BY position LIMIT ?3",

    [SN_SQL_FRONT_PUT] =
        "INSERT INTO fronts (job, cost, device, version, as_of_step, items, "
        "time_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
        "ON CONFLICT (job, cost, device, version) DO UPDATE SET "
        "as_of_step = excluded.as_of_step, items = excluded.items, "
        "time_ms = excluded.time_ms",
    [SN_SQL_FRONT_GET] =
        "SELECT j.id, f.cost, f.device, f.version, f.as_of_step, f.items, "
        "f.time_ms FROM fronts f JOIN jobs j ON j.seq = f.job "
        "WHERE j.id = ?1 AND f.cost = ?2 AND f.device = ?3 "
        "ORDER BY f.version DESC LIMIT 1",
    [SN_SQL_FRONTS] =
        "SELECT j.id, f.cost, f.device, f.version, f.as_of_step, f.items, "
        "f.time_ms FROM fronts f JOIN jobs j ON j.seq = f.job "
        "WHERE j.id = ?1 AND f.cost = ?2 AND f.device = ?3 "
        "AND f.version > ?4 ORDER BY f.version LIMIT ?5",

    [SN_SQL_LATENCY_PUT] =
        "INSERT INTO latencies (device, runtime, fingerprint, key, median_ns, "
        "spread_ns, samples, time_ms) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
        "ON CONFLICT (device, runtime, fingerprint, key) DO UPDATE SET "
        "median_ns = excluded.median_ns, spread_ns = excluded.spread_ns, "
        "samples = excluded.samples, time_ms = excluded.time_ms",
    [SN_SQL_LATENCIES] =
        "SELECT device, runtime, fingerprint, key, median_ns, spread_ns, "
        "samples, time_ms FROM latencies WHERE device = ?1 AND runtime = ?2 "
        "AND (?3 IS NULL OR fingerprint = ?3) ORDER BY fingerprint, key",

    [SN_SQL_CHECKPOINT_PUT] =
        "INSERT OR REPLACE INTO checkpoints (job, step, phase, file, xxh3, "
        "bytes, time_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [SN_SQL_CHECKPOINT_PRUNE] =
        "DELETE FROM checkpoints WHERE job = ?1 AND id NOT IN "
        "(SELECT id FROM checkpoints WHERE job = ?1 "
        " ORDER BY id DESC LIMIT ?2) RETURNING file",
    [SN_SQL_CHECKPOINT_DROP] =
        "DELETE FROM checkpoints WHERE file = ?2 AND xxh3 = ?3 "
        "AND job = (SELECT seq FROM jobs WHERE id = ?1)",
    [SN_SQL_CHECKPOINTS] =
        CHECKPOINT_COLUMNS "WHERE j.id = ?1 ORDER BY c.id DESC",
    [SN_SQL_CHECKPOINTS_ALL] = CHECKPOINT_COLUMNS "ORDER BY j.seq, c.id DESC",

    [SN_SQL_RESOURCE_PUT + 0] = RESOURCE_PUT("datasets"),
    [SN_SQL_RESOURCE_PUT + 1] = RESOURCE_PUT("spaces"),
    [SN_SQL_RESOURCE_PUT + 2] = RESOURCE_PUT("devices"),
    [SN_SQL_RESOURCE_PUT + 3] = RESOURCE_PUT("supernets"),
    [SN_SQL_RESOURCE_DELETE + 0] = RESOURCE_DELETE("datasets"),
    [SN_SQL_RESOURCE_DELETE + 1] = RESOURCE_DELETE("spaces"),
    [SN_SQL_RESOURCE_DELETE + 2] = RESOURCE_DELETE("devices"),
    [SN_SQL_RESOURCE_DELETE + 3] = RESOURCE_DELETE("supernets"),
    [SN_SQL_RESOURCE_GET + 0] = RESOURCE_GET("datasets"),
    [SN_SQL_RESOURCE_GET + 1] = RESOURCE_GET("spaces"),
    [SN_SQL_RESOURCE_GET + 2] = RESOURCE_GET("devices"),
    [SN_SQL_RESOURCE_GET + 3] = RESOURCE_GET("supernets"),
    [SN_SQL_RESOURCES + 0] = RESOURCES("datasets"),
    [SN_SQL_RESOURCES + 1] = RESOURCES("spaces"),
    [SN_SQL_RESOURCES + 2] = RESOURCES("devices"),
    [SN_SQL_RESOURCES + 3] = RESOURCES("supernets"),
};

const char *sn_sql_text(enum sn_sql id)
{
    return texts[id];
}
