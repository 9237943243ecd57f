/* sn_sql - every statement of this folder, by number: text in sql.c.
 *
 * All are prepared when a connection opens, so a statement that does not fit
 * the schema is found at once. Parameters are bound in the order of their
 * numbers, columns are read in the order of the select.
 */
#ifndef SN_STORAGE_SQL_H
#define SN_STORAGE_SQL_H

enum sn_sql {
    SN_SQL_BEGIN_READ,
    SN_SQL_BEGIN_WRITE,
    SN_SQL_COMMIT,
    SN_SQL_ROLLBACK,
    SN_SQL_SAVEPOINT,
    SN_SQL_RELEASE,
    SN_SQL_ROLLBACK_TO,
    SN_SQL_META_GET,
    SN_SQL_META_SET,

    SN_SQL_JOB_INSERT,
    SN_SQL_JOB_STATE,
    SN_SQL_JOB_SEQ,
    SN_SQL_JOB_CHANGE,
    SN_SQL_JOB_SNAPSHOT,
    SN_SQL_JOB_DELETE,
    SN_SQL_JOB_DELETE_EVENTS,
    SN_SQL_JOB_DELETE_KEYS,
    SN_SQL_JOB_GET,
    SN_SQL_JOBS_NEWEST, /* in the order of enum sn_job_sort */
    SN_SQL_JOBS_OLDEST,
    SN_SQL_JOBS_PRIORITY,
    SN_SQL_JOBS_NAME,

    SN_SQL_KEY_EXPIRE,
    SN_SQL_KEY_GET,
    SN_SQL_KEY_PUT,

    SN_SQL_EVENT_APPEND,
    SN_SQL_EVENT_TRIM,
    SN_SQL_EVENTS,
    SN_SQL_EVENTS_OF_JOB,
    SN_SQL_EVENT_NEWEST,
    SN_SQL_EVENT_OLDEST,

    SN_SQL_POINT_PUT,
    SN_SQL_SERIES,
    SN_SQL_SERIES_NAMES,

    SN_SQL_ARCH_PUT,
    SN_SQL_EVALUATION_PUT,
    SN_SQL_ARCH_LATENCY_PUT,
    SN_SQL_EVALUATIONS,
    SN_SQL_EVALUATION_COUNT,

    SN_SQL_PREDICTOR_DELETE,
    SN_SQL_PREDICTOR_PUT,
    SN_SQL_SCORE_PUT,
    SN_SQL_PREDICTORS,
    SN_SQL_SCORES,

    SN_SQL_OUTCOME_PUT,
    SN_SQL_OUTCOME,
    SN_SQL_SUBSPACE_DELETE,
    SN_SQL_SUBSPACE_PUT,
    SN_SQL_MEMBER_PUT,
    SN_SQL_SUBSPACES,
    SN_SQL_MEMBERS,

    SN_SQL_FRONT_PUT,
    SN_SQL_FRONT_GET,
    SN_SQL_FRONTS,

    SN_SQL_LATENCY_PUT,
    SN_SQL_LATENCIES,

    SN_SQL_CHECKPOINT_PUT,
    SN_SQL_CHECKPOINT_PRUNE,
    SN_SQL_CHECKPOINT_DROP,
    SN_SQL_CHECKPOINTS,
    SN_SQL_CHECKPOINTS_ALL,

    SN_SQL_RESOURCE_PUT, /* four of each, in the order of the kinds */
    SN_SQL_RESOURCE_DELETE = SN_SQL_RESOURCE_PUT + 4,
    SN_SQL_RESOURCE_GET = SN_SQL_RESOURCE_DELETE + 4,
    SN_SQL_RESOURCES = SN_SQL_RESOURCE_GET + 4,
    SN_SQL_COUNT = SN_SQL_RESOURCES + 4
};

/* The statement's text. */
const char *sn_sql_text(enum sn_sql id);

#endif
