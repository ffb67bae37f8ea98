/** The schema in which the queue keeps its tables, where it runs on Postgres. */
export const QUEUE_SCHEMA = 'queue';
